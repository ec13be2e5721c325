"""The door from a task into the engine, on a real state store."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from include.leadsync.clock import SystemClock
from include.leadsync.config import Paths
from include.leadsync.errors import ConfigurationInvalid
from include.leadsync.state import Leases, Requests, Runs, StateStore
from include.leadsync.turn import CYCLE
from leadsync_hooks import engine


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LEADSYNC_HOME", str(tmp_path))
    for name in ("LEADSYNC_STATE_URL", "LEADSYNC_STAGING", "ASTRONOMER_ENVIRONMENT"):
        monkeypatch.delenv(name, raising=False)
    for kind in ("marketo", "dynamics"):
        connection = {"conn_type": kind, "host": "http://127.0.0.1:1", "login": "x", "password": "sandbox"}
        extra = {"extra": {"tenant_id": "t", "authority": "http://127.0.0.1:1"}}
        monkeypatch.setenv(f"AIRFLOW_CONN_{kind.upper()}_DEFAULT", json.dumps(connection | extra))
    return tmp_path


def _store() -> StateStore:
    return StateStore.open(Paths.from_environment().state_url, SystemClock())


def test_the_requests_of_one_airflow_run_are_stored_once(home: Path) -> None:
    asked: dict[str, Any] = {"sync_as": "lead", "owner": None, "reason": "asked by phone", "token": "dag/run"}
    first, again = (engine.store_requests([1001, 1002], **asked) for _ in range(2))
    assert (first["requests"], first["new"]) == (2, 2)
    assert again == {**first, "new": 0}
    store = _store()
    pending = Requests(store).pending().to_pylist()
    store.close()
    assert sorted(request["person_id"] for request in pending) == [1001, 1002]
    assert {request["reason"] for request in pending} == {"asked by phone"}


def test_closing_a_run_frees_its_place_for_the_next_one(home: Path) -> None:
    store = _store()
    Runs(store).start("run-1", "cycle", {})
    assert Leases(store).acquire(CYCLE, "run-1", 50)
    assert Leases(store).acquire(CYCLE, "run-2", 50) is None
    engine.close_run("run-1", "failed", {"task": "link"})
    assert Leases(store).acquire(CYCLE, "run-2", 50)
    closed = Runs(store).get("run-1")
    store.close()
    assert closed is not None
    assert closed.outcome == "failed"


def test_closing_a_run_does_not_take_the_place_from_another(home: Path) -> None:
    store = _store()
    assert Leases(store).acquire(CYCLE, "run-2", 50)
    engine.close_run("run-1", "skipped", {})
    assert Leases(store).acquire(CYCLE, "run-3", 50) is None
    store.close()


def test_a_run_whose_state_cannot_be_reached_still_ends_quietly(
    home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("LEADSYNC_STATE_URL", "nonsense")
    engine.close_run("run-1", "failed", {})
    assert "run-1" in caplog.text


@pytest.mark.parametrize(
    "environment",
    [
        {"AIRFLOW__CORE__EXECUTOR": "CeleryExecutor"},
        {"AIRFLOW__CORE__EXECUTOR": "LocalExecutor,KubernetesExecutor"},
        {"ASTRONOMER_ENVIRONMENT": "local"},
    ],
)
def test_a_state_that_the_workers_cannot_share_is_refused_before_anything_happens(
    home: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    acts: list[Callable[[], object]] = [
        lambda: engine.perform("recover", {"run_id": "r"}),
        lambda: engine.store_requests([1], sync_as="lead", owner=None, reason=None, token="t"),
    ]
    for act in acts:
        with pytest.raises(ConfigurationInvalid, match="LEADSYNC_STATE_URL"):
            act()
    assert not (home / "state.db").exists()
