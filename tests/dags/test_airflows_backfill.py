"""Airflow's own Backfill on `lead_sync`: past intervals, in a lane of their own, with a dry run (DECISIONS 27)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.models import dagrun
from airflow.models.backfill import Backfill, BackfillDagRun, ReprocessBehavior, _create_backfill, _do_dry_run
from airflow.models.dagrun import DagRun
from airflow.utils.session import create_session
from sqlalchemy import delete, select, update

from include.leadsync.errors import AnotherRunAtWork
from tests.dags.test_runs import STEPS, PlayedEngine, played, run

__all__ = ["played", "run"]  # fixtures

BEGIN = datetime(2026, 3, 1, 12, tzinfo=UTC)
END = BEGIN + timedelta(minutes=10)
Run = Callable[..., dict[str, str]]


@pytest.fixture
def synced(folder_in_database: None) -> Iterator[None]:
    """`lead_sync` is in Airflow's database, as the scheduler knows it; afterwards no run and no backfill is."""
    yield
    with create_session() as session:
        session.execute(delete(DagRun).where(DagRun.dag_id == "lead_sync"))
        for model in (BackfillDagRun, Backfill):
            session.execute(delete(model))


def backfill(**options: Any) -> list[DagRun]:
    """What `airflow backfill create` makes: its runs in their order."""
    given = {"max_active_runs": 1, "reverse": False, "dag_run_conf": None, "triggering_user_name": "ann", **options}
    _create_backfill(dag_id="lead_sync", from_date=BEGIN, to_date=END, **given)
    with create_session() as session:
        session.execute(update(Backfill).values(completed_at=datetime.now(UTC)))  # only one may be under way
        wanted = select(DagRun).where(DagRun.dag_id == "lead_sync", DagRun.run_type == "backfill")
        return list(session.scalars(wanted.order_by(DagRun.logical_date)))


@pytest.fixture
def play(run: Run, monkeypatch: pytest.MonkeyPatch) -> Callable[[DagRun], dict[str, str]]:
    """Let Airflow run one of those runs to its end, in this process."""

    def to_the_end(made: DagRun) -> dict[str, str]:
        def found(*, dag: Any, session: Any, **_: Any) -> DagRun:
            row = session.scalar(select(DagRun).where(DagRun.id == made.id))
            row.dag, row.state = dag, "running"
            session.commit()
            return row  # type: ignore[no-any-return]

        monkeypatch.setattr(dagrun, "get_or_create_dagrun", found)
        return run("lead_sync", dict(made.conf or {}))

    return to_the_end


def asked(played: PlayedEngine) -> list[Mapping[str, Any]]:
    return [values for step, values in played.asked if step == "recover"]


def test_airflow_lists_the_intervals_that_a_backfill_would_run_and_runs_none(
    synced: None, played: PlayedEngine
) -> None:
    with create_session() as session:
        listed = list(
            _do_dry_run(
                dag_id="lead_sync", from_date=BEGIN, to_date=END, reverse=False,
                reprocess_behavior=ReprocessBehavior.NONE, session=session,
            )
        )  # fmt: skip
    assert [info.data_interval.start for info in listed if info.data_interval] == [
        BEGIN + timedelta(minutes=minutes) for minutes in (0, 5, 10)
    ]
    assert played.asked == []


def test_each_interval_is_read_afresh_as_a_window_of_its_own_in_the_lane_of_backfills(
    synced: None, played: PlayedEngine, play: Callable[[DagRun], dict[str, str]]
) -> None:
    _, second, _ = backfill()
    assert set(play(second).values()) <= {"success", "skipped"}
    (values,) = asked(played)
    window = ("2026-03-01T12:05:00+00:00", "2026-03-01T12:10:00+00:00")
    assert (values["kind"], values["since"], values["until"]) == ("backfill", *window)
    assert played.steps == [*STEPS, "finish"]


def test_a_dry_backfill_plans_each_interval_and_writes_nothing(
    synced: None, played: PlayedEngine, play: Callable[[DagRun], dict[str, str]]
) -> None:
    made = backfill(dag_run_conf={"dry_run": True})[0]
    play(made)
    assert played.steps == STEPS[:8]
    assert [values["kind"] for values in asked(played)] == ["backfill"]


def test_an_interval_that_another_run_keeps_from_being_synced_is_tried_again_and_never_marked_done(
    synced: None, played: PlayedEngine, play: Callable[[DagRun], dict[str, str]]
) -> None:
    played.raises["enqueue"] = AnotherRunAtWork("the cursors have moved")
    states = play(backfill()[0])
    assert (states["enqueue"], states["finish"]) == ("failed", "upstream_failed")
    assert played.steps.count("enqueue") == 3


def test_an_interval_is_backfilled_once_unless_it_is_asked_for_again_and_then_as_a_run_of_its_own(
    synced: None, played: PlayedEngine, play: Callable[[DagRun], dict[str, str]]
) -> None:
    first = backfill()[0]
    play(first)
    assert backfill()[0].clear_number == 0
    again = backfill(reprocess_behavior=ReprocessBehavior.COMPLETED)[0]
    assert (again.run_id, again.clear_number) == (first.run_id, 1)
    play(again)
    one, other = asked(played)
    assert one["run_id"] != other["run_id"]
    assert {**one, "run_id": ""} == {**other, "run_id": ""}
