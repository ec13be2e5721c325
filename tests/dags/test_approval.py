"""A held plan in Airflow: asked about once, and what each answer does to the plan in the state store (DECISIONS 16)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from include.leadsync.approval import approve, park, to_ask
from include.leadsync.clock import SystemClock
from include.leadsync.state import Links, Outbox, StateStore
from leadsync_hooks.airflow_names import AirflowFailException, AirflowSkipException, HITLOperator
from leadsync_hooks.approvals import DecideOperator, HeldPlanOperator, HeldPlansOperator
from tests.console.stored import HELD, SCRIPT, fill


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StateStore]:
    """A state store with a held plan of two links, where the operators look for it."""
    url = f"sqlite:///{tmp_path / 'state.db'}"
    monkeypatch.setenv("LEADSYNC_STATE_URL", url)
    with_plan = StateStore.open(url, SystemClock())
    fill(with_plan)
    yield with_plan
    with_plan.close()


def context(answer: dict[str, str] | None = None, *, waited: timedelta = timedelta(days=8)) -> Any:
    pulled = SimpleNamespace(xcom_pull=lambda **_: answer)
    run = SimpleNamespace(start_date=datetime.now(UTC) - waited, run_after=None, conf={"plan_hash": HELD})
    dag = SimpleNamespace(params={"plan_hash": HELD})
    about = {"params": dag.params, "dag": dag, "dag_run": run}
    return {**about, "ti": pulled, "task_instance": SimpleNamespace(id="ti")}


def decide(answer: str) -> dict[str, Any]:
    return DecideOperator(task_id="decide", asked="ask").execute(context({"answer": answer, "by": "ann"}))


def waiting(store: StateStore) -> tuple[list[str], list[str]]:
    """Hashes that are held, and codes of those that are parked."""
    outbox = Outbox(store)
    return outbox.held()["plan_hash"].to_pylist(), outbox.parked_plans()["code"].to_pylist()


def test_a_plan_is_asked_about_under_the_same_run_id_until_it_is_answered(store: StateStore) -> None:
    first, again = (HeldPlansOperator(task_id="held_plans").execute(context()) for _ in range(2))
    assert first == again
    (run,) = first
    assert run["conf"] == {"plan_hash": HELD}
    assert run["trigger_run_id"].startswith(f"held__{HELD}__")
    park(store, HELD)
    assert HeldPlansOperator(task_id="held_plans").execute(context()) == []


def test_the_question_shows_counts_fields_and_ids_but_no_value(
    store: StateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(HITLOperator, "execute", lambda *_: None)
    asking = HeldPlanOperator(task_id="ask")
    asking.execute(context())
    assert asking.subject == f"Plan {HELD}: 2 operations on 2 links"
    assert asking.body is not None
    assert "| lead | inbound | update | 2 |" in asking.body
    assert "| lead | inbound | title | 2 |" in asking.body
    assert "person 3" in asking.body
    assert f"/leadsync/held/{HELD})" in asking.body
    assert SCRIPT not in asking.body
    assert "@" not in asking.body


def test_nothing_is_asked_about_a_plan_that_is_held_no_more(store: StateStore) -> None:
    Outbox(store).supersede([3, 4])
    with pytest.raises(AirflowSkipException, match="held no more"):
        HeldPlanOperator(task_id="ask").execute(context())


@pytest.mark.parametrize(
    ("options", "by", "expected"),
    [
        (["Approve"], {"id": "1", "name": "ann"}, {"answer": "approve", "by": "ann"}),
        (["Reject"], {"id": "1", "name": "ann"}, {"answer": "reject", "by": "ann"}),
        (["Reject"], None, {"answer": "unanswered", "by": "nobody"}),
    ],
)
def test_silence_is_told_from_a_rejection(
    store: StateStore, options: list[str], by: Any, expected: dict[str, str]
) -> None:
    event = {"chosen_options": options, "params_input": {}, "responded_at": datetime.now(UTC), "responded_by_user": by}
    assert HeldPlanOperator(task_id="ask").execute_complete(context(), event) == expected


class AskedAgain(Exception):
    """Stands for the signal that parks the task."""


@pytest.fixture
def woken(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
    """The task wakes after an hour, because nobody has answered in Airflow yet."""

    def asks(*_: Any) -> None:
        raise AskedAgain

    monkeypatch.setattr(HITLOperator, "execute", asks)
    nobody: dict[str, Any] = {"params_input": {}, "responded_by_user": None, "responded_at": datetime.now(UTC)}
    event = {"chosen_options": ["Reject"], **nobody}
    asking = HeldPlanOperator(task_id="ask")
    return lambda: asking.execute_complete(context(waited=timedelta(hours=1)), event)


def test_a_plan_that_still_waits_is_asked_about_again_and_nothing_is_decided(
    store: StateStore, woken: Callable[[], Any]
) -> None:
    with pytest.raises(AskedAgain):
        woken()
    assert waiting(store) == ([HELD], [])


@pytest.mark.parametrize("decide_elsewhere", [approve, park])
def test_the_question_ends_by_itself_once_the_plan_was_decided_elsewhere(
    store: StateStore, woken: Callable[[], Any], decide_elsewhere: Callable[..., int]
) -> None:
    decide_elsewhere(store, HELD)
    before = waiting(store)
    with pytest.raises(AirflowSkipException, match="decided elsewhere"):
        woken()
    assert waiting(store) == before


def test_an_approval_releases_exactly_that_plan(store: StateStore) -> None:
    assert decide("approve") == {"plan_hash": HELD, "answer": "approve", "by": "ann", "count": 2}
    assert waiting(store) == ([], [])
    assert set(Links(store).dirty(10)["dirty"].to_pylist()) == {f"approved:{HELD}"}


@pytest.mark.parametrize(("answer", "code"), [("reject", "rejected"), ("unanswered", "unanswered")])
def test_what_is_not_approved_is_parked_with_its_reason_and_asks_no_more(
    store: StateStore, answer: str, code: str
) -> None:
    assert decide(answer)["count"] == 2
    assert waiting(store) == ([], [code])
    assert to_ask(store) == []
    assert Links(store).dirty(10).num_rows == 0


def test_an_approval_that_comes_too_late_fails_with_the_reason_and_changes_nothing(store: StateStore) -> None:
    Outbox(store).supersede([3, 4])
    with pytest.raises(AirflowFailException, match=f"plan {HELD} waits no more.*nothing was changed"):
        decide("approve")
    with pytest.raises(AirflowSkipException, match="waits no more"):
        decide("reject")
    assert Links(store).dirty(10).num_rows == 0


def test_a_missing_answer_decides_nothing(store: StateStore) -> None:
    with pytest.raises(AirflowFailException, match="left no answer"):
        DecideOperator(task_id="decide", asked="ask").execute(context())
    assert waiting(store) == ([HELD], [])
