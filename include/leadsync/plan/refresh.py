"""Fields that have no baseline yet, and fields somebody wants refreshed (R95–R97, R100, D69).

A field that joined the map is not a first link: its values come from one side, empty ones included, as in the
native sync. What was refused of a first link did not join. What either side changed since a baseline is decided by
the usual rules also here, so that a refresh never overrides a winner.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from include.leadsync.backfills import Stretch
from include.leadsync.baseline import outside_layout
from include.leadsync.merge import DECISION_SCHEMA, Change
from include.leadsync.model import Direction, FieldMap, Flow, SyncField, Winner

JOINED, REFRESHED, UNDO = "R95", "R97", "undo"
"""Rules of values that cross because a field joined the map, or because somebody asked for it or took a run back."""

_IN, _OUT = Direction.INBOUND.value, Direction.OUTBOUND.value


def refreshed(
    decisions: pl.DataFrame,
    pairs: pl.DataFrame,
    field_map: FieldMap,
    direction: str,
    stretch: Stretch,
    moved: Sequence[int] = (),
) -> pl.DataFrame:
    """Decisions with joined and refreshed fields settled; `pairs` and `decisions` as for `merge`.

    `moved`: links that have another record or person now; what they lack a baseline of did not join (D36).
    """
    new = set(decisions.filter(decisions["change"] == Change.FIRST_LINK.value)["field"])  # without baseline
    if not new and not stretch.asked:
        return decisions.sort("row", "field")
    linked = _with_baseline(pairs, field_map) & ~pairs["link_id"].is_in(list(moved))
    mine = pairs["link_id"].is_in(list(stretch.link_ids))
    parts = [decisions]
    for field in field_map.fields:
        if field.rule.consent:  # an opt-out wins and nothing is lifted, whoever fills whom (D88)
            continue
        of_job = field.name in stretch.fields
        for rows, towards in ((linked & ~mine, direction), (linked & mine, stretch.direction if of_job else direction)):
            way = _way(field, towards)
            if way and field.name in new:
                lacking = pairs.select(outside_layout(field.name)).to_series()
                parts[0] = _joined(parts[0], rows & lacking, field, way)
        way = _way(field, stretch.direction)
        if of_job and stretch.asked and way:
            parts.append(_drifted(pairs, parts[0], mine & linked, field, way))
    return pl.concat(parts).sort("row", "field")


def _with_baseline(pairs: pl.DataFrame, field_map: FieldMap) -> pl.Series:
    """Pairs that agreed on something before: a field without baseline joined later."""
    known = pl.any_horizontal(pl.lit(value=False), *(~pl.col(f"n.{name}") for name in field_map.names))
    return pairs.select(known.alias("linked")).to_series()


def _way(field: SyncField, towards: str) -> str | None:
    """The direction in which a field is filled; None: as on a first link."""
    flow = field.rule.flow
    if flow is Flow.OUTBOUND:
        return _OUT
    if flow is Flow.INBOUND or field.rule.outbound_on_create_only:
        return _IN
    return {"inbound": _IN, "outbound": _OUT}.get(towards)


def _joined(decisions: pl.DataFrame, rows: pl.Series, field: SyncField, way: str) -> pl.DataFrame:
    after = pl.col("crm") if way == _IN else pl.col("person")
    positions = rows.arg_true().to_list()
    mine = (pl.col("field") == field.name) & (pl.col("change") == Change.FIRST_LINK.value)
    mine = mine & pl.col("row").is_in(positions)
    if field.rule.winner is Winner.NEVER_BLANK:
        mine = mine & after.is_not_null()
    if field.rule.inbound_write_once and way == _IN:
        mine = mine & pl.col("person").is_null()
    return decisions.with_columns(
        pl.when(mine).then(pl.lit(way)).otherwise(pl.col("direction")).alias("direction"),
        pl.when(mine).then(after).otherwise(pl.col("after")).alias("after"),
        pl.when(mine).then(pl.lit(JOINED)).otherwise(pl.col("rule")).alias("rule"),
    )


def _drifted(pairs: pl.DataFrame, decisions: pl.DataFrame, rows: pl.Series, field: SyncField, way: str) -> pl.DataFrame:
    """Cells that differ although no rule writes them: a drift that the direction of a field puts up with (R100)."""
    name = field.name
    written = decisions.filter((pl.col("field") == name) & pl.col("direction").is_not_null())["row"].to_list()
    after = pl.col("crm") if way == _IN else pl.col("person")
    cells = pairs.select(
        pl.int_range(pl.len(), dtype=pl.UInt32).alias("row"),
        pl.lit(name).alias("field"),
        pl.lit((Change.CRM if way == _IN else Change.PERSON).value).alias("change"),
        pl.lit(way).alias("direction"),
        pl.col(f"b.{name}").alias("base"),
        pl.col(f"p.{name}").alias("person"),
        pl.col(f"c.{name}").alias("crm"),
    ).filter(rows & ~pl.col("row").is_in(written) & pl.col("person").ne_missing(pl.col("crm")))
    if field.rule.winner is Winner.NEVER_BLANK:
        cells = cells.filter(after.is_not_null())
    if field.rule.inbound_write_once and way == _IN:
        cells = cells.filter(pl.col("person").is_null())
    return cells.with_columns(after.alias("after"), pl.lit(REFRESHED).alias("rule")).select(
        pl.col(column).cast(dtype) for column, dtype in DECISION_SCHEMA.items()
    )


def asked_for(rules: Sequence[str] = (JOINED, REFRESHED, UNDO)) -> pl.Expr:
    """Rows of decisions or plans that belong into the lane of backfills."""
    return pl.col("rule").is_in(list(rules))
