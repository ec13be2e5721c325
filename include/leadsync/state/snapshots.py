"""What the systems last said of themselves, kept between runs."""

from __future__ import annotations

import hashlib
from datetime import datetime

import sqlalchemy as sa

from include.leadsync.state.arrow import to_micros
from include.leadsync.state.schema import snapshot
from include.leadsync.state.store import StateStore, Transaction


class Metadata:
    """One text per system and entity."""

    def __init__(self, store: StateStore) -> None:
        self._store = store

    def get(
        self, system: str, entity: str, *, not_before: datetime | None = None, tx: Transaction | None = None
    ) -> str | None:
        """The text last put; None when there is none, or none seen since `not_before`."""
        statement = sa.select(snapshot.c.body).where(snapshot.c.system == system, snapshot.c.entity == entity)
        if not_before is not None:
            statement = statement.where(snapshot.c.seen_at >= to_micros(not_before))
        with self._store.look(tx) as connection:
            return connection.execute(statement).scalar()

    def put(self, system: str, entity: str, body: str, tx: Transaction | None = None) -> bool:
        """Keep a text and when it was seen; returns whether it differs from the one before."""
        values = {"digest": hashlib.sha256(body.encode()).hexdigest(), "body": body, "seen_at": self._store.micros()}
        here = (snapshot.c.system == system) & (snapshot.c.entity == entity)
        with self._store.within(tx) as connection:
            before = connection.execute(sa.select(snapshot.c.digest).where(here)).scalar()
            key = {"system": str(system), "entity": str(entity)}
            if not self._store.insert_if_absent(connection, snapshot, {**key, **values}, ("system", "entity")):
                connection.execute(sa.update(snapshot).where(here).values(values))
        return before != values["digest"]
