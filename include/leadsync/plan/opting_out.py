"""An opt-out that was just made is never undone by a lift, whatever became of the lift (D86, D88).

The comparison with the baseline sees values, not moments. A lift whose answer was lost may have been written, and a
fresh opt-out may have been made on top of it: then the side shows what the baseline holds, as if nothing had happened.
Marketo's feed tells of such an opt-out. Dynamics has no feed of values: there a version that moved on is reason enough
to leave the opt-out where it is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

import polars as pl

from include.leadsync.merge import DECISION_SCHEMA, Change
from include.leadsync.model import Direction, FieldMap, Flow, Winner

_IN, _OUT = Direction.INBOUND.value, Direction.OUTBOUND.value


def consent_fields(field_map: FieldMap) -> list[str]:
    """Fields in which an opt-out beats everything."""
    return [
        field.name
        for field in field_map.fields
        if field.rule.consent and field.rule.winner is Winner.OPT_OUT and field.rule.flow is Flow.BOTH
    ]


def with_opt_outs(
    decisions: pl.DataFrame,
    pairs: pl.DataFrame,
    opt_outs: pl.DataFrame,
    moved_on: Collection[int],
    field_map: FieldMap,
) -> pl.DataFrame:
    """Decisions in which fresh opt-outs stand: both sides get them.

    `opt_outs`: person_id, field of opt-outs that the feed has just shown. `moved_on`: links whose last write had no
    answer and whose CRM record has another version than the one that was written to.
    """
    parts = list(_cells(decisions, pairs, opt_outs, moved_on, consent_fields(field_map)))
    if not parts:
        return decisions
    cells = pl.concat(parts).unique(["row", "field"], maintain_order=True)
    kept = decisions.join(cells, on=["row", "field"], how="anti")
    fixed = (pl.lit(Change.COLLISION.value).alias("change"), pl.lit("true").alias("after"), pl.lit("D86").alias("rule"))
    towards = [
        cells.filter(pl.col(side).ne_missing("true")).with_columns(pl.lit(direction).alias("direction"), *fixed)
        for side, direction in (("person", _IN), ("crm", _OUT))
    ]
    added = [part.select(pl.col(name).cast(dtype) for name, dtype in DECISION_SCHEMA.items()) for part in towards]
    return pl.concat([kept, *added]).sort("row", "field")


def _cells(
    decisions: pl.DataFrame, pairs: pl.DataFrame, opt_outs: pl.DataFrame, moved_on: Collection[int], names: list[str]
) -> Iterator[pl.DataFrame]:
    """Cells (row, field, base, person, crm) of which not both sides show the opt-out."""
    if opt_outs.is_empty() and not moved_on:
        return
    lifted = decisions.filter((pl.col("direction") == _OUT) & (pl.col("after") == "false"))
    for name in names:
        told = opt_outs.filter(pl.col("field") == name)["person_id"].to_list()
        lifts = lifted.filter(pl.col("field") == name)["row"].to_list()
        if not told and not (moved_on and lifts):
            continue
        shown = pairs.select(
            pl.lit(name).alias("field"),
            pl.col(f"b.{name}").alias("base"),
            pl.col(f"p.{name}").alias("person"),
            pl.col(f"c.{name}").alias("crm"),
            (pl.col("link_id").is_in(list(moved_on)) & (pl.col(f"c.{name}") == "true")).alias("_doubt"),
            "person_id",
        ).with_row_index("row")
        stands = pl.col("person_id").is_in(told) | (pl.col("_doubt") & pl.col("row").is_in(lifts))
        differ = pl.col("person").ne_missing("true") | pl.col("crm").ne_missing("true")
        differ &= pl.col("person").ne_missing("true") | (pl.col("base") == "true")  # else it crosses as any change
        yield shown.filter(stands & differ).drop("_doubt", "person_id")


def in_doubt(pairs: pl.DataFrame, versions: Mapping[int, str | None]) -> set[int]:
    """Links of the pairs whose record was read and has another version than `versions` (link → when we wrote)."""
    if not versions:
        return set()
    known = pairs.filter(pl.col("c_fresh") & pl.col("link_id").is_in(list(versions))).select("link_id", "etag")
    return {link_id for link_id, etag in known.iter_rows() if etag is None or etag != versions[link_id]}


def without_lifts(decisions: pl.DataFrame, pairs: pl.DataFrame, field_map: FieldMap) -> tuple[pl.DataFrame, list[int]]:
    """Decisions without lifts towards Marketo, and the links whose lifts wait for a run that reads the feed."""
    names = consent_fields(field_map)
    lift = (pl.col("direction") == _IN) & (pl.col("after") == "false") & pl.col("field").is_in(names)
    waiting = decisions.filter(lift)
    return decisions.filter(~lift.fill_null(value=False)), pairs["link_id"].gather(waiting["row"].unique()).to_list()
