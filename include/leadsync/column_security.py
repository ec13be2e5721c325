"""Secured columns: where our user lacks the right, every value comes as null, and none of these nulls is a clearing.

Dynamics does not say of a null whether it hides something, so a secured column counts as readable only while some row
shows a value in it. Else it is set aside as if it were not there: the rest goes on, and it is back by itself (D67).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

import polars as pl

from include.leadsync.context import Engine
from include.leadsync.merge import Change
from include.leadsync.model import Direction, DynamicsAttribute, Entity, FieldMap
from include.leadsync.settings.tree import Settings

_ADDRESS = "emailaddress1"


def without_hidden(
    engine: Engine, tables: Mapping[Entity, Sequence[DynamicsAttribute]]
) -> dict[Entity, list[DynamicsAttribute]]:
    """The columns as our user meets them: secured ones of which no value can be seen are not readable.

    Only columns that the configuration names are looked at, each with one call.
    """
    shown: dict[Entity, list[DynamicsAttribute]] = {}
    for entity, columns in tables.items():
        hidden = _hidden(engine, entity, columns, named_columns(engine.settings, entity))
        shown[entity] = [replace(each, readable=False) if each.name in hidden else each for each in columns]
    return shown


def _hidden(engine: Engine, entity: Entity, columns: Iterable[DynamicsAttribute], wanted: Collection[str]) -> set[str]:
    suspects = [column for column in columns if column.secured and column.readable and column.name in wanted]
    return {column.name for column in suspects if not engine.dynamics.shows_values(entity, column.wire)}


def named_columns(settings: Settings, entity: Entity) -> set[str]:
    """Every column of an entity that the configuration names, and the address that records are found by."""
    one = settings.filter.of(entity)
    rules = [rule.of(entity) or () for rule in settings.creation.partitions]
    names: set[str | None] = {entry.dynamics for entry in settings.fields.of(entity).values()}
    names |= {one.column, *(condition.column for condition in one.records)}
    names |= {condition.column for conditions in rules for condition in conditions}
    names |= {settings.lifecycle.conversion_reference, _ADDRESS}
    return {name for name in names if name}


def without_hidden_clears(
    engine: Engine, decisions: pl.DataFrame, pairs: pl.DataFrame, field_map: FieldMap
) -> tuple[pl.DataFrame, list[int]]:
    """Decisions without those that rest on the nulls of a column that is hidden by now, and the links concerned.

    The metadata that a run works with are up to `metadata_minutes` old, and rights change at any moment: so when a
    record seems to have lost a value, or a first link finds none, one call asks which columns are secured now.
    """
    if decisions.is_empty():
        return decisions, []
    empty = pl.col("crm").is_null()
    cleared = (pl.col("direction") == Direction.INBOUND.value) & pl.col("after").is_null() & empty
    first = (pl.col("direction") == Direction.OUTBOUND.value) & empty & (pl.col("change") == Change.FIRST_LINK.value)
    suspects = decisions.filter(cleared | first)["field"].unique().to_list()
    if not suspects:
        return decisions, []
    secured = engine.dynamics.secured_columns(field_map.entity)
    doubtful = [f for f in field_map.fields if f.name in suspects and f.dynamics.name in secured]
    names = [f.name for f in doubtful if not engine.dynamics.shows_values(field_map.entity, f.column)]
    hidden = pl.col("field").is_in(names)
    links = pairs["link_id"].gather(decisions.filter(hidden)["row"].unique()).to_list()
    return decisions.filter(~hidden), links
