"""Which fields were synced when a run last looked: to notice those that came, went, broke or are back.

- *Came*: its values are unknown on every link, so a backfill over all of them begins (R95, D69).
- *Went*: its baseline counts for nothing from now on, whatever happens to the map later (R97).
- *Broke*: it is set aside and reported once; links keep its baseline (D67).
- *Is back*: every link is read on both sides again and compared with that baseline.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa

from include.leadsync.config import Settings, shape_of
from include.leadsync.model import Entity, FieldMap, LinkStatus
from include.leadsync.state import (
    ActivityLog,
    FieldJob,
    FieldJobs,
    Layouts,
    Links,
    Outbox,
    StateStore,
    SyncedField,
    SyncedFields,
    Transaction,
)
from include.leadsync.state.fields import ACTIVE, OPEN, QUARANTINED, REMOVED

SET_ASIDE = "field_set_aside"
"""Code of the open row in the activity log while a field is set aside."""


def shapes_proven(store: StateStore) -> dict[Entity, dict[str, str]]:
    """Name → shape of the fields that worked when a run last looked."""
    proven: dict[Entity, dict[str, str]] = {entity: {} for entity in Entity}
    for (entity, name), one in SyncedFields(store).all().items():
        if one.state != REMOVED:
            proven[entity][name] = one.shape
    return proven


def remember_fields(
    store: StateStore, settings: Settings, maps: Mapping[Entity, FieldMap], run_id: str, tx: Transaction
) -> dict[str, list[str]]:
    """Keep the fields for the next run and begin what follows from the changes.

    Returns `fields_added`, `fields_removed`, `fields_back`, `fields_set_aside`, each as entity.name; no empty lists.
    """
    known = SyncedFields(store).all(tx)
    told: dict[str, list[str]] = {}
    for entity, field_map in maps.items():
        mine = {name: one for (of, name), one in known.items() if of is entity}
        changes = _Changes(store, settings, field_map, mine, tx)
        for kind, names in changes.apply().items():
            told.setdefault(kind, []).extend(f"{entity.value}.{name}" for name in names)
    rows = [
        {"entity": entity.value, "direction": "inbound", "field": name, "code": SET_ASIDE, "rule": "D67"}
        | {"message": f"{entity.value}.{name} is set aside, the rest goes on: {field_map.quarantined[name]}"}
        for entity, field_map in maps.items()
        for name in sorted({*(name for name, _ in field_map.kept), *field_map.hidden})
    ]
    ActivityLog(store).stands(pa.Table.from_pylist(rows) if rows else None, [SET_ASIDE], run_id, tx)
    return {kind: names for kind, names in told.items() if names}


class _Changes:
    """What became of the fields of one entity since the last run."""

    def __init__(
        self,
        store: StateStore,
        settings: Settings,
        field_map: FieldMap,
        known: Mapping[str, SyncedField],
        tx: Transaction,
    ) -> None:
        self._store, self._settings, self._map, self._known, self._tx = store, settings, field_map, known, tx
        self._entity = field_map.entity
        self._rows: list[SyncedField] = []

    def apply(self) -> dict[str, list[str]]:
        """Store the new state of the fields and what follows from it."""
        first = not self._known
        before = self._of_layouts() if first else set()
        added = [f.name for f in self._map.fields if self._begins(f.name, shape_of(f.rule), before, first=first)]
        kept = {name for name, _ in self._map.kept}
        back = [f.name for f in self._map.fields if self._state(f.name) == QUARANTINED and f.name not in added]
        broken = [name for name in kept if self._state(name) == ACTIVE]
        here = {*self._map.names, *kept}
        removed = [name for name, one in self._known.items() if one.state != REMOVED and name not in here]
        self._rows += [replace(self._known[name], state=ACTIVE) for name in back]
        self._rows += [replace(self._known[name], state=QUARANTINED) for name in broken]
        self._rows += [self._ended(self._known[name]) for name in removed]
        SyncedFields(self._store).put(self._rows, self._tx)
        self._follow_up(added, removed, back, broken)
        kinds = {"fields_removed": removed, "fields_back": back, "fields_set_aside": broken}
        return {"fields_added": [] if first and not before else added, **kinds}

    def _state(self, name: str) -> str | None:
        return self._known[name].state if name in self._known else None

    def _of_layouts(self) -> set[str]:
        """Fields that links have a baseline of, from a time when nobody kept this table."""
        links = Links(self._store)
        newest = links.after(self._entity, 0, 1, tx=self._tx)
        layouts = Layouts(self._store).all(self._tx)
        return {name for number in newest["layout_id"].to_pylist() for name in layouts.get(number, ())}

    def _begins(self, name: str, shape: str, before: set[str], *, first: bool) -> bool:
        """Whether a field is new: never synced, or not with this column and type."""
        one = self._known.get(name)
        if one is None:
            self._rows.append(SyncedField(self._entity, name, shape))
            return not (first and name in before)
        if one.state == REMOVED:
            self._rows.append(replace(one, shape=shape, state=ACTIVE))
            return True
        if _content(one.shape) != _content(shape):
            self._rows.append(replace(self._ended(one), shape=shape, state=ACTIVE))
            return True
        if one.shape != shape:
            self._rows.append(replace(one, shape=shape))
        return False

    @staticmethod
    def _ended(one: SyncedField) -> SyncedField:
        """What links have as its baseline is of an older generation from now on."""
        return replace(one, state=REMOVED, generation=one.generation + 1)

    def _follow_up(self, added: list[str], removed: list[str], back: list[str], broken: list[str]) -> None:
        links, jobs = Links(self._store), FieldJobs(self._store)
        if removed or broken:
            jobs.drop_fields(self._entity, [*removed, *broken], self._tx)
            waiting = Outbox(self._store).waiting_links(self._entity.value, self._tx)
            links.set_dirty(waiting, "a field left the map", self._tx)
        if back:
            links.set_all_dirty(self._entity, f"back in the map: {', '.join(back)}", self._tx)
        total = links.count(self._entity, LinkStatus.ACTIVE, self._tx)
        if added and total:
            direction = self._settings.backfill.direction
            jobs.add(new_job(self._entity, added, direction, total, reason="added"), self._tx)


def new_job(
    entity: Entity, fields: list[str] | tuple[str, ...], direction: str, total: int, *, reason: str, **window: Any
) -> FieldJob:
    """A backfill at its beginning. `window`: since, until, window_on."""
    ends = {"since": None, "until": None, "window_on": None, **window}
    return FieldJob(
        0, entity, tuple(sorted(fields)), reason, direction, state=OPEN, position=0, total=total, done=0, **ends
    )


def _content(shape: str) -> str:
    """Column and type: what a baseline is worth something for."""
    return shape.rpartition("|")[0]
