"""What the merge kernel is held against: the same decisions by the barest polars, and record by record in Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from include.leadsync.model import Entity, FieldMap, SyncField, Winner

Cells = list[tuple[int, str, str, str | None, str | None]]
"""row, field, change, direction, value that survives."""

Record = Mapping[str, str | None]


def bare(pairs: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """Change list of two-way fields of a lead (Marketo wins) in as little polars as it takes; the yardstick."""
    found = pairs.select(
        pl.arg_where(
            pl.col(f"p.{name}").ne_missing(pl.col(f"b.{name}")) | pl.col(f"c.{name}").ne_missing(pl.col(f"b.{name}"))
        )
        .implode()
        .alias(name)
        for name in names
    )
    base, person, crm = pl.col("base"), pl.col("person"), pl.col("crm")
    parts = [
        pl.DataFrame(
            [rows.alias("row"), *(pairs[f"{side}.{name}"].gather(rows).alias(to) for side, to in _SIDES.items())]
        ).with_columns(field=pl.lit(name))
        for name in names
        if len(rows := found[name][0])
    ]
    change = (
        pl.when(person.eq_missing(crm))
        .then(pl.lit("converged"))
        .when(person.ne_missing(base) & crm.ne_missing(base))
        .then(pl.lit("collision"))
        .when(person.ne_missing(base))
        .then(pl.lit("person_changed"))
        .otherwise(pl.lit("crm_changed"))
    )
    outbound, inbound = ["collision", "person_changed"], ["crm_changed"]
    direction = (
        pl.when(change.is_in(outbound)).then(pl.lit("outbound")).when(change.is_in(inbound)).then(pl.lit("inbound"))
    )
    after = pl.when(change.is_in(inbound)).then(crm).otherwise(person)
    return pl.concat(parts).with_columns(change=change, direction=direction, after=after)


_SIDES = {"b": "base", "p": "person", "c": "crm"}


def row_by_row(records: Sequence[tuple[Record, Record, Record]], one_map: FieldMap) -> Cells:
    """The rules of `include.leadsync.merge` for linked pairs, one record after the other, one field after the other.

    `records`: base, person, CRM record.
    """
    decisions: Cells = []
    for row, (base, person, crm) in enumerate(records):
        for field in one_map.fields:
            name = field.name
            decided = _decide(field, one_map.entity, base.get(name), person.get(name), crm.get(name))
            if decided is not None:
                decisions.append((row, name, *decided))
    return decisions


Decided = tuple[str, str | None, str | None]


def _decide(field: SyncField, entity: Entity, base: str | None, person: str | None, crm: str | None) -> Decided | None:
    person_moved, crm_moved = person != base, crm != base
    if not person_moved and not crm_moved:
        return None
    if person == crm:
        return "converged", None, person
    change = "collision" if person_moved and crm_moved else "person_changed" if person_moved else "crm_changed"
    direction = _direction(field, entity, change, person, crm)
    return change, direction, person if direction == "outbound" else crm


def _direction(field: SyncField, entity: Entity, change: str, person: str | None, crm: str | None) -> str:
    if change != "collision":
        return "outbound" if change == "person_changed" else "inbound"
    winner = field.rule.winner
    if winner is Winner.NEVER_BLANK and (person is None or crm is None):
        return "inbound" if person is None else "outbound"
    if winner in {Winner.MARKETO, Winner.DYNAMICS}:
        return "outbound" if winner is Winner.MARKETO else "inbound"
    return "outbound" if entity is Entity.LEAD else "inbound"
