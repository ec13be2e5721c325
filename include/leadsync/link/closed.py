"""Pairs whose CRM record is closed: nothing is written to it, and it is never opened again (D49, D59).

Inbound changes go on: a status is a value like any other. What the person shows waits until the record is opened.
"""

from __future__ import annotations

import polars as pl

from include.leadsync.extract.identity import OPEN, QUALIFIED
from include.leadsync.model import Entity
from include.leadsync.no_rows import no_rows

CLOSED_SCHEMA = {"link_id": pl.Int64, "message": pl.String}


def closed_pairs(pairs: pl.DataFrame | None = None, entity: Entity = Entity.LEAD) -> pl.DataFrame:
    """link_id and the reason in words, of pairs (`frames`) whose record exists and is not open."""
    if pairs is None or not (pairs["crm_state"] != OPEN).any():
        return no_rows(CLOSED_SCHEMA)
    closed = pairs.filter((pl.col("crm_state") != OPEN) & pl.col("create").is_null())
    reason = pl.lit(f"the {entity.value} is inactive in Dynamics; reopen it, and what waits is written")
    if entity is Entity.LEAD:
        qualified = "the lead is qualified, and no contact that may be synced came of it; nothing is written to it"
        reason = (
            pl.when(pl.col("crm_state") == QUALIFIED)
            .then(pl.lit(qualified))
            .otherwise(pl.lit("the lead is disqualified in Dynamics; reopen it, and what waits is written"))
        )
    return closed.select("link_id", reason.alias("message"))
