"""A run is taken back from its page: first a dry run that lists what would become of each value, then the undo."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest
from starlette.testclient import TestClient

from include.leadsync.clock import FakeClock
from include.leadsync.console.undos import NotUndone
from include.leadsync.context import RunRequest
from include.leadsync.staging import Staging
from include.leadsync.state import Runs, StateStore
from include.leadsync.undoing import LISTED_SCHEMA
from leadsync_console import starting
from leadsync_console.views import runs
from leadsync_hooks.runs import engine_run_id
from tests.console.stored import RUNS
from tests.plugins.console.conftest import HERE

RUN = RUNS[0]
LOOK = "20990301T120000Z-aaaaaa"
HASH = "0123456789abcdef"
Started = list[dict[str, Any]]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Started:
    """The runs that Airflow was asked for."""
    asked: Started = []

    def start(run_id: str, **values: Any) -> str:
        asked.append({"run": run_id, **values})
        return "new"

    monkeypatch.setattr(runs, "start_undo", start)
    return asked


@contextmanager
def _store(home: Path) -> Iterator[StateStore]:
    store = StateStore.open(f"sqlite:///{home / 'state.db'}", FakeClock(datetime.now(UTC)))
    yield store
    store.close()


def _undo(home: Path, run_id: str, *, undoes: str = RUN, dry_run: bool = True, outcome: str | None = "planned",
          plan_hash: str | None = None) -> None:  # fmt: skip
    """An undo as the engine leaves it behind."""
    asked = RunRequest(run_id, "undo", undoes=undoes, dry_run=dry_run)
    with _store(home) as store:
        Runs(store).start(run_id, "undo", asked.to_json())
        Runs(store).note(run_id, "merge", {"undo": {"restored": 5, "edited": 1}})
        Runs(store).note(run_id, "plan", {"operations": 5, "held": 5 if plan_hash else 0, "plan_hash": plan_hash})
        if outcome:
            Runs(store).finish(run_id, outcome)


def test_a_look_is_a_dry_run_and_writes_nothing(
    ada: TestClient, started: Started, audit_log: list[tuple[str, str, Mapping[str, Any]]]
) -> None:
    page = ada.get(f"/runs/{RUN}").text
    assert "See what taking it back would do" in page
    assert 'name="looked"' not in page
    answer = ada.post(f"/runs/{RUN}/undo", headers=HERE)
    assert answer.status_code == 303
    assert "look again in a moment" in ada.get(answer.headers["location"]).text
    ((asked),) = started
    assert (asked["run"], asked["dry_run"], asked["approve"], asked["user"]) == (RUN, True, None, "ada")
    ((who, what, detail),) = audit_log
    assert (who, what, detail["run"], detail["dry_run"]) == ("ada", "undo", RUN, True)


def test_what_was_looked_at_can_be_done(ada: TestClient, home: Path, started: Started, audit_log: list[Any]) -> None:
    _undo(home, LOOK)
    page = ada.get(f"/runs/{RUN}").text
    assert "5 values get what they had before" in page
    form = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page))
    assert form == {"looked": LOOK}
    assert ada.post(f"/runs/{RUN}/undo", data=form, headers=HERE).status_code == 303
    ((asked),) = started
    assert (asked["dry_run"], asked["approve"]) == (False, None)
    assert audit_log[0][2]["looked"] == LOOK


def test_a_plan_that_the_brake_would_hold_is_approved_by_its_hash(
    ada: TestClient, home: Path, started: Started
) -> None:
    _undo(home, LOOK, plan_hash=HASH)
    page = ada.get(f"/runs/{RUN}").text
    assert "The brake would hold 5" in page
    answer = ada.post(f"/runs/{RUN}/undo", data={"looked": LOOK, "approve": "f" * 16}, headers=HERE)
    assert answer.status_code == 409
    assert started == []
    ada.post(f"/runs/{RUN}/undo", data={"looked": LOOK, "approve": HASH}, headers=HERE)
    assert started[0]["approve"] == HASH


@pytest.mark.parametrize("how", [{"outcome": None}, {"dry_run": False, "outcome": "done"}, {"undoes": RUNS[2]}])
def test_what_was_not_looked_at_is_not_done(
    ada: TestClient, home: Path, started: Started, audit_log: list[Any], how: dict[str, Any]
) -> None:
    _undo(home, LOOK, **how)
    answer = ada.post(f"/runs/{RUN}/undo", data={"looked": LOOK}, headers=HERE)
    assert answer.status_code == 409
    assert "look again first" in answer.text
    assert (started, audit_log) == ([], [])


def test_a_run_that_cannot_be_taken_back_says_why(ada: TestClient, home: Path, started: Started) -> None:
    with _store(home) as store:
        Runs(store).start("20990101T000000Z-000001", "cycle", {})
    _undo(home, LOOK)
    for run_id, reason in [
        (RUNS[2], "written nothing, or its ledger has expired"),
        ("20990101T000000Z-000001", "still at work"),
        (LOOK, "A dry run has written nothing"),
    ]:
        assert reason in ada.get(f"/runs/{run_id}").text
        answer = ada.post(f"/runs/{run_id}/undo", headers=HERE)
        assert answer.status_code == 409
        assert reason in answer.text
    assert ada.post("/runs/20990101T000000Z-ffffff/undo", headers=HERE).status_code == 404
    assert started == []


@pytest.mark.parametrize("form", [{"looked": "x" * 90}, {"approve": "yes"}, {"looked": LOOK, "approve": "' OR 1=1"}])
def test_a_form_that_cannot_be_meant_starts_nothing(ada: TestClient, started: Started, form: dict[str, str]) -> None:
    assert ada.post(f"/runs/{RUN}/undo", data=form, headers=HERE).status_code == 400
    assert started == []


def test_without_a_state_store_nothing_is_started(ada: TestClient, home: Path, started: Started) -> None:
    (home / "state.db").unlink()
    answer = ada.post(f"/runs/{RUN}/undo", headers=HERE)
    assert answer.status_code == 503
    assert "There is no state store yet" in answer.text
    assert started == []


def test_a_viewer_sees_the_undos_and_no_button(vic: TestClient, home: Path) -> None:
    _undo(home, LOOK)
    page = vic.get(f"/runs/{RUN}").text
    assert LOOK in page
    assert 'method="post"' not in page


def test_the_page_of_an_undo_lists_what_becomes_of_each_value(vic: TestClient, home: Path) -> None:
    _undo(home, LOOK)
    row = {"link_id": 1, "entity": "lead", "person_id": 1, "crm_id": "c", "field": "title", "direction": "outbound"}
    edited = {"link_id": 2, "fate": "edited", "present": "<b>theirs</b>"}
    rows = [each | {"before": "old", "after": "new"} for each in (row | {"fate": "restored"}, row | edited)]
    staging = Staging(str(home / "staging"), LOOK)
    staging.write("undo_list", pl.DataFrame(rows, schema=LISTED_SCHEMA))
    planned = {"link_id": [1], "direction": ["outbound"], "field": ["title"], "op_id": ["o1"]}
    staging.write("plan", pl.DataFrame(planned))
    staging.write_json("plan_summary", {"held_ops": [], "kept_ops": {}})
    assert "What becomes of each value" not in vic.get(f"/runs/{LOOK}").text  # validation has the last word
    staging.write("refused", pl.DataFrame({"op_id": ["o1"]}))
    page = vic.get(f"/runs/{LOOK}").text
    assert "the target would refuse it" in page
    assert "&lt;b&gt;theirs" in page
    assert f'href="/runs/{RUN}"' in page


class _Session:
    """Answers the two questions that are asked before a run is started."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)

    def scalar(self, _: Any) -> Any:
        return self.answers.pop(0)


