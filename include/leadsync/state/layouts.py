"""Layouts: which fields, in which order, the base array of a link holds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

import sqlalchemy as sa

from include.leadsync.model import Entity
from include.leadsync.state.schema import layout, synced_field
from include.leadsync.state.statements import Prepared
from include.leadsync.state.store import StateStore, Transaction

_ALL = Prepared(sa.select(layout.c.layout_id, layout.c.entity, layout.c.fields_json))
_ONE = Prepared(sa.select(layout.c.layout_id).where(layout.c.digest == sa.bindparam("of_digest")))
_BEGUN_AGAIN = Prepared(
    sa.select(synced_field.c.entity, synced_field.c.name, synced_field.c.generation).where(
        synced_field.c.generation > 1
    )
)


class Layouts:
    """The layout table: a row for each field map that a base was ever stored under.

    A field that left the map and began anew has another generation: values of an older one are no baseline (D69).
    """

    def __init__(self, store: StateStore) -> None:
        self._store = store

    def id_of(self, entity: Entity | str, fields: Sequence[tuple[str, str]], tx: Transaction | None = None) -> int:
        """The id of a layout, made where it is new: the ordered (field id, type) pairs of an entity."""
        generations = self._generations(tx)
        marked = [[name, _marked(kind, generations.get((str(entity), name), 1))] for name, kind in fields]
        text = json.dumps(marked, ensure_ascii=False, separators=(",", ":"))
        digest = hashlib.sha256(f"{entity}\n{text}".encode()).hexdigest()
        known = {"of_digest": digest}
        with self._store.within(tx) as connection:
            found = _ONE.value(connection, known)
            if found is None:
                row = {"entity": str(entity), "fields_json": text, "digest": digest}
                self._store.insert_if_absent(connection, layout, row, ("digest",))
                found = _ONE.value(connection, known)
        return int(found)

    def all(self, tx: Transaction | None = None) -> dict[int, list[str]]:
        """Field ids of every layout, in order; one of an older generation is named so that nobody asks for it."""
        with self._store.look(tx) as connection:
            rows = _ALL.rows(connection)
            now = self._generations(connection)
        return {
            key: [_current(name, kind, now.get((entity, name), 1)) for name, kind in json.loads(text)]
            for key, entity, text in rows
        }

    def _generations(self, tx: Transaction | None) -> dict[tuple[str, str], int]:
        """Fields that began more than once, by entity and name, with how often."""
        with self._store.look(tx) as connection:
            again = _BEGUN_AGAIN.rows(connection)
        return {(entity, name): generation for entity, name, generation in again}


def _marked(kind: str, generation: int) -> str:
    return kind if generation == 1 else f"{kind}#{generation}"


def _current(name: str, kind: str, now: int) -> str:
    generation = int(kind.partition("#")[2] or 1)
    return name if generation == now else f"{name}#{generation}"
