"""Fields that Marketo does not let us write: *Block Field Updates* keeps the old value and says nothing (R45, R104).

A write of ours that the feed never shows, and a person that still shows what it showed before: then the value is no
edit of anybody and must not go back over the CRM record's. It counts as the person's own spelling from then
on; what the CRM record changes later is tried again, and what a marketer types goes out (D10).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import polars as pl
import pyarrow as pa

from include.leadsync.extract.feed import CLOCK_SKEW
from include.leadsync.merge import Change
from include.leadsync.model import Direction, Entity
from include.leadsync.no_rows import frame_of, no_rows

CODE, RULE = "blocked_update", "R45"
DATASET = "blocked"
SCHEMA = {"link_id": pl.Int64, "person_id": pl.Int64, "crm_id": pl.String, "entity": pl.String, "field": pl.String}
SCHEMA |= {"value": pl.String, "op_id": pl.String}


def without_blocked(
    decisions: pl.DataFrame, pairs: pl.DataFrame, echoes: pl.DataFrame, entity: Entity, now: datetime
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Decisions in which a blocked value is nobody's edit, and what was blocked (`SCHEMA`).

    `echoes`: person_id, field, before, after, written_at, op_id of writes that the feed should have shown by now.
    """
    nothing = no_rows(SCHEMA)
    if echoes.is_empty() or decisions.is_empty():
        return decisions, nothing
    due = echoes.filter(pl.col("written_at") < now - CLOCK_SKEW)
    suspects = decisions.filter(pl.col("change").is_in([Change.PERSON.value, Change.COLLISION.value]))
    if due.is_empty() or suspects.is_empty():
        return decisions, nothing
    known = pairs.select("link_id", "person_id", "crm_id").with_row_index("row")
    latest = due.sort("written_at").unique(["person_id", "field"], keep="last", maintain_order=True)
    met = suspects.join(known, on="row").join(latest, on=["person_id", "field"])
    met = met.filter(pl.col("person").eq_missing(pl.col("before")) & pl.col("base").eq_missing(pl.col("after_right")))
    if met.is_empty():
        return decisions, nothing
    marked = decisions.join(met.select("row", "field", _blocked=True), on=["row", "field"], how="left")
    blocked = pl.col("_blocked").fill_null(value=False)
    again = blocked & (pl.col("change") == Change.COLLISION.value)
    only = blocked & (pl.col("change") == Change.PERSON.value)
    settled = marked.with_columns(
        pl.when(again)
        .then(pl.lit(Direction.INBOUND.value))
        .when(only)
        .then(None)
        .otherwise("direction")
        .alias("direction"),
        pl.when(again).then("crm").otherwise("after").alias("after"),
        pl.when(again).then(pl.lit(Change.CRM.value)).otherwise("change").alias("change"),
        pl.when(blocked).then(pl.lit(RULE)).otherwise("rule").alias("rule"),
    )
    told = met.select(*known.columns[1:], "field", pl.col("after_right").alias("value"), "op_id")
    told = told.with_columns(pl.lit(entity.value).alias("entity")).select(list(SCHEMA))
    return settled.select(decisions.columns), told


def expected(echoes: pa.Table, matched: pl.DataFrame) -> pl.DataFrame:
    """Echoes that this run's feed did not show either."""
    if echoes.num_rows == 0:
        return pl.DataFrame()
    frame = frame_of(echoes)
    return frame.join(matched, on=["person_id", "field", "op_id"], how="anti")


def notices(blocked: pl.DataFrame, run_id: str, now: datetime) -> pa.Table:
    """Closed rows for the activity log: nothing waits for them."""
    message = "Marketo kept its value without a word; the field blocks updates by this API user (Block Field Updates)"
    fixed: Sequence[tuple[str, object]] = (
        ("outcome", "notice"), ("operation", "update"), ("direction", Direction.INBOUND.value), ("code", CODE),
        ("message", message), ("rule", RULE), ("run_id", run_id), ("at", now), ("open", False),
    )  # fmt: skip
    return blocked.with_columns(pl.lit(value).alias(name) for name, value in fixed).to_arrow()
