"""The sync filter against both systems: which columns it reads, what is wrong with it, when it fails closed.

A filter column that was there once and is not any more stops the inbound half of its entity (D68): by
R113 "no column" means "sync everything", and that would flood Marketo. A column that was never there
is a mistake of the configuration, except the default one, which an org may simply not have.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import polars as pl
import pyarrow as pa

from include.leadsync.errors import ConfigurationInvalid, Problem
from include.leadsync.fields.columns import Wire, dynamics_columns, marketo_wire
from include.leadsync.fields.conditions import (
    Condition,
    canonical_value,
    column_of,
    condition_mistakes,
    field_of,
    fulfilled,
)
from include.leadsync.model import DynamicsAttribute, Entity, FieldMap, MarketoField, SyncField, System
from include.leadsync.settings.filters import EntityFilter, PersonCondition, Plain, RecordCondition
from include.leadsync.settings.tree import Settings

_DEFAULT = EntityFilter().column


@dataclass(frozen=True, slots=True)
class SyncFilter:
    """The filter of one entity, ready to be used."""

    entity: Entity
    column: str | None = None  # two-options column; None: there is none
    keeps_out: bool = False  # its value that keeps a record out
    records: tuple[Condition, ...] = ()
    persons: tuple[Condition, ...] = ()
    outbound: bool = False  # a record that is kept out still gets the person's changes (D70: continue)
    set_on_create: bool = False  # the column is written when a CRM record is created (D71)
    blocked: str | None = None  # why nothing of this entity may come in (D68)

    def row_columns(self) -> dict[str, Wire]:
        """Columns of Dynamics that the filter looks at."""
        conditions = FieldMap(self.entity, tuple(condition.field for condition in self.records))
        own: dict[str, Wire] = {self.column: "boolean"} if self.column else {}
        return {**dynamics_columns(conditions), **own}

    def person_columns(self) -> dict[str, Wire]:
        """Fields of Marketo that the filter looks at."""
        return {c.field.name: marketo_wire(c.field.marketo.type) for c in self.persons}

    def person_fields(self) -> dict[str, SyncField]:
        """The same as fields, so that the feed can be read for them."""
        return {condition.field.name: condition.field for condition in self.persons}

    def allows_rows(self, raw: pa.Table) -> pl.Series:
        """Which CRM records, as read, may be synced: only an explicit "no" keeps one out (R113)."""
        met = fulfilled(raw, self.records, System.DYNAMICS)
        if self.column is None:
            return met
        value = pl.Series(raw.column(self.column)).cast(pl.Boolean)
        return met & (value != self.keeps_out).fill_null(value=True)

    def allows_persons(self, raw: pa.Table) -> pl.Series:
        """Which persons, as read, may be synced (D73)."""
        return fulfilled(raw, self.persons, System.MARKETO)

    @property
    def looked_at(self) -> list[str]:
        """Columns of Dynamics by their logical names."""
        own = [self.column] if self.column else []
        return sorted({*own, *(condition.field.dynamics.name for condition in self.records)})

    def rows_signature(self) -> str:
        """Changes when other CRM records may be synced."""
        parts = [(c.field.dynamics.name, c.operator.value, sorted(c.values)) for c in self.records]
        return json.dumps([self.column, self.column and self.keeps_out, sorted(parts)])

    def persons_signature(self) -> str:
        """Changes when other persons may be synced."""
        return json.dumps(sorted((c.field.name, c.operator.value, sorted(c.values)) for c in self.persons))


def resolve_filters(
    settings: Settings,
    marketo: Sequence[MarketoField],
    dynamics: Mapping[Entity, Sequence[DynamicsAttribute]],
    maps: Mapping[Entity, FieldMap],
    seen: Mapping[Entity, Collection[str]],
) -> dict[Entity, SyncFilter]:
    """The filter of each entity. `seen`: filter columns that were there before.

    Raises `ConfigurationInvalid` with every condition that neither system can make sense of.
    """
    problems: list[Problem] = []
    fields = {field.name: field for field in marketo}
    filters: dict[Entity, SyncFilter] = {}
    for entity in Entity:
        attributes = {a.name: a for a in dynamics.get(entity, ()) if a.readable}
        hidden = [a.name for a in dynamics.get(entity, ()) if a.hidden]  # what they say cannot be known: fail closed
        one = _Resolving(settings, entity, attributes, fields, maps[entity], {*seen.get(entity, ()), *hidden})
        filters[entity] = one.resolve()
        problems += one.problems
    if problems:
        raise ConfigurationInvalid(problems)
    return filters


class _Resolving:
    """One entity's filter; collects what is wrong with it."""

    def __init__(
        self,
        settings: Settings,
        entity: Entity,
        attributes: Mapping[str, DynamicsAttribute],
        fields: Mapping[str, MarketoField],
        field_map: FieldMap,
        seen: Collection[str],
    ) -> None:
        self._settings, self._entity, self._seen = settings, entity, seen
        self._attributes, self._fields = attributes, fields
        self._mapped = {field.name: field for field in field_map.fields}
        self._entry = settings.filter.of(entity)
        self._lost: list[str] = []
        self.problems: list[Problem] = []

    def resolve(self) -> SyncFilter:
        """The filter, as far as it could be made sense of."""
        column = self._column()
        records = tuple(c for n, entry in enumerate(self._entry.records) if (c := self._record(n, entry)))
        persons = tuple(c for n, entry in enumerate(self._entry.persons) if (c := self._person(n, entry)))
        creatable = column is not None and self._attributes[column].creatable
        return SyncFilter(
            self._entity,
            column,
            self._entry.keeps_out,
            records,
            persons,
            outbound=self._entry.outbound == "continue",
            set_on_create=self._entry.set_on_create and creatable,
            blocked=self._blocked(),
        )

    def _column(self) -> str | None:
        name = self._entry.column
        if name is None:
            return None
        attribute = self._attributes.get(name)
        if attribute is not None and attribute.type == "Boolean":
            return name
        if name in self._seen:
            self._lost.append(name if attribute is None else f"{name} (now of type {attribute.type})")
        elif attribute is not None:
            self._wrong(("column",), f"{name}, which is of type {attribute.type}", "a two-options (yes/no) column")
        elif name != _DEFAULT:
            found = f"{self._entity.value} has no readable column {name}"
            self._wrong(("column",), found, "a two-options column, or null for none" + _nearest(name, self._attributes))
        return None

    def _record(self, number: int, entry: RecordCondition) -> Condition | None:
        key = ("records", str(number))
        attribute = self._attributes.get(entry.column)
        field = column_of(self._entity, attribute) if attribute else None
        if field is not None:
            return self._condition(key, field, entry)
        if entry.column in self._seen:
            self._lost.append(entry.column)
            return None
        found = f"{self._entity.value} has no readable column {entry.column}"
        if attribute is not None:
            found = f"{entry.column}, whose type {attribute.type} cannot be compared"
        self._wrong((*key, "column"), found, "a logical name" + _nearest(entry.column, self._attributes))
        return None

    def _person(self, number: int, entry: PersonCondition) -> Condition | None:
        key = ("persons", str(number))
        there = self._fields.get(entry.field)
        if there is None:
            expected = "a REST name from Marketo's describe" + _nearest(entry.field, self._fields)
            self._wrong((*key, "field"), f"Marketo has no field {entry.field}", expected)
            return None
        return self._condition(key, self._mapped.get(entry.field) or field_of(self._entity, there), entry)

    def _condition(
        self, key: tuple[str, ...], field: SyncField, entry: RecordCondition | PersonCondition
    ) -> Condition | None:
        texts = [_text(value) for value in entry.values]
        mistakes = condition_mistakes(field, entry.operator, texts)
        for name, found, expected in mistakes:
            self._wrong((*key, name), found, expected)
        if mistakes:
            return None
        values = tuple(value for text in texts if (value := canonical_value(field, text)) is not None)
        return Condition(field, entry.operator, values)

    def _blocked(self) -> str | None:
        if not self._lost:
            return None
        names, entity = ", ".join(self._lost), self._entity.value
        return (
            f"the filter of {entity} looks at {names}, which was there and cannot be read any more; nothing comes in"
            f" from {entity} until it is back, because without it every {entity} would. Restore the column or the"
            f" right to read it, or change filter.{entity} in leadsync.yaml (column: null for no filter)"
        )

    def _wrong(self, key: tuple[str, ...], found: str, expected: str) -> None:
        self.problems.append(self._settings.problem(("filter", self._entity.value, *key), found, expected))


def _text(value: Plain) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _nearest(name: str, known: Iterable[str]) -> str:
    nearest = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {nearest[0]!r}?" if nearest else ""
