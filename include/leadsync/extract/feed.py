"""Whose change is it? Telling our own writes in Marketo's feed from everybody else's.

The feed marks no writer, so a write of ours is recognised by what it did (DECISIONS 19): the ledger
says which value we put over which. A row that ends in our value is ours; if it began with another
value than the one we had read, somebody edited the field between our read and our write, and
that edit was overwritten: it comes back as a concurrent edit, never as a loss (P2, ARCHITECTURE §5.9).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import polars as pl

from include.leadsync.fields import from_activity_text
from include.leadsync.model import SyncField
from include.leadsync.no_rows import no_rows

CLOCK_SKEW = timedelta(seconds=120)
"""How far Marketo's clock may be behind ours when a feed row is held against our time of writing."""

OVERWRITTEN_SCHEMA = pl.Schema(
    [
        ("person_id", pl.Int64()),
        ("field", pl.String()),
        ("before", pl.String()),
        ("value", pl.String()),
        ("after", pl.String()),
        ("op_id", pl.String()),
        ("at", pl.Datetime("us", "UTC")),
    ]
)
"""Edits that our writes ran over: `before` is what we had read, `value` the edit, `after` what we wrote."""


MATCHED_SCHEMA = pl.Schema({"person_id": pl.Int64(), "field": pl.String(), "op_id": pl.String()})


OPT_OUTS_SCHEMA = pl.Schema({"person_id": pl.Int64(), "field": pl.String()})
"""Consent fields in which somebody has just opted out."""


@dataclass(frozen=True)
class Explained:
    """A stretch of the feed, taken apart."""

    foreign: list[int]  # persons with at least one change that is not ours
    overwritten: pl.DataFrame  # OVERWRITTEN_SCHEMA
    matched: pl.DataFrame  # MATCHED_SCHEMA, of the echoes that were found
    opt_outs: pl.DataFrame  # OPT_OUTS_SCHEMA


def explain(rows: pl.DataFrame, echoes: pl.DataFrame, fields: dict[str, SyncField]) -> Explained:
    """Hold feed rows (as `MarketoClient.lead_changes`) against the echoes our writes left.

    `echoes`: person_id, field, before, after, written_at, op_id. Rows without a field (new persons)
    and rows of unmapped fields are nobody's change here.
    """
    if rows.is_empty():
        return Explained([], no_rows(OVERWRITTEN_SCHEMA), no_rows(MATCHED_SCHEMA), no_rows(OPT_OUTS_SCHEMA))
    changes = _canonical(rows.filter(pl.col("field").is_in(list(fields))), fields)
    own = _own(changes, echoes)
    foreign = changes.join(own.select("guid"), on="guid", how="anti") if own.height else changes
    opt_outs = _opt_outs(changes, own, [name for name, field in fields.items() if field.rule.consent])
    matched = own.select("person_id", "field", "op_id")
    return Explained(sorted(set(foreign["person_id"].to_list())), _overwritten(own), matched, opt_outs)


def _own(changes: pl.DataFrame, echoes: pl.DataFrame) -> pl.DataFrame:
    """Changes that a write of ours explains, each by another one, with what its echo says."""
    expected = echoes.select("person_id", "field", "before", "after", "written_at", "op_id")
    candidates = changes.join(
        expected, left_on=["person_id", "field", "new"], right_on=["person_id", "field", "after"], nulls_equal=True
    ).filter(pl.col("at") >= pl.col("written_at") - CLOCK_SKEW)
    if candidates.is_empty():
        return candidates
    return (
        candidates.sort("at", "guid")
        .unique(["person_id", "field", "op_id"], keep="first", maintain_order=True)
        .unique("guid", keep="first", maintain_order=True)
    )


def _overwritten(own: pl.DataFrame) -> pl.DataFrame:
    """`OVERWRITTEN_SCHEMA`: what our writes found changed since it was read."""
    if own.is_empty():
        return no_rows(OVERWRITTEN_SCHEMA)
    lost = own.filter(pl.col("old").ne_missing(pl.col("before")) & pl.col("old").ne_missing(pl.col("new")))
    return lost.select(
        "person_id", "field", "before", pl.col("old").alias("value"), pl.col("new").alias("after"), "op_id", "at"
    ).cast(OVERWRITTEN_SCHEMA)


def _opt_outs(changes: pl.DataFrame, own: pl.DataFrame, consent: list[str]) -> pl.DataFrame:
    """Opt-outs that nobody but us may have lifted since, `OPT_OUTS_SCHEMA`.

    Which of two lifts is ours cannot be told when they are close together; then the opt-out stands.
    """
    consents = changes.filter(pl.col("field").is_in(consent))
    if consents.is_empty():
        return no_rows(OPT_OUTS_SCHEMA)
    ordered = consents.sort("at", maintain_order=True).with_row_index("place")
    key = ["person_id", "field"]
    out = ordered.filter(pl.col("new") == "true").join(own.select("guid"), on="guid", how="anti")
    out = out.unique(key, keep="last", maintain_order=True).select(*key, pl.col("place").alias("_out"), "at")
    lifts = ordered.filter(pl.col("new") != "true").join(out, on=key).filter(pl.col("place") > pl.col("_out"))
    ours = own.filter(pl.col("new") != "true").join(out, on=key, suffix="_out")
    ours = ours.filter(pl.col("written_at") >= pl.col("at_out") - CLOCK_SKEW)
    counts = out.join(lifts.group_by(key).agg(pl.len().alias("lifts")), on=key, how="left")
    counts = counts.join(ours.group_by(key).agg(pl.len().alias("ours")), on=key, how="left")
    stands = pl.col("lifts").fill_null(0) <= pl.col("ours").fill_null(0)
    return counts.filter(stands).select(list(OPT_OUTS_SCHEMA))


def _canonical(rows: pl.DataFrame, fields: dict[str, SyncField]) -> pl.DataFrame:
    """Old and new value in canonical form; feed rows are few, their texts need their field's type."""
    named = rows["field"].to_list()
    old = [from_activity_text(fields[name], text) for name, text in zip(named, rows["old"], strict=True)]
    new = [from_activity_text(fields[name], text) for name, text in zip(named, rows["new"], strict=True)]
    return rows.select("guid", "person_id", "field", pl.col("at").cast(pl.Datetime("us", "UTC"))).with_columns(
        pl.Series("old", old, dtype=pl.String), pl.Series("new", new, dtype=pl.String)
    )
