"""Rows of the plan about links that end: flags on their persons, and merges of persons in Marketo."""

from __future__ import annotations

import polars as pl

from include.leadsync.config import SystemFields
from include.leadsync.link.frames import DELETED_UNTOLD, FLAGGED, SUPERSEDED
from include.leadsync.model import Direction, Entity, Lane, OperationKind
from include.leadsync.plan.rows import shaped

LOSER = "mergedPerson"
"""Stands for the field in rows that merge a person into another one; the value is the loser's id."""
MASTER = "mergedRecord"
"""Likewise for CRM records."""


def flag_rows(events: pl.DataFrame, names: SystemFields, *, merged_into: bool) -> pl.DataFrame:
    """What persons without a CRM record are marked with.

    Microsoft is Deleted = true for deletions and records merged away (R75, D42); for the latter, and for leads
    qualified into a contact that has a person (D37), also the record that took the place of theirs, where Marketo
    has that field (`merged_into`).
    """
    deleted = (pl.col("kind") == "crm_deleted") & (pl.col("code") != DELETED_UNTOLD)
    ended = (pl.col("kind") == "ended") & (pl.col("outcome") == FLAGGED)
    known = events.filter(pl.col("person_id").is_not_null())
    gone = known.filter(deleted | (ended & (pl.col("code") != SUPERSEDED)))
    parts = [_flags(gone, names.is_deleted, pl.lit("true"), pl.lit("false"))]
    if merged_into:
        parts.append(_flags(known.filter(ended), names.merged_into, pl.col("became_crm"), pl.lit(None, pl.String)))
    return pl.concat(parts)


def _flags(rows: pl.DataFrame, name: str, after: pl.Expr, before: pl.Expr) -> pl.DataFrame:
    return shaped(
        rows.with_columns(
            pl.lit(0, pl.Int64).alias("version"),
            pl.lit(Direction.INBOUND.value).alias("direction"),
            pl.lit(OperationKind.FLAG_DELETED.value).alias("kind"),
            pl.lit(int(Lane.CONSENT)).alias("lane"),
            pl.lit(name).alias("field"),
            pl.lit(value=True).alias("system"),
            before.alias("before"),
            after.alias("after"),
            pl.lit("deleted").alias("change"),
            pl.lit(None, pl.String).alias("request_id"),
        )
    )


def unwanted_rows(unwanted: pl.DataFrame) -> pl.DataFrame:
    """CRM records to be closed or deleted, because their person was deleted in Marketo (D53)."""
    closed = pl.when(pl.col("entity") == Entity.LEAD.value).then(pl.lit("2")).otherwise(pl.lit("1"))
    return shaped(
        unwanted.select(
            "link_id",
            "entity",
            "crm_id",
            pl.lit(0, pl.Int64).alias("version"),
            pl.lit(Direction.OUTBOUND.value).alias("direction"),
            pl.col("action").alias("kind"),
            pl.lit(int(Lane.CONSENT)).alias("lane"),
            pl.lit("statecode").alias("field"),
            pl.lit(value=True).alias("system"),
            pl.when(pl.col("action") == OperationKind.DEACTIVATE.value).then(closed).alias("after"),
            pl.lit("deleted").alias("change"),
            pl.lit("D53").alias("rule"),
        )
    )


def merge_rows(merging: pl.DataFrame) -> pl.DataFrame:
    """Persons to be merged in Marketo, where the configuration wants that (D37, D42)."""
    return shaped(
        merging.select(
            "link_id",
            pl.col("winner").alias("person_id"),
            pl.lit("contact").alias("entity"),
            pl.lit(0, pl.Int64).alias("version"),
            pl.lit(Direction.INBOUND.value).alias("direction"),
            pl.lit(OperationKind.MERGE_PERSONS.value).alias("kind"),
            pl.lit(int(Lane.INCREMENT)).alias("lane"),
            pl.lit(LOSER).alias("field"),
            pl.lit(value=True).alias("system"),
            pl.col("loser").cast(pl.String).alias("after"),
            pl.lit("merged").alias("change"),
            pl.lit("D42").alias("rule"),
        )
    )


def merge_record_rows(merging: pl.DataFrame) -> pl.DataFrame:
    """CRM records to be merged in Dynamics, because their persons were merged in Marketo (D44)."""
    return shaped(
        merging.select(
            "link_id",
            "entity",
            "crm_id",
            pl.lit(0, pl.Int64).alias("version"),
            pl.lit(Direction.OUTBOUND.value).alias("direction"),
            pl.lit(OperationKind.MERGE_ROWS.value).alias("kind"),
            pl.lit(int(Lane.INCREMENT)).alias("lane"),
            pl.lit(MASTER).alias("field"),
            pl.lit(value=True).alias("system"),
            pl.col("loser").alias("after"),
            pl.lit("merged").alias("change"),
            pl.lit("D44").alias("rule"),
        )
    )
