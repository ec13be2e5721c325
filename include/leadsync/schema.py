"""What both systems say of themselves, read rarely, kept in the state store, staged with each run.

Metadata costs some thirty calls, so it is read when it is older than `metadata_minutes`, when the
field map changed, or when a service signals a change (an expired delta token, V29). Every step
of a run then works with the one copy that the run staged.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property, lru_cache

import msgspec

from include.leadsync.column_security import without_hidden
from include.leadsync.config import (
    Partitions,
    Settings,
    SyncFilter,
    resolve_fields,
    resolve_filters,
    resolve_partitions,
)
from include.leadsync.context import Engine, RunRequest
from include.leadsync.errors import RetryLater
from include.leadsync.field_memory import shapes_proven
from include.leadsync.fields import Wire, dynamics_columns, marketo_columns
from include.leadsync.filter_memory import columns_seen
from include.leadsync.model import DynamicsAttribute, Entity, FieldMap, MarketoField, System
from include.leadsync.state import Metadata

DATASET = "schema"
_RESOLVED = "schema as resolved last"


@dataclass(frozen=True)
class Schema:
    """Metadata of both systems and the field maps that follow from it."""

    marketo: list[MarketoField]
    dynamics: dict[Entity, list[DynamicsAttribute]]
    maps: Mapping[Entity, FieldMap]
    filters: Mapping[Entity, SyncFilter]
    seen: Mapping[Entity, list[str]]  # filter columns that were there before (D68)
    proven: Mapping[Entity, Mapping[str, str]]  # name → shape of fields that worked before (D67)
    partitions: Mapping[Entity, Partitions]

    def map(self, entity: Entity | str) -> FieldMap:
        """The field map of one entity."""
        return self.maps[Entity(entity)]

    @cached_property
    def spelled(self) -> dict[Entity, str]:
        """The field maps as texts: another text is another map, or other metadata of its fields."""
        return {
            entity: repr([(f.rule, f.marketo, f.dynamics) for f in field_map.fields])
            for entity, field_map in self.maps.items()
        }

    def person_columns(self) -> dict[str, Wire]:
        """Marketo columns to read for any person: the union of both maps, and what the filters look at."""
        looked_at = {name: wire for f in self.filters.values() for name, wire in f.person_columns().items()}
        return looked_at | marketo_columns(self.maps.values())

    def row_columns(self, entity: Entity) -> dict[str, Wire]:
        """Dynamics columns to read for one entity, those of its filter and of the partition rules among them."""
        rules = self.filters[entity].row_columns() | self.partitions[entity].row_columns()
        return rules | dynamics_columns(self.maps[entity])


def describe_persons(engine: Engine) -> list[MarketoField]:
    """Marketo's fields, read now and kept for later."""
    fields = engine.marketo.describe()
    Metadata(engine.store).put(System.MARKETO, "person", _dump(fields))
    return fields


def current_schema(engine: Engine, *, refresh: bool = False) -> Schema:
    """The schema to work with now; reads the services when the kept copy is too old.

    A process that plays one cycle after the other works it out once, as long as all it follows from stays the same.

    Raises `ConfigurationInvalid` when the field map does not fit what the services say.
    """
    kept = Metadata(engine.store)
    oldest = engine.now() - timedelta(minutes=engine.settings.metadata_minutes)
    body = None if refresh else kept.get(System.MARKETO, "person", not_before=oldest)
    fields = describe_persons(engine) if body is None else list(_fields(body))
    tables: dict[Entity, list[DynamicsAttribute]] = {}
    for entity in Entity:
        body = None if refresh else kept.get(System.DYNAMICS, entity.value, not_before=oldest)
        if body is None:
            tables[entity] = engine.dynamics.attributes(entity, engine.settings.language)
            kept.put(System.DYNAMICS, entity.value, _dump(tables[entity]))
        else:
            tables[entity] = list(_columns(body))
    found = (
        engine.settings,
        fields,
        without_hidden(engine, tables),
        columns_seen(engine.store),
        shapes_proven(engine.store),
    )
    known, schema = engine.opened.get(_RESOLVED, (None, None))
    if known != found or not isinstance(schema, Schema):
        schema = resolve(*found)
        engine.opened[_RESOLVED] = (found, schema)
    return schema


