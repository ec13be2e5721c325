"""Bringing a store to this version's schema, from code, whoever starts first (alembic)."""

from __future__ import annotations

from pathlib import Path
from threading import Lock

import sqlalchemy as sa

from include.leadsync.errors import FixConfiguration

HEAD = "0006"
"""The revision this version works with; a test holds it against the scripts."""

VERSION_TABLE = "leadsync_version"
"""Not alembic's default name: the store may share a PostgreSQL database with Airflow."""

MIGRATIONS = Path(__file__).parent / "migrations"
_ONE_AT_A_TIME = Lock()  # alembic keeps its context in a global
_LOCK = 0x6C65616473796E63  # "leadsync": the advisory lock of PostgreSQL that starters queue for


def is_current(connection: sa.Connection) -> bool:
    """Whether there is nothing to migrate."""
    return _revision(connection) == HEAD


def migrate(connection: sa.Connection, place: str) -> None:
    """Upgrade the store inside the caller's transaction; nothing happens when it is up to date.

    On SQLite the caller's write lock keeps other starters out, on PostgreSQL an advisory lock does.

    Raises:
        FixConfiguration: the store was made by a newer version; it is left untouched.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
    found = _revision(connection)
    if found == HEAD:
        return
    _upgrade(connection, found, place)


def _revision(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(sa.text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608 - our constant


def _upgrade(connection: sa.Connection, found: str | None, place: str) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if found is not None and found not in known:
        raise FixConfiguration(
            f"the {place} was made by a newer version of Lead Sync (schema {found}, this version knows up to {HEAD});"
            " nothing was changed. Install that version again, or set LEADSYNC_STATE_URL to another store"
        )
    config.attributes["connection"] = connection
    with _ONE_AT_A_TIME:
        command.upgrade(config, "head")
