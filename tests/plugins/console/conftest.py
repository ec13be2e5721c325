"""The console without Airflow around it: its app, a state store with some of everything, users by name."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.requests import Request
from starlette.testclient import TestClient

from leadsync_console import access, audit, pages
from leadsync_console.views import runs
from tests.console.stored import make_store

RUN = "20260301T120000Z-abc123"
HERE = {"origin": "http://testserver"}


class Manager:
    """Stands for Airflow's auth manager: `ada` may trigger the DAG, `vic` may look, others nothing."""

    def is_authorized_dag(self, *, method: str, access_entity: Any, details: Any, user: Any) -> bool:
        assert details.id == "lead_sync"
        return user.get_name() in {"GET": {"ada", "vic"}, "POST": {"ada"}}[method]


@pytest.fixture(scope="session")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state store to copy."""
    path = tmp_path_factory.mktemp("stored") / "state.db"
    make_store(path)
    return path


@pytest.fixture
def home(stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """LEADSYNC_HOME with that store and an empty staging folder."""
    shutil.copy(stored, tmp_path / "state.db")
    (tmp_path / "staging" / RUN).mkdir(parents=True)
    monkeypatch.setenv("LEADSYNC_HOME", str(tmp_path))
    for name in ("LEADSYNC_STATE_URL", "LEADSYNC_STAGING", "LEADSYNC_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    for kind in ("marketo", "dynamics"):
        monkeypatch.delenv(f"AIRFLOW_CONN_{kind.upper()}_DEFAULT", raising=False)
    return tmp_path


@pytest.fixture
def audit_log(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, Mapping[str, Any]]]:
    """What was put on record, in place of Airflow's table: who, what, detail."""
    rows: list[tuple[str, str, Mapping[str, Any]]] = []

    def note(user: Any, change: str, detail: Mapping[str, Any]) -> None:
        rows.append((user.get_name(), change, detail))

    monkeypatch.setattr(audit, "note", note)
    return rows


@contextmanager
def signed_in(name: str) -> Iterator[TestClient]:
    """The app as one user sees it."""
    from airflow.api_fastapi.core_api.security import get_user

    app = built()

    def user(request: Request) -> Any:
        return SimpleNamespace(get_name=lambda: name, get_id=lambda: name)

    app.dependency_overrides[get_user] = user
    try:
        yield TestClient(app, follow_redirects=False, headers={"accept-language": "en"})
    finally:
        del app.dependency_overrides[get_user]


@cache
def built() -> FastAPI:
    """The app, built once."""
    return pages.build()


@pytest.fixture(autouse=True)
def airflow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow's rights, by name of the user; and no DAG run, for there is no database of Airflow."""
    monkeypatch.setattr(access, "get_auth_manager", Manager)
    monkeypatch.setattr(runs, "dag_run_path", lambda _: None)


@pytest.fixture
def ada(home: Path, audit_log: object) -> Iterator[TestClient]:
    """Who may trigger the DAG."""
    with signed_in("ada") as client:
        yield client


@pytest.fixture
def vic(home: Path, audit_log: object) -> Iterator[TestClient]:
    """Who may look."""
    with signed_in("vic") as client:
        yield client
