"""Small field maps for tests of the engine."""

from __future__ import annotations

from include.leadsync.model import (
    DynamicsAttribute,
    Entity,
    FieldMap,
    FieldRule,
    FieldType,
    Flow,
    MarketoField,
    SyncField,
    Winner,
)


def text_field(name: str, entity: Entity = Entity.LEAD, **rule: object) -> SyncField:
    """A two-way text field unless `rule` says otherwise."""
    settings: dict[str, object] = {"flow": Flow.BOTH, "winner": Winner.BY_TYPE, **rule}
    return SyncField(
        FieldRule(entity, name, name.lower(), FieldType.STRING, **settings),  # type: ignore[arg-type]
        MarketoField(1, name, name, "string", 255),
        DynamicsAttribute(entity, name.lower(), "String", name, max_length=100),
    )


def consent_field(name: str, entity: Entity = Entity.LEAD) -> SyncField:
    """A consent field: opt-out wins."""
    return SyncField(
        FieldRule(entity, name, name.lower(), FieldType.BOOLEAN, consent=True, winner=Winner.OPT_OUT),
        MarketoField(2, name, name, "boolean"),
        DynamicsAttribute(entity, name.lower(), "Boolean", name),
    )


def field_map(*fields: SyncField, entity: Entity = Entity.LEAD) -> FieldMap:
    """A map of the given fields."""
    return FieldMap(entity, fields)
