"""Connections with a transaction on them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

WRITES = "leadsync_writes"
"""In the `info` of a connection: whether its transaction writes."""


class Connections:
    """The connections of an engine.

    On SQLite the one that was used last stays at hand: to take it out of the pool and give it back costs more than
    a small transaction does. On PostgreSQL the pool asks first whether the server is still there.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._is_sqlite = engine.dialect.name == "sqlite"
        self._at_hand: list[sa.Connection] = []

    @contextmanager
    def begin(self, *, writes: bool) -> Iterator[sa.Connection]:
        """A transaction: committed at the end, rolled back on any error.

        Raises:
            sqlalchemy.exc.DBAPIError, sqlite3.Error, sqlalchemy.exc.TimeoutError: see `engines.translate`.
        """
        connection = self._take()
        try:
            connection.info[WRITES] = writes
            with connection.begin():
                if self._is_sqlite:
                    _lock(connection, writes=writes)
                yield connection
        except BaseException:
            connection.close()
            raise
        self._give_back(connection)

    def close(self) -> None:
        """Close them all."""
        while self._at_hand:
            self._at_hand.pop().close()
        self._engine.dispose()

    def _take(self) -> sa.Connection:
        try:
            return self._at_hand.pop()
        except IndexError:
            return self._engine.connect()

    def _give_back(self, connection: sa.Connection) -> None:
        if self._is_sqlite and not self._at_hand:
            self._at_hand.append(connection)
        else:
            connection.close()


def _lock(connection: sa.Connection, *, writes: bool) -> None:
    """A transaction that reads first and writes later fails at once when another wrote in between: lock first.

    The driver is told directly: with a listener for it, SQLAlchemy asks for listeners at every statement.
    """
    driver: Any = connection.connection.dbapi_connection
    driver.execute("BEGIN IMMEDIATE" if writes else "BEGIN").close()
