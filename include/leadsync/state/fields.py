"""Which fields are synced, and how far their backfills are (D67, D69)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from include.leadsync.model import Entity
from include.leadsync.state.schema import field_job, synced_field
from include.leadsync.state.statements import Prepared, among
from include.leadsync.state.store import StateStore, Transaction

ACTIVE, QUARANTINED, REMOVED = "active", "quarantined", "removed"
OPEN, DONE, CANCELLED = "open", "done", "cancelled"
_FIELDS = Prepared(sa.select(*(synced_field.c[name] for name in ("entity", "name", "shape", "generation", "state"))))

_TOLD = ("job_id", "entity", "fields_json", "reason", "direction", "since", "until", "window_on")
_JOBS = Prepared(
    sa.select(*(field_job.c[name] for name in (*_TOLD, "state", "position", "total", "done")))
    .where(among(field_job.c.state, "states"))
    .order_by(field_job.c.job_id.desc())
    .limit(sa.bindparam("most", type_=sa.Integer()))
)


@dataclass(frozen=True, slots=True)
class SyncedField:
    """A field that is or was synced. `shape` tells what its values are; `generation` counts its beginnings."""

    entity: Entity
    name: str
    shape: str
    generation: int = 1
    state: str = ACTIVE


class SyncedFields:
    """The table of fields."""

    def __init__(self, store: StateStore) -> None:
        self._store = store

    def all(self, tx: Transaction | None = None) -> dict[tuple[Entity, str], SyncedField]:
        """Every field ever synced, by entity and name."""
        with self._store.look(tx) as connection:
            rows = _FIELDS.rows(connection)
        found = [SyncedField(Entity(entity), *rest) for entity, *rest in rows]
        return {(one.entity, one.name): one for one in found}

    def put(self, fields: Iterable[SyncedField], tx: Transaction) -> None:
        """Store fields, new or changed."""
        for one in fields:
            row = {"shape": one.shape, "generation": one.generation, "state": one.state}
            row["changed_at"] = self._store.micros()
            key = {"entity": one.entity.value, "name": one.name}
            if not self._store.insert_if_absent(tx, synced_field, {**key, **row}, ("entity", "name")):
                here = (synced_field.c.entity == one.entity.value) & (synced_field.c.name == one.name)
                tx.execute(sa.update(synced_field).where(here).values(row))


@dataclass(frozen=True, slots=True)
class FieldJob:
    """A backfill of fields over the links of an entity.

    `direction`: inbound, outbound or by_type, where the baseline does not decide. The window is on when the CRM
    record was created or modified (`window_on`). `position`: the last link that was looked at.
    """

    job_id: int
    entity: Entity
    fields: tuple[str, ...]
    reason: str
    direction: str
    since: str | None
    until: str | None
    window_on: str | None
    state: str
    position: int
    total: int
    done: int


class FieldJobs:
    """The table of backfills."""

    def __init__(self, store: StateStore) -> None:
        self._store = store

    def add(self, job: FieldJob, tx: Transaction) -> int:
        """Store a new backfill (its id is ignored), or find the open one that does the same; returns its id."""
        for known in self.all((OPEN,), tx):
            same = ("entity", "fields", "direction", "since", "until", "window_on")
            if all(getattr(known, name) == getattr(job, name) for name in same):
                return known.job_id
        now = self._store.micros()
        row: dict[str, Any] = {
            name: getattr(job, name)
            for name in ("reason", "direction", "since", "until", "window_on", "state", "position", "total", "done")
        }
        row |= {"entity": job.entity.value, "fields_json": json.dumps(job.fields), "created_at": now, "changed_at": now}
        return int(tx.execute(sa.insert(field_job).values(row).returning(field_job.c.job_id)).scalar_one())

    def all(self, states: Sequence[str] = (OPEN,), tx: Transaction | None = None, limit: int = 1000) -> list[FieldJob]:
        """Backfills in these states, oldest first; the newest `limit` of them."""
        with self._store.look(tx) as connection:
            rows = _JOBS.rows(connection, {"states": list(states), "most": limit})
        jobs = [FieldJob(key, Entity(entity), tuple(json.loads(names)), *rest) for key, entity, names, *rest in rows]
        return jobs[::-1]

    def get(self, job_id: int, tx: Transaction | None = None) -> FieldJob | None:
        """One backfill."""
        return next((job for job in self.all((OPEN, DONE, CANCELLED), tx) if job.job_id == job_id), None)

    def advance(self, job: FieldJob, position: int, links: int, *, finished: bool, tx: Transaction) -> bool:
        """Note that links up to `position` were looked at; False when another run has done so first."""
        here = (field_job.c.job_id == job.job_id) & (field_job.c.position == job.position)
        values = {
            "position": position,
            "done": field_job.c.done + links,
            "state": DONE if finished else OPEN,
            "changed_at": self._store.micros(),
        }
        return tx.execute(sa.update(field_job).where(here).values(values)).rowcount > 0

    def drop_fields(self, entity: Entity, names: Sequence[str], tx: Transaction) -> None:
        """Fields that are no longer synced leave the open backfills; one without fields ends."""
        for job in self.all((OPEN,), tx):
            rest = [name for name in job.fields if name not in names]
            if job.entity is entity and len(rest) < len(job.fields):
                change = {"fields_json": json.dumps(rest), "state": OPEN if rest else CANCELLED}
                tx.execute(sa.update(field_job).where(field_job.c.job_id == job.job_id).values(change))
