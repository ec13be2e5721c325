"""The fields of both systems that a pair can be made of, as the state store last learned them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from include.leadsync.config import Settings
from include.leadsync.context import Engine
from include.leadsync.fields.compatibility import MARKETO_TYPES, fits_dynamics, types_for
from include.leadsync.model import DynamicsAttribute, Entity, FieldType, MarketoField, System
from include.leadsync.schema import current_schema
from include.leadsync.settings.cross_checks import RESERVED
from include.leadsync.state import StateStore
from include.leadsync.state.schema import snapshot
from include.leadsync.state.store import fetch

SUGGESTED = 20
"""Pairs that are suggested at once."""


@dataclass(frozen=True)
class Known:
    """Metadata of both systems; `as_of`: when the oldest part of it was read."""

    marketo: list[MarketoField]
    dynamics: dict[Entity, list[DynamicsAttribute]]
    as_of: datetime


def known_fields(store: StateStore) -> Known | None:
    """What is kept, however old; None while no run has read both systems' metadata."""
    columns = (snapshot.c.system, snapshot.c.entity, snapshot.c.body, snapshot.c.seen_at)
    wanted = snapshot.c.system.in_([system.value for system in System])
    with store.read() as tx:
        rows = fetch(tx, sa.select(*columns).where(wanted)).to_pylist()
    kept = {(row["system"], row["entity"]): row for row in rows}
    needed = [(System.MARKETO.value, "person"), *((System.DYNAMICS.value, entity.value) for entity in Entity)]
    if any(key not in kept for key in needed):
        return None
    tables = {
        entity: msgspec.json.decode(kept[System.DYNAMICS.value, entity.value]["body"], type=list[DynamicsAttribute])
        for entity in Entity
    }
    persons = msgspec.json.decode(kept[needed[0]]["body"], type=list[MarketoField])
    return Known(persons, tables, min(kept[key]["seen_at"] for key in needed))


def read_afresh(engine: Engine) -> None:
    """Read and keep the metadata of both systems now; some thirty calls.

    Raises what the services raise, and `ConfigurationInvalid` when the present field map does not fit them.
    """
    current_schema(engine, refresh=True)


def choosable(settings: Settings, known: Known, entity: Entity) -> dict[str, list[dict[str, Any]]]:
    """What a new pair of an entity can be made of: `marketo` and `dynamics`, each name, label, type, in name order.

    Marketo fields: those that are in no pair yet, whose type can be synced, and that the sync does not keep itself.
    Columns: all that can be read and whose type can be synced; `mapped` names the fields that use one already.
    """
    entries = settings.fields.of(entity)
    own = set(settings.marketo.system_fields.model_dump().values()) - {settings.marketo.system_fields.created_date}
    taken = {name.casefold() for name in (*entries, *own, *settings.requests.fields, *RESERVED)}
    syncable = frozenset().union(*MARKETO_TYPES.values())
    fields = [
        {"name": field.name, "label": field.label, "type": field.type, "read_only": field.read_only}
        for field in known.marketo
        if field.name.casefold() not in taken and field.type in syncable
    ]
    used: dict[str, list[str]] = {}
    for name, entry in entries.items():
        used.setdefault(entry.dynamics, []).append(name)
    columns = [
        {"name": column.name, "label": column.label, "type": column.type, "mapped": used.get(column.name, [])}
        for column in known.dynamics[entity]
        if column.readable and types_for(column)
    ]
    return {"marketo": sorted(fields, key=_name), "dynamics": sorted(columns, key=_name)}


def suggested(known: Known, entity: Entity, free: Mapping[str, list[dict[str, Any]]]) -> list[dict[str, str]]:
    """Pairs out of `choosable` that bear the same label or name and fit: field, column, type; the first `SUGGESTED`.

    A column that is in a pair already is nobody's suggestion.
    """
    columns = {
        _plain(word): row for row in free["dynamics"] if not row["mapped"] for word in (row["name"], row["label"])
    }
    found = []
    for field in free["marketo"]:
        column = columns.get(_plain(field["label"])) or columns.get(_plain(field["name"]))
        kind = fitting_type(known, entity, field["name"], column["name"]) if column else None
        if column and kind:
            found.append({"field": field["name"], "column": column["name"], "type": kind.value})
    return found[:SUGGESTED]


def fitting_type(known: Known, entity: Entity, name: str, column: str) -> FieldType | None:
    """The first type that holds the values of both ends; None where there is none, or one of them is not known."""
    field = next((one for one in known.marketo if one.name == name), None)
    attribute = next((one for one in known.dynamics[entity] if one.name == column), None)
    if field is None or attribute is None:
        return None
    both = (kind for kind in FieldType if fits_dynamics(kind, attribute) and field.type in MARKETO_TYPES[kind])
    exact = (kind for kind in FieldType if fits_dynamics(kind, attribute) and field.type == kind.value)
    return next(exact, None) or next(both, None)


def _plain(text: str) -> str:
    """A name without what only the spelling is: case, blanks, underscores and the prefix of a publisher."""
    letters = "".join(letter for letter in text.casefold() if letter.isalnum() or letter == "_")
    return re.sub(r"^[a-z0-9]{2,8}_", "", letters).replace("_", "")


def _name(row: Mapping[str, Any]) -> str:
    return str(row["name"]).casefold()