def _airflow(monkeypatch: pytest.MonkeyPatch, *answers: Any, trigger: Any = None) -> list[dict[str, Any]]:
    from airflow.api.common import trigger_dag as triggering
    from airflow.utils import session as sessions

    begun: list[dict[str, Any]] = []

    def start(dag_id: str, **values: Any) -> Any:
        begun.append({"dag_id": dag_id, **values})
        return SimpleNamespace(run_id=values["run_id"], run_after=datetime(2026, 3, 1, tzinfo=UTC))

    @contextmanager
    def create_session() -> Iterator[_Session]:
        yield _Session(*answers)

    monkeypatch.setattr(sessions, "create_session", create_session)
    monkeypatch.setattr(triggering, "trigger_dag", trigger or start)
    return begun


def _start() -> str:
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    return starting.start_undo(RUN, dry_run=True, approve=None, user="ada", now=now)


def test_airflow_is_asked_for_a_run_in_the_name_of_who_clicked(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = _airflow(monkeypatch, False, None)
    run_id = _start()
    (asked,) = begun
    assert (asked["dag_id"], asked["triggering_user_name"]) == ("lead_sync_undo", "ada")
    assert asked["conf"] == {"run": RUN, "dry_run": True, "approve": None}
    assert run_id == engine_run_id("lead_sync_undo", asked["run_id"], datetime(2026, 3, 1, tzinfo=UTC))


def _not_there(*_: Any, **__: Any) -> Any:
    raise ValueError("no such DAG")


@pytest.mark.parametrize(
    ("answers", "trigger", "reason", "detail"),
    [
        ((True,), None, "not_started", "paused"),
        ((False, "undo__x"), None, "busy", ""),
        ((False, None), _not_there, "not_started", "ValueError"),
        ((False, None), lambda *_, **__: None, "not_started", "lead_sync_undo"),
    ],
)
def test_a_run_that_cannot_be_started_is_told_and_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, answers: tuple[Any, ...], trigger: Any, reason: str, detail: str
) -> None:
    begun = _airflow(monkeypatch, *answers, trigger=trigger)
    with pytest.raises(NotUndone) as refused:
        _start()
    assert refused.value.reason == reason
    assert detail in refused.value.detail
    assert begun == []
