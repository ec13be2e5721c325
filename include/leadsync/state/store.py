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
from include.leadsync.state.arrow import from_rows, kind_of, to_micros
from include.leadsync.state.bulk import Bulk
from include.leadsync.state.bulk_postgresql import PostgresqlBulk
from include.leadsync.state.bulk_sqlite import SqliteBulk
from include.leadsync.state.column_kinds import MOMENT, TEXT
from include.leadsync.state.engines import WRITES, begin_sqlite, make_engine, parse_url, place_of, translate
from include.leadsync.state.migrate import is_current, migrate

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
        self._writing = engine.execution_options(**{WRITES: True})

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
        self.engine.dispose()

    def begin(self) -> AbstractContextManager[Transaction]:
        """A transaction that writes: committed at the end, rolled back on any error.

        On SQLite it holds the one write lock from the start. Raises `StateUnavailable`.
        """
        return self._transaction(self._writing)

    def read(self) -> AbstractContextManager[Transaction]:
        """A transaction that only reads, and waits for no writer. Raises `StateUnavailable`."""
        return self._transaction(self.engine)

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
        statement = _insert_if_absent(tx.dialect.name, table, tuple(row), tuple(keys))
        return tx.execute(statement, dict(row)).rowcount

    @contextmanager
    def _transaction(self, engine: sa.Engine) -> Iterator[Transaction]:
        try:
            with engine.begin() as connection:
                if engine.dialect.name == "sqlite":
                    begin_sqlite(connection)
                yield connection
        except (DBAPIError, sqlite3.Error, PoolTimeout) as error:
            meaning = translate(error, self.engine.url)
            if meaning is None:
                raise
            raise meaning from error


@cache
def _insert_if_absent(dialect: str, table: sa.Table, columns: tuple[str, ...], keys: tuple[str, ...]) -> sa.Insert:
    """Built once for each table: building it costs more than running it."""
    insert = sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)
    named: sqlite.Insert | postgresql.Insert = insert.values({name: sa.bindparam(name) for name in columns})
    return named.on_conflict_do_nothing(index_elements=keys).execution_options(preserve_rowcount=True)


def is_writing(tx: Transaction) -> bool:
    """Whether a transaction came from `StateStore.begin`."""
    return bool(tx.get_execution_options().get(WRITES, False))


def fetch(
    tx: Transaction, statement: sa.Select[Any], *, texts: Sequence[str] = (), moments: Sequence[str] = ()
) -> pa.Table:
    """The rows of a statement as an Arrow table.

    Columns of tables are typed by their kind (see `arrow`); computed ones are int64, unless named in
    `texts` or `moments`. Rows are taken from the driver as they are: wrapping ten thousand of them
    costs more than reading them.
    """
    return from_rows(driver_rows(tx, statement), *_columns_of(statement, texts, moments))


def nothing(statement: sa.Select[Any], *, texts: Sequence[str] = (), moments: Sequence[str] = ()) -> pa.Table:
    """What `fetch` returns when there are no rows, where that is known without asking."""
    return from_rows([], *_columns_of(statement, texts, moments))


def _columns_of(statement: sa.Select[Any], texts: Sequence[str], moments: Sequence[str]) -> tuple[list[str], list[str]]:
    names: list[str] = []
    kinds: list[str] = []
    for column in statement.selected_columns:
        name = str(column.key)
        names.append(name)
        kinds.append(TEXT if name in texts else MOMENT if name in moments else kind_of(column))
    return names, kinds


def driver_rows(
    tx: Transaction, statement: sa.Executable, params: Mapping[str, Any] | None = None
) -> Sequence[Sequence[Any]]:
    """All rows of a statement as the driver's tuples."""
    result = tx.execute(statement, params or {})
    cursor = result.cursor
    assert cursor is not None
    rows = cursor.fetchall()
    result.close()
    return rows