@lru_cache(maxsize=8)
def _fields(body: str) -> tuple[MarketoField, ...]:
    return msgspec.json.decode(body, type=tuple[MarketoField, ...])


@lru_cache(maxsize=8)
def _columns(body: str) -> tuple[DynamicsAttribute, ...]:
    return msgspec.json.decode(body, type=tuple[DynamicsAttribute, ...])


def resolve(
    settings: Settings,
    fields: list[MarketoField],
    tables: dict[Entity, list[DynamicsAttribute]],
    seen: Mapping[Entity, list[str]],
    proven: Mapping[Entity, Mapping[str, str]],
    only: Mapping[Entity, Collection[str]] | None = None,
) -> Schema:
    """What settings mean on these fields and columns. Raises `ConfigurationInvalid` when they do not fit.

    `only`: the fields that stay in the map; None: all.
    """
    maps = resolve_fields(settings, fields, tables, proven)
    if only is not None:
        maps = {
            entity: replace(one, fields=tuple(field for field in one.fields if field.name in only[entity]))
            for entity, one in maps.items()
        }
    filters = resolve_filters(settings, fields, tables, maps, seen)
    return Schema(fields, tables, maps, filters, seen, proven, resolve_partitions(settings, tables))


def refresh_staged(engine: Engine, run: RunRequest) -> Schema:
    """In the middle of a run: read both systems' metadata again; fields may leave the run, none can join it.

    What other streams of the run have read already lacks the columns of a field that joined.
    """
    before = staged_schema(engine, run)
    now = current_schema(engine, refresh=True)
    only = {entity: before.map(entity).names for entity in Entity}
    narrowed = resolve(engine.settings, now.marketo, now.dynamics, now.seen, now.proven, only)
    stage_schema(engine, run, narrowed)
    return narrowed


def stage_schema(engine: Engine, run: RunRequest, schema: Schema) -> None:
    """Put the schema beside the run's datasets."""
    document = {
        "marketo": schema.marketo,
        "dynamics": {entity.value: columns for entity, columns in schema.dynamics.items()},
        "seen": {entity.value: list(columns) for entity, columns in schema.seen.items()},
        "proven": {entity.value: dict(shapes) for entity, shapes in schema.proven.items()},
        "fields": {entity.value: list(one.names) for entity, one in schema.maps.items()},
    }
    engine.staging(run).write_text(f"{DATASET}.json", msgspec.json.encode(document).decode())
    engine.opened[DATASET] = (run.run_id, schema)


def staged_schema(engine: Engine, run: RunRequest) -> Schema:
    """The schema this run works with. Raises `RetryLater` when the run has not begun."""
    known_run, known = engine.opened.get(DATASET, (None, None))
    if known_run == run.run_id and isinstance(known, Schema):
        return known
    document = engine.staging(run).read_json(DATASET)
    if document is None:
        raise RetryLater(f"run {run.run_id} has no staged schema; its first step has not run, start it anew")
    fields = msgspec.convert(document["marketo"], list[MarketoField])
    tables = {
        Entity(name): msgspec.convert(rows, list[DynamicsAttribute]) for name, rows in document["dynamics"].items()
    }
    seen = {Entity(name): columns for name, columns in document["seen"].items()}
    proven = {Entity(name): shapes for name, shapes in document["proven"].items()}
    only = {Entity(name): names for name, names in document["fields"].items()}
    schema = resolve(engine.settings, fields, tables, seen, proven, only)
    engine.opened[DATASET] = (run.run_id, schema)
    return schema


def _dump(records: list[MarketoField] | list[DynamicsAttribute]) -> str:
    return msgspec.json.encode(records).decode()
