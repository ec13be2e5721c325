"""Every test of the store runs on SQLite and on PostgreSQL; the server comes from a Python package."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from include.leadsync.clock import FakeClock
from include.leadsync.state import StateStore
from include.leadsync.state.schema import metadata
from tests.postgresql import empty_schema, running_server

DATABASES = ("sqlite", "postgresql")


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """The URL of a PostgreSQL server that lives as long as the tests."""
    with running_server() as url:
        yield url


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


@pytest.fixture(scope="session")
def emptier(migrated_postgresql: str) -> Iterator[Callable[[], None]]:
    """Empties the store. TRUNCATE, which makes every table and index anew, would take ten times as long."""
    engine = sa.create_engine(migrated_postgresql)
    with engine.connect() as connection:
        sequences = connection.scalars(
            sa.text("SELECT sequencename FROM pg_sequences WHERE schemaname = 'public'")
        ).all()
    statements = [f'DELETE FROM "{table.name}"' for table in reversed(metadata.sorted_tables)]
    statements += [f'ALTER SEQUENCE "{name}" RESTART' for name in sequences]

    def empty() -> None:
        with engine.begin() as connection:
            connection.exec_driver_sql("; ".join(statements))

    yield empty
    engine.dispose()


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
    request.getfixturevalue("emptier")()
    return str(request.getfixturevalue("migrated_postgresql"))


@contextmanager
def new_store_url(request: pytest.FixtureRequest, database: str, folder: Path) -> Iterator[str]:
    """The URL of a store that does not exist yet: a file, or a schema of its own."""
    if database == "sqlite":
        yield f"sqlite:///{folder / 'deep' / 'down' / 'state.db'}"
        return
    with empty_schema(str(request.getfixturevalue("postgresql_server"))) as url:
        yield url


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
