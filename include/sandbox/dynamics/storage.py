"""The SQLite file: connections, transactions, org-wide versions, settings.

Assumption: WAL with synchronous=NORMAL. A commit survives `kill -9` of this process at any moment
(the operating system holds the pages), which is what the sandbox promises; it does not promise to
survive a power cut.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from include.sandbox.dynamics.collation import fold, matches
from include.sandbox.service import Json

_PAGE_BYTES = 8192
_WRITER_CACHE_KIB, _READER_CACHE_KIB = 65536, 8192
_IDLE_READERS = 8
"""Readers kept open: fifty at once may each fill their cache, and memory must not stay at the highest tide."""
_TABLES = """
CREATE TABLE IF NOT EXISTS setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS column_code (entity TEXT, name TEXT, code TEXT, PRIMARY KEY (entity, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS schema_change (seq INTEGER PRIMARY KEY, command TEXT NOT NULL, arguments TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS tombstone (
    entity TEXT NOT NULL, version INTEGER NOT NULL, id TEXT NOT NULL, PRIMARY KEY (entity, version)
) WITHOUT ROWID;
CREATE UNIQUE INDEX IF NOT EXISTS tombstone_id ON tombstone (entity, id);
"""
_ROWS = {
    "table r_{0}": """CREATE TABLE IF NOT EXISTS "r_{0}" (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, version INTEGER NOT NULL,
    email TEXT, modified TEXT, state INTEGER, doc TEXT NOT NULL
);""",
    "index r_{0}_version": """CREATE INDEX IF NOT EXISTS "r_{0}_version" ON "r_{0}" (version);""",
    "index r_{0}_email": """CREATE INDEX IF NOT EXISTS "r_{0}_email" ON "r_{0}" (email);""",
    "index r_{0}_modified": """CREATE INDEX IF NOT EXISTS "r_{0}_modified" ON "r_{0}" (modified, id);""",
    "index r_{0}_state": """CREATE INDEX IF NOT EXISTS "r_{0}_state" ON "r_{0}" (state, id);""",
}
"""What makes the rows of a table, by what each part is called."""


class Transaction:
    """One write transaction: a connection and new versions."""

    def __init__(self, connection: sqlite3.Connection, storage: Storage) -> None:
        self.connection = connection
        self._storage = storage

    def next_version(self) -> int:
        """The next version of the org: strictly increasing over all tables (V47)."""
        return self._storage.take_versions(1)

    def take_versions(self, count: int) -> int:
        """Reserve `count` versions; returns the first."""
        return self._storage.take_versions(count)

    def setting(self, name: str, default: Json = None) -> Json:
        """A stored setting as this transaction sees it."""
        return read_setting(self.connection, name, default)

    def set(self, name: str, value: Json) -> None:
        """Store a setting."""
        self.connection.execute("INSERT OR REPLACE INTO setting VALUES (?, ?)", (name, json.dumps(value)))


class Storage:
    """One file, one writer at a time, any number of readers with a snapshot each."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._idle: list[sqlite3.Connection] = []
        self._pool_lock = threading.Lock()
        self._write_lock = threading.RLock()
        self._closed = False
        self._writer = self._open(_WRITER_CACHE_KIB)
        self._writer.execute("PRAGMA journal_mode=WAL")
        self._writer.executescript(f"BEGIN; {_TABLES} COMMIT;")
        self._version = int(read_setting(self._writer, "version", 1_000_000))
        self.secret = self._secret()

    def _secret(self) -> str:
        kept: str | None = read_setting(self._writer, "secret", None)
        if kept is None:
            with self.write() as transaction:  # of two processes that open a new file, the first one decides
                kept = transaction.setting("secret") or secrets.token_hex(32)
                transaction.set("secret", kept)
        return kept

    def ensure_rows(self, tables: Mapping[str, Sequence[str]]) -> None:
        """Create the row tables that are missing; one with parts is a view of their rows."""
        with self._write_lock:
            there = self._there()
            kept = [table for table, parts in tables.items() if not parts]
            wanted = {name.format(table): sql.format(table) for table in kept for name, sql in _ROWS.items()}
            statements = [statement for name, statement in wanted.items() if name not in there]
            for table, parts in tables.items():
                if parts and there.get(f"view r_{table}") != _view(table, parts):
                    statements.append(f'DROP VIEW IF EXISTS "r_{table}"; {_view(table, parts)};')
            if statements:
                self._writer.executescript(f"BEGIN; {' '.join(statements)} COMMIT;")

    def ensure_lookup_indexes(self, lookups: Iterable[tuple[str, str, str]]) -> None:
        """Make children of a row findable without a scan: table, column and code of each lookup."""
        there = self._there()
        missing = [lookup for lookup in lookups if f"index r_{lookup[0]}_{lookup[1]}" not in there]
        if not missing:
            return
        with self.write() as transaction:
            for table, column, code in missing:
                expression = f"""json_extract(doc, '$."{code}"')"""
                transaction.connection.execute(
                    f'CREATE INDEX IF NOT EXISTS "r_{table}_{column}" ON "r_{table}" ({expression}) '
                    f"WHERE {expression} IS NOT NULL"
                )

    def _there(self) -> dict[str, str | None]:
        """What there is in the file (`table r_lead`, `index r_lead_email`); of a view, the statement that made it."""
        found = self._writer.execute("SELECT type || ' ' || name, iif(type = 'view', sql, NULL) FROM sqlite_master")
        return dict(found.fetchall())

    def take_versions(self, count: int) -> int:
        """Reserve versions; only inside a write transaction, which stores the counter when it commits."""
        first = self._version + 1
        self._version += count
        return first

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A connection that sees one moment of the database."""
        connection = self._borrow()
        try:
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.execute("ROLLBACK")
        finally:
            self._return(connection)

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """A write transaction: committed when the block ends, rolled back when it raises."""
        with self._write_lock:
            connection = self._writer
            connection.execute("BEGIN IMMEDIATE")
            transaction = Transaction(connection, self)
            try:
                yield transaction
                transaction.set("version", self._version)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close every connection that is not in use; the last one folds the log into the file."""
        with self._write_lock, self._pool_lock:
            self._closed = True
            for connection in self._idle:
                connection.close()
            self._idle.clear()
            self._writer.close()

    def _borrow(self) -> sqlite3.Connection:
        with self._pool_lock:
            if self._idle:
                return self._idle.pop()
        return self._open(_READER_CACHE_KIB)

    def _return(self, connection: sqlite3.Connection) -> None:
        with self._pool_lock:
            if not self._closed and len(self._idle) < _IDLE_READERS:
                self._idle.append(connection)
                return
        connection.close()

    def _open(self, cache: int) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, isolation_level=None, check_same_thread=False, timeout=30, cached_statements=512
        )
        connection.execute(f"PRAGMA page_size={_PAGE_BYTES}")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute(f"PRAGMA cache_size=-{cache}")
        connection.create_function("dv_fold", 1, fold, deterministic=True)
        connection.create_function("dv_match", 2, matches, deterministic=True)
        return connection


def _view(table: str, parts: Sequence[str]) -> str:
    union = " UNION ALL ".join(f'SELECT * FROM "r_{part}"' for part in parts)  # noqa: S608 - own table names
    return f'CREATE VIEW "r_{table}" AS {union}'


def read_setting(connection: sqlite3.Connection, name: str, default: Json = None) -> Json:
    """A setting, or the default."""
    found = connection.execute("SELECT value FROM setting WHERE name = ?", (name,)).fetchone()
    return default if found is None else json.loads(found[0])
