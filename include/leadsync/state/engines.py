"""SQLAlchemy engines for the two databases, and what their failures mean."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import URL, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from include.leadsync.clock import SystemClock
from include.leadsync.errors import FixConfiguration, LeadSyncError, StateUnavailable, redact

BUSY_SECONDS = 30
"""How long a SQLite connection waits for another writer before the store counts as locked."""
ASLEEP_SECONDS = 60.0
"""How long PostgreSQL lets a process be silent in the middle of a transaction, whose locks hold up everybody else.

Assumption: nothing of ours computes for so long between two statements; what does is tried again.
"""

_EXAMPLE = "sqlite:////path/state.db or postgresql://user@host/database"
_SQLITE_TROUBLE = ("BUSY", "LOCKED", "CANTOPEN", "IOERR", "FULL", "READONLY", "PERM", "PROTOCOL", "NOMEM", "INTERRUPT")
_WRONG_SETTINGS = ("authentication failed", "does not exist", "no password supplied", "no pg_hba.conf entry")


def parse_url(text: str) -> URL:
    """The URL with the driver this project uses.

    Raises:
        FixConfiguration: no SQLAlchemy URL, or a database that is not supported. The message never
            repeats the URL, which may hold a password.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise FixConfiguration(f"LEADSYNC_STATE_URL is no SQLAlchemy URL; expected {_EXAMPLE}") from None
    backend = url.drivername.partition("+")[0]
    if backend in {"postgresql", "postgres"}:
        return url.set(drivername="postgresql+psycopg")
    if backend != "sqlite":
        raise FixConfiguration(f"LEADSYNC_STATE_URL names {backend}; the state store works with {_EXAMPLE}")
    if url.database in {None, "", ":memory:"} or url.query.get("mode") == "memory":
        raise FixConfiguration(
            f"LEADSYNC_STATE_URL keeps the state in memory, where it is lost at the end; expected {_EXAMPLE}"
        )
    return url.set(drivername="sqlite")


def place_of(url: URL) -> str:
    """Where the store is, for messages: never the password."""
    if url.get_backend_name() == "sqlite":
        return f"SQLite file {url.database}"
    port = f":{url.port}" if url.port else ""
    return f"PostgreSQL database {url.database} at {url.host or url.query.get('host', 'the default socket')}{port}"


def make_engine(url: URL) -> sa.Engine:
    """An engine whose connections follow the write protocol (facts: performance, "Gotchas")."""
    if url.get_backend_name() != "sqlite":
        engine = sa.create_engine(url, pool_pre_ping=True, pool_size=5, max_overflow=20, hide_parameters=True)
        sa.event.listen(engine, "connect", _prepare_postgresql)
        return engine
    _make_parent(Path(str(url.database)))
    engine = sa.create_engine(
        url,
        pool_size=5,
        max_overflow=20,
        hide_parameters=True,
        connect_args={"timeout": BUSY_SECONDS, "isolation_level": None, "check_same_thread": False},
    )
    sa.event.listen(engine, "connect", _prepare_sqlite)
    return engine


def _make_parent(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FixConfiguration(
            f"the folder {path.parent} of the state store cannot be made ({error.strerror}); "
            "create it or set LEADSYNC_STATE_URL or LEADSYNC_HOME"
        ) from error


def _prepare_postgresql(connection: DBAPIConnection, _record: object) -> None:
    """A machine that is paused in a transaction would keep its locks until its connection is given up, after hours."""
    with closing(connection.cursor()) as cursor:
        cursor.execute(f"SET idle_in_transaction_session_timeout = {ASLEEP_SECONDS * 1000:.0f}")
    connection.commit()


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    """WAL lets readers and one writer work at once; FULL survives power loss (0.15 ms per write)."""
    _use_wal(connection)
    for pragma in ("synchronous = FULL", "temp_store = MEMORY", "cache_size = -65536"):
        connection.execute(f"PRAGMA {pragma}").close()


def _use_wal(connection: sqlite3.Connection) -> None:
    """Two that make the file at the same time: SQLite tells one of them "locked" at once, without waiting."""
    clock = SystemClock()
    deadline = clock.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").close()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or clock.monotonic() > deadline:
                raise
            clock.sleep(0.01)
        else:
            return


def translate(error: DBAPIError | sqlite3.Error | PoolTimeout, url: URL) -> LeadSyncError | None:
    """What a failure of the database means for the run; None when it is a mistake of ours."""
    where = place_of(url)
    if isinstance(error, PoolTimeout):
        return StateUnavailable(f"all connections to the {where} are in use; fewer parallel tasks will do")
    if isinstance(error, sqlite3.Error):
        return _sqlite_meaning(error, where)
    origin = error.orig
    if isinstance(origin, sqlite3.Error):
        return _sqlite_meaning(origin, where)
    first = redact((str(origin).strip().splitlines() or ["no answer"])[0])
    if any(text in first for text in _WRONG_SETTINGS) and "relation" not in first:
        return FixConfiguration(f"the {where} refuses us ({first}); check the login in LEADSYNC_STATE_URL")
    if isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError) or error.connection_invalidated:
        return StateUnavailable(
            f"the {where} cannot be reached or is locked ({first}); nothing was lost. "
            "Check that the server runs and that LEADSYNC_STATE_URL names it"
        )
    return None


def _sqlite_meaning(origin: sqlite3.Error, where: str) -> LeadSyncError | None:
    name = getattr(origin, "sqlite_errorname", "") or ""
    if "NOTADB" in name or "CORRUPT" in name:
        return FixConfiguration(
            f"the {where} is damaged or no database ({origin}); put back a backup or set LEADSYNC_STATE_URL"
        )
    if not any(name.startswith(f"SQLITE_{trouble}") for trouble in _SQLITE_TROUBLE):
        return None
    return StateUnavailable(
        f"the {where} cannot be used now ({origin}); nothing was lost. Check which process holds it, "
        "that its folder is writable and on a local disk, and that the disk is not full"
    )
