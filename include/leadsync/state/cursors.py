"""Cursors: how far each stream has been read."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from include.leadsync.errors import AnotherRunAtWork
from include.leadsync.state.schema import cursor
from include.leadsync.state.statements import Prepared, named
from include.leadsync.state.store import StateStore, Transaction

_OF_STREAM = cursor.c.stream == sa.bindparam("of_stream")
_PLACE = Prepared(sa.select(cursor.c.token, cursor.c.as_of, cursor.c.version).where(_OF_STREAM))
_MOVE = Prepared(
    sa.update(cursor)
    .where(_OF_STREAM, cursor.c.version == sa.bindparam("expected"))
    .values(named("token", "as_of", "version"))
)


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in a stream. `as_of`: when the reading that ended here began, ISO 8601."""

    token: str
    as_of: str
    version: int


class Cursors:
    """The cursor table: compare and set, so that two runs never both advance one (DECISIONS 12)."""

    def __init__(self, store: StateStore) -> None:
        self._store = store

    def get(self, stream: str, tx: Transaction | None = None) -> Cursor | None:
        """The cursor of a stream; None before its first run."""
        with self._store.look(tx) as connection:
            row = _PLACE.row(connection, {"of_stream": stream})
        return Cursor(*row) if row else None

    def advance(self, stream: str, token: str, as_of: str, expected_version: int, tx: Transaction | None = None) -> int:
        """Move a cursor that still has `expected_version` (0: not there yet); returns its new version.

        Raises:
            AnotherRunAtWork: another run moved it first.
        """
        version = expected_version + 1
        values = {"token": token, "as_of": as_of, "version": version}
        with self._store.within(tx) as connection:
            if expected_version == 0:
                moved = self._first(connection, stream, values)
            else:
                same = {"of_stream": stream, "expected": expected_version}
                moved = _MOVE.change(connection, same | values)
            if not moved:
                raise AnotherRunAtWork(
                    f"cursor of {stream} moved on since version {expected_version}; another run read the same"
                    " changes first, what this one staged is dropped"
                )
        return version

    def restart(self, stream: str, tx: Transaction | None = None) -> None:
        """Have a stream read from its beginning next time; its version stays, for the race (DECISIONS 12)."""
        with self._store.within(tx) as connection:
            connection.execute(sa.update(cursor).where(cursor.c.stream == stream).values(token=""))

    def _first(self, tx: Transaction, stream: str, values: dict[str, object]) -> int:
        return self._store.insert_if_absent(tx, cursor, {"stream": stream, **values}, ("stream",))
