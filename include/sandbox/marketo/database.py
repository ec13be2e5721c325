"""The emulator's SQLite file: schema, one writer at a time, a pool of readers.

WAL lets readers work beside the writer. The writer commits with synchronous=FULL, so what a
call answered survives a kill and a power cut. Counters of calls go through a second connection
with synchronous=NORMAL: they survive a kill, and a power cut may forget the last few.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS client (client_id TEXT PRIMARY KEY, secret TEXT NOT NULL, user TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS api_user (user TEXT PRIMARY KEY, permissions TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS token (
    token TEXT PRIMARY KEY, client_id TEXT NOT NULL, user TEXT NOT NULL, expires REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS usage (
    day TEXT NOT NULL, user TEXT NOT NULL, calls INTEGER NOT NULL, PRIMARY KEY (day, user)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS usage_error (
    day TEXT NOT NULL, code TEXT NOT NULL, calls INTEGER NOT NULL, PRIMARY KEY (day, code)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS field (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE COLLATE NOCASE, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS partition (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, description TEXT);
CREATE TABLE IF NOT EXISTS person (
    id INTEGER PRIMARY KEY AUTOINCREMENT, email_key TEXT,
    created INTEGER NOT NULL, updated INTEGER NOT NULL, touched INTEGER NOT NULL, doc TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS person_email ON person (email_key) WHERE email_key IS NOT NULL;
CREATE INDEX IF NOT EXISTS person_created ON person (created);
CREATE INDEX IF NOT EXISTS person_touched ON person (touched);
CREATE TABLE IF NOT EXISTS unsubscribed (email_key TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS static_list (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, description TEXT, program TEXT, folder INTEGER,
    created INTEGER NOT NULL, updated INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS static_list_name ON static_list (name);
CREATE TABLE IF NOT EXISTS folder (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, description TEXT, kind TEXT NOT NULL,
    parent INTEGER, parent_type TEXT NOT NULL, system INTEGER NOT NULL, archived INTEGER NOT NULL DEFAULT 0,
    created INTEGER NOT NULL, updated INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS folder_name ON folder (name);
CREATE INDEX IF NOT EXISTS folder_parent ON folder (parent);
CREATE TABLE IF NOT EXISTS program (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, description TEXT, type TEXT NOT NULL,
    channel TEXT NOT NULL, folder INTEGER, created INTEGER NOT NULL, updated INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS program_member (
    program_id INTEGER NOT NULL, person_id INTEGER NOT NULL, status TEXT NOT NULL, success INTEGER NOT NULL,
    acquired INTEGER NOT NULL, since INTEGER NOT NULL, updated INTEGER NOT NULL,
    PRIMARY KEY (program_id, person_id)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS program_member_person ON program_member (person_id, program_id);
CREATE TABLE IF NOT EXISTS crm_object (
    id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, guid TEXT NOT NULL UNIQUE, key TEXT NOT NULL,
    created INTEGER NOT NULL, updated INTEGER NOT NULL, doc TEXT NOT NULL, UNIQUE (kind, key));
CREATE TABLE IF NOT EXISTS member (
    list_id INTEGER NOT NULL, person_id INTEGER NOT NULL, added INTEGER NOT NULL,
    PRIMARY KEY (list_id, person_id)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS member_person ON member (person_id, list_id);
CREATE TABLE IF NOT EXISTS activity (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, high INTEGER NOT NULL, visible INTEGER,
    type INTEGER NOT NULL, person INTEGER NOT NULL, primary_id INTEGER, primary_text TEXT,
    campaign INTEGER, attributes TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS activity_high ON activity (high);
CREATE INDEX IF NOT EXISTS activity_type_seq ON activity (type, seq);
CREATE INDEX IF NOT EXISTS activity_primary ON activity (type, primary_id, seq);
CREATE INDEX IF NOT EXISTS activity_of_person ON activity (person, seq, type, primary_id);
CREATE TABLE IF NOT EXISTS held_activity (seq INTEGER PRIMARY KEY, due INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS activity_type (
    id INTEGER PRIMARY KEY AUTOINCREMENT, api_name TEXT NOT NULL UNIQUE, approved TEXT, draft TEXT,
    deleted INTEGER NOT NULL DEFAULT 0, created INTEGER NOT NULL, updated INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS extract (
    id TEXT PRIMARY KEY, kind TEXT NOT NULL, user TEXT NOT NULL, request TEXT NOT NULL, state TEXT NOT NULL,
    created INTEGER NOT NULL, queued INTEGER, started INTEGER, finished INTEGER,
    records INTEGER, size INTEGER, checksum TEXT, failure TEXT);
CREATE INDEX IF NOT EXISTS extract_created ON extract (created);
"""

WRITER_CACHE_KIB, READER_CACHE_KIB = 32_000, 8_000
IDLE_READERS = 8
"""Readers kept open: many at once may each fill their cache, and memory must not stay at the highest tide."""


class Database:
    """Connections to the one file; safe to share between threads."""

    def __init__(self, path: Path) -> None:
        """Open or create the file."""
        self.path = path
        self.write_lock = threading.RLock()
        self._writer = self._connect("FULL", WRITER_CACHE_KIB)
        self._counter = self._connect("NORMAL", READER_CACHE_KIB)
        self._readers: list[sqlite3.Connection] = []
        self._readers_lock = threading.Lock()
        self._closed = False
        self._writer.executescript(SCHEMA)

    def _connect(self, synchronous: str, cache: int) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=30.0)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        connection.execute(f"PRAGMA cache_size = -{cache}")
        return connection

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """One durable transaction; rolled back when the block raises."""
        with self._transaction(self._writer) as connection:
            yield connection

    @contextmanager
    def count(self) -> Iterator[sqlite3.Connection]:
        """One transaction that survives a kill but not always a power cut; for counters."""
        with self._transaction(self._counter) as connection:
            yield connection

    @contextmanager
    def _transaction(self, connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
        with self.write_lock:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """One consistent snapshot for the length of the block."""
        with self._readers_lock:
            connection = self._readers.pop() if self._readers else None
        connection = connection or self._connect("NORMAL", READER_CACHE_KIB)
        connection.execute("BEGIN")
        try:
            yield connection
        finally:
            connection.execute("COMMIT")
            self._give_back(connection)

    def _give_back(self, connection: sqlite3.Connection) -> None:
        with self._readers_lock:
            if not self._closed and len(self._readers) < IDLE_READERS:
                self._readers.append(connection)
                return
        connection.close()

    def close(self) -> None:
        """Close every connection; a reader still at work is closed when it ends."""
        with self.write_lock, self._readers_lock:
            self._closed = True
            for connection in (*self._readers, self._counter, self._writer):
                connection.close()
            self._readers.clear()
