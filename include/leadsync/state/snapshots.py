"""What the systems last said of themselves, kept between runs."""

from __future__ import annotations

import hashlib
from datetime import datetime

import sqlalchemy as sa

from include.leadsync.state.arrow import to_micros
from include.leadsync.state.schema import snapshot
from include.leadsync.state.statements import Prepared, named
from include.leadsync.state.store import StateStore, Transaction

_HERE = (snapshot.c.system == sa.bindparam("of_system")) & (snapshot.c.entity == sa.bindparam("of_entity"))
_ANY_BODY = sa.select(snapshot.c.body).where(_HERE)
_BODY = Prepared(_ANY_BODY)
_RECENT_BODY = Prepared(_ANY_BODY.where(snapshot.c.seen_at >= sa.bindparam("since")))
_DIGEST = Prepared(sa.select(snapshot.c.digest).where(_HERE))
_REPLACE = Prepared(sa.update(snapshot).where(_HERE).values(named("digest", "body", "seen_at")))


class Metadata:
    """One text per system and entity."""

    def __init__(self, store: StateStore) -> None:
        self._store = store

    def get(
        self, system: str, entity: str, *, not_before: datetime | None = None, tx: Transaction | None = None
    ) -> str | None:
        """The text last put; None when there is none, or none seen since `not_before`."""
        here = {"of_system": str(system), "of_entity": str(entity)}
        with self._store.look(tx) as connection:
            if not_before is None:
                body: str | None = _BODY.value(connection, here)
            else:
                body = _RECENT_BODY.value(connection, {**here, "since": to_micros(not_before)})
        return body

    def put(self, system: str, entity: str, body: str, tx: Transaction | None = None) -> bool:
        """Keep a text and when it was seen; returns whether it differs from the one before."""
        values = {"digest": hashlib.sha256(body.encode()).hexdigest(), "body": body, "seen_at": self._store.micros()}
        key = {"system": str(system), "entity": str(entity)}
        here = {f"of_{name}": value for name, value in key.items()}
        with self._store.within(tx) as connection:
            before = _DIGEST.value(connection, here)
            first = before is None
            if not first or not self._store.insert_if_absent(connection, snapshot, key | values, ("system", "entity")):
                _REPLACE.change(connection, here | values)
        return bool(before != values["digest"])
