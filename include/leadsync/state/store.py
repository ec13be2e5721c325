"""The state store: one database, opened, migrated, and handed out in transactions."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime
from functools import cache
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from include.leadsync.clock import Clock
from include.leadsync.state.arrow import from_rows, to_micros
from include.leadsync.state.bulk import Bulk
from include.leadsync.state.bulk_postgresql import PostgresqlBulk
from include.leadsync.state.bulk_sqlite import SqliteBulk
from include.leadsync.state.connections import WRITES, Connections
from include.leadsync.state.engines import make_engine, parse_url, place_of, translate
from include.leadsync.state.migrate import is_current, migrate
from include.leadsync.state.statements import Prepared, columns_of

Transaction = sa.Connection
"""What `StateStore.begin` hands out; pass it on to put several writes into one transaction."""


class StateStore:
    """Links, baselines, cursors, outbox, ledger and everything else that outlives a run.

    Safe to share between threads, each transaction in one of them; never carry it into a forked
    child. `clock` stamps rows and decides what is due.
    """

    def __init__(self, engine: sa.Engine, clock: Clock) -> None:
        self.clock = clock
        self.engine = engine
        self.bulk: Bulk = SqliteBulk() if engine.dialect.name == "sqlite" else PostgresqlBulk()
        self._connections = Connections(engine)

    @classmethod
    def open(cls, url: str, clock: Clock) -> StateStore:
        """Open the store at an SQLAlchemy URL, making or migrating it first.

        Raises:
            FixConfiguration: no usable URL, refused access, or a store made by a newer version.
            StateUnavailable: unreachable or locked.
        """
        parsed = parse_url(url)
        store = cls(make_engine(parsed), clock)
        try:
            store.migrate()
        except BaseException:
            store.close()
            raise
        return store

    def migrate(self) -> None:
        """Bring the schema to this version; processes that start together wait for each other."""
        with self.read() as connection:
            if is_current(connection):
                return  # without waiting for whoever is writing
        with self.begin() as connection:
            migrate(connection, place_of(self.engine.url))

    def close(self) -> None:
        """Close all connections."""
        self._connections.close()

    def begin(self) -> AbstractContextManager[Transaction]:
        """A transaction that writes: committed at the end, rolled back on any error.

        On SQLite it holds the one write lock from the start. Raises `StateUnavailable`.
        """
        return self._transaction(writes=True)

    def read(self) -> AbstractContextManager[Transaction]:
        """A transaction that only reads, and waits for no writer. Raises `StateUnavailable`."""
        return self._transaction(writes=False)

    def within(self, tx: Transaction | None) -> AbstractContextManager[Transaction]:
        """The caller's transaction, or one of its own."""
        return nullcontext(tx) if tx is not None else self.begin()

    def look(self, tx: Transaction | None) -> AbstractContextManager[Transaction]:
        """The caller's transaction, or one of its own that only reads."""
        return nullcontext(tx) if tx is not None else self.read()

    def now(self) -> datetime:
        """The clock's time, aware, UTC."""
        return self.clock.now()

    def micros(self) -> int:
        """The clock's time as it is stored."""
        return to_micros(self.clock.now())

    def insert_if_absent(self, tx: Transaction, table: sa.Table, row: Mapping[str, Any], keys: Sequence[str]) -> int:
        """Insert one row unless its key is taken; returns 1 or 0."""
        return _insert_if_absent(tx.dialect.name, table, tuple(row), tuple(keys)).change(tx, row)

    @contextmanager
    def _transaction(self, *, writes: bool) -> Iterator[Transaction]:
        try:
            with self._connections.begin(writes=writes) as connection:
                yield connection
        except (DBAPIError, sqlite3.Error, PoolTimeout) as error:
            meaning = translate(error, self.engine.url)
            if meaning is None:
                raise
            raise meaning from error


@cache
def _insert_if_absent(dialect: str, table: sa.Table, columns: tuple[str, ...], keys: tuple[str, ...]) -> Prepared:
    insert = sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)
    named: sqlite.Insert | postgresql.Insert = insert.values({name: sa.bindparam(name) for name in columns})
    return Prepared(named.on_conflict_do_nothing(index_elements=keys))


def is_writing(tx: Transaction) -> bool:
    """Whether a transaction came from `StateStore.begin`."""
    return bool(tx.info[WRITES])


def fetch(
    tx: Transaction, statement: sa.Select[Any], *, texts: Sequence[str] = (), moments: Sequence[str] = ()
) -> pa.Table:
    """The rows of a statement as an Arrow table.

    Columns of tables are typed by their kind (see `arrow`); computed ones are int64, unless named in
    `texts` or `moments`. Rows are taken from the driver as they are: wrapping ten thousand of them
    costs more than reading them.
    """
    return from_rows(driver_rows(tx, statement), *columns_of(statement, texts, moments))


def driver_rows(tx: Transaction, statement: sa.Executable) -> Sequence[Sequence[Any]]:
    """All rows of a statement as the driver's tuples."""
    result = tx.execute(statement)
    cursor = result.cursor
    assert cursor is not None
    rows = cursor.fetchall()
    result.close()
    return rows
