"""What Airflow makes of the engine's outcomes: whole runs of the real DAGs, with the engine played by the test."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from include.leadsync.errors import AccessRefused, AnotherRunAtWork, LeaseLost, ServiceUnavailable
from leadsync_hooks import engine

STEPS = ["recover", "extract", "extract", "extract", "link", "merge", "plan", "validate", "enqueue", "load", "activity"]


@dataclass
class PlayedEngine:
    """Answers every step with a count, unless told to raise; remembers what it was asked."""

    raises: dict[str, Exception] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    closed: list[tuple[str, str]] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)

    def perform(self, step: str, values: Mapping[str, Any]) -> dict[str, Any]:
        self.asked.append((step, dict(values)))
        if step in self.raises:
            raise self.raises[step]
        return {"rows": 1}

    def perform_all(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return {**self.perform("all", values), "outcome": "done"}

    def plans_to_ask(self) -> list[dict[str, str]]:
        return []

    def close_run(self, run_id: str, outcome: str, detail: Mapping[str, Any]) -> None:
        self.closed.append((run_id, outcome))

    def store_requests(self, persons: list[int], **details: Any) -> dict[str, Any]:
        self.requests.append({"persons": persons, **details})
        return {"ids": [], "requests": len(persons), "new": len(persons)}

    @property
    def steps(self) -> list[str]:
        return [step for step, _ in self.asked]

    @property
    def run_ids(self) -> set[str]:
        return {values["run_id"] for _, values in self.asked}


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> PlayedEngine:
    player = PlayedEngine()
    for name in ("perform", "perform_all", "close_run", "store_requests", "plans_to_ask"):
        monkeypatch.setattr(engine, name, getattr(player, name))
    return player


@pytest.fixture
def run(project_root: Path, folder_in_database: None, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, str]]:
    """Run a DAG to its end, without the waits in between; states of its tasks."""
    from airflow.dag_processing import dagbag
    from airflow.dag_processing.dagbag import DagBag

    # A test run would parse the whole folder once more and store it, for a DAG that may have been edited.
    monkeypatch.setattr(dagbag, "BundleDagBag", lambda **_: None)
    monkeypatch.setattr(dagbag, "sync_bag_to_db", lambda *_: None)
    sleep = time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: sleep(min(seconds, 0.01)))  # Airflow's test loop waits by it

    def to_the_end(dag_id: str, conf: dict[str, Any] | None = None) -> dict[str, str]:
        # A test run writes its conf into the DAG's own params and would pass it on to the next.
        dag = DagBag(dag_folder=project_root / "dags" / f"{dag_id}.py").dags[dag_id]
        for task in dag.tasks:
            if not task.is_mapped:
                task.retry_delay, task.retry_exponential_backoff = timedelta(0), 0  # which would make a second of none
        states = {}
        for task in dag.test(run_conf=conf or {}).get_task_instances():
            name = task.task_id if task.map_index < 0 else f"{task.task_id}[{task.map_index}]"
            states[name] = str(task.state)
        return states

    return to_the_end


def test_a_cycle_asks_the_engine_for_every_step_under_one_run_id(
    played: PlayedEngine, run: Callable[..., dict[str, str]]
) -> None:
    states = run("lead_sync")
    assert states.pop("ask_approval") == "skipped"  # no plan is held
    assert set(states.values()) == {"success"}
    assert played.steps == [*STEPS, "finish"]
    assert len(played.run_ids) == 1
    assert {values["kind"] for _, values in played.asked} == {"cycle"}
    assert {values["stream"] for step, values in played.asked if step == "extract"} == {"person", "lead", "contact"}


def test_a_dry_run_stops_after_the_validation_and_is_closed_as_planned(
    played: PlayedEngine, run: Callable[..., dict[str, str]]
) -> None:
    states = run("lead_sync", {"dry_run": True})
    assert played.steps == STEPS[:8]
    assert {states[step] for step in ("enqueue", "load", "activity")} == {"skipped"}
    assert played.closed == [(played.run_ids.pop(), "planned")]


def test_an_undo_is_dry_unless_told_otherwise_and_hands_on_which_run_it_takes_back(
    played: PlayedEngine, run: Callable[..., dict[str, str]]
) -> None:
    run("lead_sync_undo", {"run": "20260301T100500Z-1a2b3c"})
    assert played.steps == STEPS[:8]
    assert {(values["kind"], values["undoes"]) for _, values in played.asked} == {("undo", "20260301T100500Z-1a2b3c")}
    assert played.closed == [(played.run_ids.pop(), "planned")]


def test_the_variable_turns_every_run_into_a_dry_run(
    played: PlayedEngine, run: Callable[..., dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_LEADSYNC_DRY_RUN", "yes")
    run("lead_sync")
    assert played.steps == STEPS[:8]


def test_a_run_that_finds_another_at_work_is_skipped_from_end_to_end(
    played: PlayedEngine, run: Callable[..., dict[str, str]]
) -> None:
    played.raises["recover"] = AnotherRunAtWork("another cycle is at work")
    states = run("lead_sync")
    assert played.steps == ["recover"]
    assert set(states.values()) == {"skipped"}
    assert [outcome for _, outcome in played.closed] == ["skipped"]


def test_a_run_that_loses_the_race_for_the_cursors_is_skipped_and_never_finished(
    played: PlayedEngine, run: Callable[..., dict[str, str]]
) -> None:
    played.raises["enqueue"] = AnotherRunAtWork("the cursors have moved")
    states = run("lead_sync")
    assert {states[step] for step in ("enqueue", "load", "activity", "finish")} == {"skipped"}
    assert "finish" not in played.steps


def test_a_loader_that_loses_its_lease_leaves_the_rest_to_the_other(
    played: PlayedEngine, run: Callable[..., dict[str, str]]
) -> None:
    played.raises["load"] = LeaseLost("writer", 3, "another host")
    assert run("lead_sync")["load"] == "skipped"


def test_a_configuration_mistake_fails_at_once_and_closes_the_run(
    played: PlayedEngine, run: Callable[..., dict[str, str]]
) -> None:
    played.raises["recover"] = AccessRefused("marketo", "1180", "unknown client", "Check the client id")
    states = run("lead_sync")
    assert states["recover"] == "failed"
    assert played.steps == ["recover"]
    assert [outcome for _, outcome in played.closed] == ["failed"]


def test_a_passing_trouble_is_retried_before_it_fails_and_closes_the_run(
    played: PlayedEngine, run: Callable[..., dict[str, str]]
) -> None:
    played.raises["link"] = ServiceUnavailable("Marketo answered 608")
    assert run("lead_sync")["link"] == "failed"
    assert played.steps.count("link") == 3
    assert [outcome for _, outcome in played.closed] == ["failed"]


def test_a_selection_makes_a_backfill_of_a_cycle(played: PlayedEngine, run: Callable[..., dict[str, str]]) -> None:
    run("lead_sync", {"persons": [7], "since": "2026-03-01T00:00:00Z"})
    _, values = played.asked[-1]
    assert values["kind"] == "backfill"
    assert tuple(values["persons"]) == (7,)
    assert values["since"] == "2026-03-01T00:00:00+00:00"


def test_a_full_compare_compares_before_it_reads_and_stops_after_validation_when_it_is_dry(
    played: PlayedEngine, run: Callable[..., dict[str, str]]
) -> None:
    run("lead_sync_reconcile", {"dry_run": True})
    assert played.steps == ["recover", "compare", *STEPS[1:8]]
    assert {values["kind"] for _, values in played.asked} == {"reconcile"}


def test_a_window_that_ends_before_it_begins_fails_before_anything_is_read(
    played: PlayedEngine, run: Callable[..., dict[str, str]]
) -> None:
    conf = {"since": "2026-03-02T00:00:00Z", "until": "2026-03-01T00:00:00Z"}
    assert run("lead_sync_backfill", conf)["recover"] == "failed"
    assert played.asked == []


def test_sync_person_to_microsoft_stores_its_requests_then_serves_them(
    played: PlayedEngine, run: Callable[..., dict[str, str]]
) -> None:
    run("sync_person_to_microsoft", {"persons": [1001, 1002], "sync_as": "contact", "reason": "asked by phone"})
    (request,) = played.requests
    assert request["persons"] == [1001, 1002]
    assert request["sync_as"] == "contact"
    assert request["reason"] == "asked by phone"
    assert request["token"].startswith("sync_person_to_microsoft/")
    assert {values["kind"] for _, values in played.asked} == {"request"}
