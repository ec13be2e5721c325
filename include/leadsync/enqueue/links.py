"""Pairs and decisions → link rows as they are to be stored: base, sides, hashes."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from include.leadsync.baseline import SIDES, encode_base, encode_sides, side_entries, side_values
from include.leadsync.fields import hash_tag, row_hash
from include.leadsync.merge import Change
from include.leadsync.model import FieldMap, FieldType, LinkStatus
from include.leadsync.no_rows import left_joined, no_rows
from include.leadsync.plan.suspended import KEPT_OUT


def link_rows(
    pairs: pl.DataFrame, decisions: pl.DataFrame, field_map: FieldMap, layout_id: int, now: datetime
) -> pl.DataFrame:
    """Rows for the link table, `link_id` < 0 for those to insert; `expected_version` for the others.

    Equal changes move the base (D3). What a side shows and the other side does not have yet is kept
    as an open value until it is acknowledged; a drift that the direction of a field ignores is kept
    as a spelling, so that it counts as nothing.
    """
    names = field_map.names
    decisions = decisions.filter(decisions["change"] != Change.OVERWRITTEN.value)
    based = _with_flags(_with_converged(pairs, decisions, names), decisions, field_map)
    rows = pairs.select(
        "link_id",
        pl.lit(field_map.entity.value).alias("entity"),
        "person_id",
        "crm_id",
        pl.when(pl.col("status") == LinkStatus.SUSPENDED)
        .then(pl.lit(LinkStatus.SUSPENDED.value))
        .when(pl.col("create").is_null())
        .then(pl.lit(LinkStatus.ACTIVE.value))
        .otherwise(pl.lit(LinkStatus.CREATING.value))
        .alias("status"),
        (pl.col("version") + 1).alias("version"),
        pl.col("version").alias("expected_version"),
        pl.lit(layout_id).alias("layout_id"),
        pl.col("etag").alias("crm_etag"),
        "crm_state",
        pl.lit(hash_tag()).alias("hash_tag"),
        pl.lit(None, pl.String).alias("dirty"),
        pl.lit(now).alias("changed_at"),
        encode_base(_with_kept(based, field_map), field_map.layout_names, _unlinked(pairs, decisions)),
        *(_digests(pairs, prefix, side, names) for prefix, side in SIDES),
    )
    decided = decisions.hstack([pairs["link_id"].gather(decisions["row"])])
    restored = _restored(decided)
    for prefix, side in SIDES:
        rows = left_joined(rows, encode_sides(_entries(pairs, decided, restored, prefix, side), side), "link_id")
    return _never_agreed(rows, pairs, names)


def _digests(pairs: pl.DataFrame, prefix: str, side: str, names: tuple[str, ...]) -> pl.Expr:
    """Hashes of what a side shows; none of a record that is still to be created."""
    digests = pl.Series(row_hash(side_values(pairs, prefix, names), names), dtype=pl.Int64)
    return pl.when(pl.col("create").ne_missing(side)).then(digests).alias(f"{side}_hash")


def _never_agreed(rows: pl.DataFrame, pairs: pl.DataFrame, names: tuple[str, ...]) -> pl.DataFrame:
    """A pair that was suspended before it ever synced has no baseline: it is a first link when it resumes (D4)."""
    suspended = pairs["status"] == LinkStatus.SUSPENDED
    if not suspended.any():
        return rows
    first = pairs.select(pl.all_horizontal(pl.lit(value=True), *(f"n.{name}" for name in names))).to_series()
    blank = first & suspended
    columns = ("base", "layout_id", "person_hash", "crm_hash", "person_side", "person_open", "crm_side", "crm_open")
    return rows.with_columns(pl.when(~blank).then(pl.col(name)).alias(name) for name in columns)


def _unlinked(pairs: pl.DataFrame, decisions: pl.DataFrame) -> pl.Series:
    """Per pair the fields of a first link that are still to be written: refused or kept out, they stay so (D4).

    Likewise those of which this run decides nothing, as long as both sides differ.
    """
    first = decisions.filter(decisions["change"] == Change.FIRST_LINK.value)
    refused = pairs["unlinked"]
    if first.is_empty() and refused.null_count() == pairs.height:
        return pl.Series("u", [None] * pairs.height, dtype=pl.List(pl.String))
    waits = pl.col("direction").is_not_null() | (pl.col("rule") == KEPT_OUT)
    due = first.filter(waits & pl.col("base").is_null())
    parts = [due.select("row", "field")]
    numbered = pairs.with_row_index("row")
    for name in refused.explode(empty_as_null=False).drop_nulls().unique().to_list():
        if f"n.{name}" in pairs.columns:
            open_still = pl.col(f"n.{name}") & pl.col(f"p.{name}").ne_missing(pl.col(f"c.{name}"))
            here = numbered.filter(pl.col("unlinked").list.contains(name).fill_null(value=False) & open_still)
            parts.append(here.select("row", pl.lit(name).alias("field")))
    linked = numbered.filter(pl.col("create").is_null()).select("row")
    fields = pl.concat(parts).unique().join(linked, on="row", how="semi")
    fields = fields.group_by("row").agg(pl.col("field").sort().alias("u"))
    return numbered.select("row").join(fields, on="row", how="left", maintain_order="left")["u"]


def _with_kept(based: pl.DataFrame, field_map: FieldMap) -> pl.DataFrame:
    """A column for the baseline of every field that is set aside, also where a pair has none (D67)."""
    missing = [name for name, _ in field_map.kept if f"b.{name}" not in based.columns]
    if not missing:
        return based
    return based.with_columns(pl.lit(None, pl.String).alias(f"b.{name}") for name in missing)


def _with_converged(pairs: pl.DataFrame, decisions: pl.DataFrame, names: tuple[str, ...]) -> pl.DataFrame:
    change = decisions["change"]
    settled = (change == Change.UNDONE.value) & decisions["direction"].is_null()  # an undo that had arrived
    agreed = decisions.filter((change == Change.CONVERGED.value) | settled)
    if agreed.is_empty():
        return pairs
    columns = []
    for name in agreed["field"].unique().to_list():
        if name in names:
            cells = agreed.filter(pl.col("field") == name)
            columns.append(pairs[f"b.{name}"].scatter(cells["row"], cells["after"]))
    return pairs.with_columns(columns)


def _with_flags(pairs: pl.DataFrame, decisions: pl.DataFrame, field_map: FieldMap) -> pl.DataFrame:
    """Flags have no third state (D62): agreed on false where nothing else is known.

    Not where one of a first link has yet to be written: refused, it would look as if the side that says true had
    changed (D4).
    """
    flags = [field.name for field in field_map.fields if field.rule.type is FieldType.BOOLEAN]
    unknown = [name for name in flags if pairs[f"b.{name}"].null_count()]
    if not unknown:
        return pairs
    due = decisions.filter(decisions["direction"].is_not_null())
    written = set(due["field"].unique())
    known = [pl.col(f"b.{name}").fill_null("false") for name in unknown if name not in written]
    some = [(pairs[f"b.{name}"], due.filter(due["field"] == name)["row"]) for name in unknown if name in written]
    return pairs.with_columns(*known, *(b.fill_null("false").scatter(at, b.gather(at)) for b, at in some))


def _restored(decided: pl.DataFrame) -> pl.DataFrame:
    """Cells (link_id, field) of edits that go to both sides although both show the base.

    Both sides must stay open until that is acknowledged.
    """
    written = (decided["change"] != Change.CONVERGED.value) & decided["direction"].is_not_null()
    cells = decided.filter(written).select("link_id", "field")
    return cells.filter(cells.is_duplicated()).unique()


def _entries(
    pairs: pl.DataFrame, decided: pl.DataFrame, restored: pl.DataFrame, prefix: str, side: str
) -> pl.DataFrame:
    """What the side shows differently from the base after this run: link_id, field, value, open.

    `decided`: the decisions with their `link_id`.
    """
    spellings = side_entries(pairs, side)
    spellings = spellings.filter(~spellings["open"])  # an open value nobody decided on was taken back
    if decided.is_empty():
        return spellings
    kept = spellings.join(decided, on=["link_id", "field"], how="anti") if spellings.height else spellings
    undecided = decided["change"] != Change.CONVERGED.value
    moved = decided.filter(undecided & decided[side].ne_missing(decided["base"]))
    if moved.is_empty() and restored.is_empty():
        return kept
    moved = moved.select(
        "link_id",
        "field",
        pl.col(side).alias("value"),
        (pl.col("direction").is_not_null() | (pl.col("rule") == KEPT_OUT)).alias("open"),
    )
    if spellings.height:
        # What a side has spelled its own way all along is no change of it, also while one of the other is under way.
        as_before = spellings.select("link_id", "field", "value", pl.lit(value=True).alias("_as_before"))
        cell = ["link_id", "field", "value"]
        moved = moved.join(as_before, on=cell, how="left", nulls_equal=True, maintain_order="left")
        moved = moved.with_columns(pl.col("open") & pl.col("_as_before").is_null()).drop("_as_before")
    if restored.height:
        both = _actual(pairs, restored, prefix).with_columns(pl.lit(value=True).alias("open"))
        moved = pl.concat([both, moved])
    return pl.concat([kept, moved.unique(["link_id", "field"], keep="first", maintain_order=True)])


def _actual(pairs: pl.DataFrame, cells: pl.DataFrame, prefix: str) -> pl.DataFrame:
    """What the side really shows in the given cells."""
    parts = [no_rows({"link_id": pl.Int64, "field": pl.String, "value": pl.String})]
    for name in cells["field"].unique().to_list():
        here = cells.filter(pl.col("field") == name)["link_id"]
        shown = pairs.filter(pl.col("link_id").is_in(here.to_list()))
        parts.append(shown.select("link_id", pl.lit(name).alias("field"), pl.col(f"{prefix}.{name}").alias("value")))
    return pl.concat(parts)
