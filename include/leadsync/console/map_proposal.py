"""A change of the field map before it is saved: the file as it would be, and everything that is wrong with it.

Judged by the very checks that a run and `check` make (`config`, `schema.resolve`), on the file as it would be and on
the metadata of both systems as they were last read.
"""

from __future__ import annotations

import difflib
import hashlib
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Literal

from include.leadsync.config import Settings, field_warnings, parse_settings
from include.leadsync.console.known_fields import Known, fitting_type, known_fields
from include.leadsync.console.map_text import with_entry, with_values, without_entry
from include.leadsync.errors import ConfigurationInvalid, Problem
from include.leadsync.field_memory import shapes_proven
from include.leadsync.filter_memory import columns_seen
from include.leadsync.model import Entity, Flow, SyncField
from include.leadsync.schema import Schema, resolve
from include.leadsync.state import StateStore

Action = Literal["add", "change", "remove"]
ACTIONS: tuple[Action, ...] = ("add", "change", "remove")
_AROUND = 2


@dataclass(frozen=True, slots=True)
class MapChange:
    """What somebody wants. `column`, `type` and `consent` are for a pair that is added; no type: one that fits both."""

    action: Action
    entity: Entity
    name: str
    column: str | None = None
    type: str | None = None
    direction: str = Flow.BOTH.value
    winner: str | None = None
    consent: bool = False


@dataclass(frozen=True)
class Proposal:
    """The change with what follows from it.

    `was`: digest of the file that was looked at · `body`: the file as it would be · `diff`: (sign, line) · `problems`:
    why it cannot be saved, none when it can · `warnings`: what may go wrong value by value · `as_of`: of the metadata,
    None where there are none.
    """

    change: MapChange
    was: str
    body: bytes
    diff: list[tuple[str, str]]
    problems: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    schema: Schema | None = None
    settings: Settings | None = None
    as_of: datetime | None = None

    @property
    def pair(self) -> SyncField | None:
        """The pair that would be synced."""
        fields = self.schema.map(self.change.entity).fields if self.schema else ()
        return next((one for one in fields if one.name == self.change.name), None)


def digest(body: bytes) -> str:
    """By which the file that somebody looked at is known again; 16 hex digits."""
    return hashlib.sha256(body).hexdigest()[:16]


def propose(store: StateStore, path: Path, body: bytes, change: MapChange) -> Proposal:
    """`body`: the file as it is.

    Raises `ConfigurationInvalid` when the present file has mistakes already, and `CannotEdit`.
    """
    now = parse_settings(path, body)
    known = known_fields(store)
    change = _typed(change, known)
    after = _edited(body, change)
    proposal = Proposal(change, digest(body), after, _diff(body, after), as_of=known.as_of if known else None)
    try:
        settings = parse_settings(path, after)
    except ConfigurationInvalid as wrong:
        return replace(proposal, problems=wrong.problems)
    if known is None:
        problem = settings.problem(
            ("fields", change.entity.value, change.name), "no metadata of both systems yet", "a run, or `check`, first"
        )
        return replace(proposal, settings=settings, problems=[] if change.action == "remove" else [problem])
    try:
        schema = _resolved(store, settings, known)
    except ConfigurationInvalid as wrong:
        return replace(proposal, settings=settings, problems=wrong.problems)
    problems = _set_aside(store, now, settings, known, schema, change)
    warnings = [
        text for text in field_warnings(schema.maps) if text.startswith(f"{change.entity.value}.{change.name}:")
    ]
    return replace(proposal, settings=settings, schema=schema, problems=problems, warnings=warnings)


def _typed(change: MapChange, known: Known | None) -> MapChange:
    if change.action != "add" or change.type:
        return change
    fits = fitting_type(known, change.entity, change.name, change.column or "") if known else None
    return replace(change, type=fits.value if fits else "string")


def _edited(body: bytes, change: MapChange) -> bytes:
    one_way = change.direction != Flow.BOTH.value
    if change.action == "remove":
        return without_entry(body, change.entity, change.name)
    if change.action == "change":
        values = {"winner": change.winner, "direction": change.direction if one_way else None}
        return with_values(body, change.entity, change.name, values)
    entry: dict[str, str | bool] = {"dynamics": change.column or "", "type": change.type or ""}
    entry |= {"direction": change.direction} if one_way else {}
    entry |= {"winner": change.winner} if change.winner else {}
    entry |= {"consent": True} if change.consent else {}
    return with_entry(body, change.entity, change.name, entry)


def _resolved(store: StateStore, settings: Settings, known: Known) -> Schema:
    return resolve(settings, known.marketo, known.dynamics, columns_seen(store), shapes_proven(store))


def _set_aside(
    store: StateStore, now: Settings, settings: Settings, known: Known, schema: Schema, change: MapChange
) -> list[Problem]:
    """An optional entry that stops working is set aside without an error; nobody wants that who changes it."""
    reason = schema.map(change.entity).quarantined.get(change.name)
    if reason is None:
        return []
    try:
        before = _resolved(store, now, known).map(change.entity).quarantined.get(change.name)
    except ConfigurationInvalid:
        before = None
    key = ("fields", change.entity.value, change.name)
    return [] if reason == before else [settings.problem(key, reason, "a pair that both systems can sync")]


def _diff(before: bytes, after: bytes) -> list[tuple[str, str]]:
    old, new = (body.decode("utf-8-sig").splitlines() for body in (before, after))
    lines = list(difflib.unified_diff(old, new, n=_AROUND, lineterm=""))[2:]
    return [(line[0], line[1:]) for line in lines]
