"""What a page may change: another try, a held plan, a request – each on record before it is done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from include.leadsync.clock import SystemClock
from include.leadsync.state import Links, Outbox, Requests, StateStore
from leadsync_console import audit
from tests.console.stored import HELD
from tests.plugins.console.conftest import HERE


@contextmanager
def _store(home: Path) -> Iterator[StateStore]:
    store = StateStore.open(f"sqlite:///{home / 'state.db'}", SystemClock())
    yield store
    store.close()


def _dirty(home: Path) -> dict[int, str]:
    with _store(home) as store:
        return {row["link_id"]: row["dirty"] for row in Links(store).dirty(100).to_pylist()}


def _states(home: Path) -> dict[str, str]:
    with _store(home) as store:
        table = Outbox(store).of_links([1, 2, 3, 4], states=["pending", "parked", "held", "superseded"])
        return dict(zip(table["op_id"].to_pylist(), table["state"].to_pylist(), strict=True))


def test_one_failure_is_tried_again(ada: TestClient, home: Path, audit_log: list[Any]) -> None:
    answer = ada.post("/errors/retry", data={"activity": "2"}, headers=HERE)
    assert answer.status_code == 303
    assert list(_dirty(home)) == [2]
    assert "1 records will be read and merged again" in ada.get(answer.headers["location"]).text
    (row,) = audit_log
    assert row[:2] == ("ada", "retry")
    assert row[2]["activity"] == 2


def test_all_failures_of_a_cause_are_tried_again_and_no_others(ada: TestClient, home: Path) -> None:
    cause = {"code": "too_long", "direction": "outbound", "entity": "lead", "field": "phone", "outcome": "failed"}
    answer = ada.post("/errors/retry", data=cause, headers=HERE)
    assert answer.headers["location"].endswith("done=retried&n=4&m=4")
    assert list(_dirty(home)) == [1, 2, 3, 4]
    page = ada.get("/errors/causes").text
    assert page.count('name="field"') == 1
    answer = ada.post("/errors/retry", data={"code": "too_long", "whole": "1"}, headers=HERE)
    assert answer.headers["location"].endswith("n=0&m=0")


def test_an_approved_plan_is_released_by_its_hash_and_cannot_be_approved_again(
    ada: TestClient, home: Path, audit_log: list[Any]
) -> None:
    answer = ada.post(f"/held/{HELD}/approve", headers=HERE)
    assert answer.status_code == 303
    assert "Approved. The next run merges 2 links again" in ada.get(answer.headers["location"]).text
    assert _dirty(home) == {3: f"approved:{HELD}", 4: f"approved:{HELD}"}
    assert _states(home) == {"held3": "superseded", "held4": "superseded", "parked": "parked", "waiting": "pending"}
    for decision in ("approve", "reject"):
        stale = ada.post(f"/held/{HELD}/{decision}", headers=HERE)
        assert stale.status_code == 409
        assert "not held any more" in stale.text
    assert ada.get(f"/held/{HELD}").status_code == 409
    assert [row[1] for row in audit_log] == ["approve", "approve", "approve_failed", "reject", "reject_failed"]
    assert audit_log[0][2] == {"plan": HELD, "before": "held", "after": "approved"}


def test_a_rejected_plan_is_parked_and_can_still_be_approved(ada: TestClient, home: Path) -> None:
    answer = ada.post(f"/held/{HELD}/reject", headers=HERE)
    assert "2 operations will not be written" in ada.get(answer.headers["location"]).text
    assert _states(home) == {"held3": "parked", "held4": "parked", "parked": "parked", "waiting": "pending"}
    assert _dirty(home) == {}
    assert f"/held/{HELD}" in ada.get("/runs").text
    assert f"/held/{HELD}" not in ada.get("/").text  # it asks no more
    page = ada.get(f"/held/{HELD}").text
    assert "rejected" in page
    assert f"{HELD}/reject" not in page
    assert ada.post(f"/held/{HELD}/reject", headers=HERE).status_code == 409
    assert ada.post(f"/held/{HELD}/approve", headers=HERE).status_code == 303
    assert list(_dirty(home)) == [3, 4]


def test_a_hash_that_nobody_holds_changes_nothing(ada: TestClient, home: Path) -> None:
    assert ada.post("/held/ffffffffffffffff/approve", headers=HERE).status_code == 409
    assert _states(home)["held3"] == "held"


def test_a_request_is_stored_once_and_served_at_once(
    ada: TestClient, home: Path, monkeypatch: pytest.MonkeyPatch, audit_log: list[Any]
) -> None:
    from leadsync_webhook import serving

    served: list[tuple[str, Any, str]] = []
    monkeypatch.setattr(
        serving, "serve_soon", lambda request_id, conf, *, user: served.append((request_id, dict(conf), user))
    )
    form = {"persons": "101, 102\n101", "sync_as": "contact", "owner": "team:Sales", "token": "form-1"}
    answer = ada.post("/requests", data=form, headers=HERE)
    assert answer.status_code == 303
    assert "Asked for 2 persons" in ada.get(answer.headers["location"]).text
    again = ada.post("/requests", data=form, headers=HERE)
    assert "asked for already" in ada.get(again.headers["location"]).text
    ((_, conf, user),) = served
    assert (conf["persons"], conf["sync_as"], conf["owner"], user) == ([101, 102], "contact", "team:Sales", "ada")
    with _store(home) as store:
        pending = [row for row in Requests(store).pending().to_pylist() if row["source"] == "console"]
    assert sorted(row["person_id"] for row in pending) == [101, 102]
    assert audit_log[0][1] == "request"
    assert "Sales" not in str(audit_log)


def test_what_cannot_be_put_on_record_is_not_done(ada: TestClient, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise OSError("Airflow's database is away")

    monkeypatch.setattr(audit, "note", away)
    with pytest.raises(OSError, match="away"):
        ada.post(f"/held/{HELD}/approve", headers=HERE)
    assert _states(home)["held3"] == "held"


def test_a_row_of_the_audit_log_says_who_what_and_when(monkeypatch: pytest.MonkeyPatch) -> None:
    from types import SimpleNamespace

    from airflow.utils import session as sessions

    added: list[Any] = []

    @contextmanager
    def create_session() -> Iterator[Any]:
        yield SimpleNamespace(add=added.append)

    monkeypatch.setattr(sessions, "create_session", create_session)
    user: Any = SimpleNamespace(get_name=lambda: "ada")
    with audit.audited(user, "approve", {"plan": HELD}):
        pass
    (row,) = added
    assert (row.event, row.owner, row.dag_id) == ("leadsync_approve", "ada", "lead_sync")
    assert HELD in row.extra
    assert row.dttm is not None
