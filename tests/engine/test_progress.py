"""A long step says how far it is: rows done of all, pace, time left; by the clock, never per record."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from include.leadsync import progress
from include.leadsync.clock import FakeClock
from include.leadsync.console.run_history import of_id
from include.leadsync.errors import LeadSyncError, StateUnavailable
from include.leadsync.logs import about
from include.leadsync.progress import Progress, once
from include.leadsync.state import Runs, StateStore
from tests.engine.play import linked_lead
from tests.world import World

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOON)


@pytest.fixture
def engine(tmp_path: Path, clock: FakeClock) -> Iterator[Any]:
    """As much of an engine as progress needs."""
    store = StateStore.open(f"sqlite:///{tmp_path / 'state.db'}", clock)
    Runs(store).start("r", "cycle")
    yield SimpleNamespace(store=store, clock=clock, now=clock.now)
    store.close()


def _told(engine: Any) -> dict[str, Any]:
    run = Runs(engine.store).get("r")
    assert run is not None
    return dict(run.report.get("progress", {}))


def test_rows_pace_and_time_left_are_told_once_in_a_while(
    engine: Any, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    with about(run="r", step="extract.person"), caplog.at_level(logging.INFO):
        persons = Progress(engine, "r", "persons", 1000)
        for _ in range(4):
            clock.advance(5)
            persons.advance(50)
    assert _told(engine) == {
        "extract.person": {
            "phase": "persons", "done": 150, "total": 1000, "per_second": 10.0, "seconds_left": 85,
            "at": "2026-03-01T12:00:15Z",
        }
    }  # fmt: skip
    (line,) = [record for record in caplog.records if record.name == progress.log.logger.name]
    assert line.getMessage() == "persons: 150 of 1000, 10.0 a second, 85 s left"
    assert (line.__dict__["step"], line.__dict__["progress"]["done"]) == ("extract.person", 150)


def test_a_short_step_costs_nothing_and_asks_nobody_how_much_there_is(engine: Any, clock: FakeClock) -> None:
    def asked() -> int:
        raise AssertionError("nobody waits for this")

    short = Progress(engine, "r", "records of lead", once(asked))
    clock.advance(progress.EVERY - 1)
    short.advance(6000)
    assert _told(engine) == {}


def test_a_total_that_cannot_be_known_leaves_the_pace(engine: Any, clock: FakeClock) -> None:
    calls: list[int] = []

    def away() -> int:
        calls.append(1)
        raise LeadSyncError("Dynamics does not count today")

    reading = Progress(engine, "r", "records of lead", once(away))
    for _ in range(3):
        clock.advance(20)
        reading.advance(100)
    row = _told(engine)["records of lead"]
    assert (row["done"], row["total"], row["per_second"], row["seconds_left"]) == (300, None, 5.0, None)
    assert len(calls) == 1


def test_a_total_that_was_too_small_promises_no_end(engine: Any, clock: FakeClock) -> None:
    reading = Progress(engine, "r", "records of lead", 100)  # counted a day ago
    clock.advance(20)
    reading.advance(300)
    assert _told(engine)["records of lead"]["seconds_left"] is None


def test_a_store_that_is_busy_does_not_end_a_run_that_gets_on(
    engine: Any, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(*_: object) -> None:
        raise StateUnavailable("locked")

    monkeypatch.setattr(Runs, "tell_progress", busy)
    clock.advance(20)
    Progress(engine, "r", "writes", 10).advance(20)
    assert Progress(engine, "r", "writes").done == 0


def test_the_steps_that_take_long_say_how_far_they_are(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    told: dict[str, tuple[int, int | None]] = {}

    def tell(_: object, __: str, step: str, row: dict[str, Any]) -> None:
        told[f"{step}: {row['phase']}"] = (row["done"], row["total"])

    monkeypatch.setattr(Runs, "tell_progress", tell)
    monkeypatch.setattr(progress, "EVERY", 0.0)
    person, _ = linked_lead(world)
    world.edit_person(person, title="Head")
    world.run()
    assert {"extract: persons": (1, 1), "load: writes": (1, 1)}.items() <= told.items()
    world.run(kind="reconcile")
    assert {"compare: records of lead": (1, 1), "compare: links of lead": (1, 1)}.items() <= told.items()


def test_what_is_told_shows_while_the_step_is_at_work_and_goes_with_the_run(engine: Any, clock: FakeClock) -> None:
    runs = Runs(engine.store)
    with about(step="compare"):
        comparing = Progress(engine, "r", "links of lead", 100)
        clock.advance(20)
        comparing.advance(20)
    with about(step="load"):
        writing = Progress(engine, "r", "writes", lambda done: done + 30)
        clock.advance(20)
        writing.advance(10)
    runs.note("r", "compare", {"links": 100})
    shown = of_id(engine.store, "r")
    assert shown is not None
    assert {name: (row["done"], row["total"]) for name, row in shown["progress"].items()} == {"load": (10, 40)}
    runs.finish("r", "done")
    assert _told(engine) == {}
    ended = of_id(engine.store, "r")
    assert ended is not None
    assert (ended["progress"], list(ended["steps"])) == ({}, ["compare"])
