"""Read models: counted, paged, forecast – without a page and without Airflow."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from include.leadsync.clock import FakeClock
from include.leadsync.config import load_settings
from include.leadsync.console import asking, backlog, failures, persons, request_list, run_history
from include.leadsync.console.failures import Wanted
from include.leadsync.console.quotas import quotas
from include.leadsync.console.run_history import connections, told
from include.leadsync.console.trends import trends
from include.leadsync.model import System
from include.leadsync.state import ActivityLog, Requests, Runs, SharedBudget, StateStore
from tests.console.stored import fill
from tests.state.rows import add_links, add_operations, operation

NOON = datetime(2026, 3, 1, 12, 20, tzinfo=UTC)
SHIPPED = Path(__file__).resolve().parents[2] / "include" / "config" / "leadsync.yaml"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOON)


@pytest.fixture
def store(tmp_path: Path, clock: FakeClock) -> Iterator[StateStore]:
    opened = StateStore.open(f"sqlite:///{tmp_path / 'state.db'}", clock)
    yield opened
    opened.close()


def _failures(store: StateStore, count: int, **columns: Any) -> None:
    row = {"outcome": "failed", "code": "c", "message": "m", "run_id": "r", **columns}
    rows = [row | {"person_id": number} for number in range(1, count + 1)]
    ActivityLog(store).record(pa.Table.from_pylist(rows))


def test_the_backlog_tells_objects_inserts_and_updates_apart_with_the_oldest_of_each(
    store: StateStore, clock: FakeClock
) -> None:
    add_links(store, range(1, 4))
    add_operations(store, operation("a", 1, kind="create"), operation("b", 2), operation("c", 3, entity="contact"))
    clock.advance(3600)
    add_operations(store, operation("d", 1, kind="create"), operation("e", 2, state="parked"))
    objects = {(row["entity"], row["state"]): row for row in backlog.backlog(store)["objects"]}
    lead = objects["lead", "pending"]
    assert (lead["inserts"], lead["updates"]) == (2, 1)
    assert lead["oldest_insert"] == lead["oldest_update"] == NOON
    assert objects["contact", "pending"]["oldest_insert"] is None
    assert objects["lead", "parked"]["oldest_update"] == NOON + timedelta(hours=1)


def test_a_backlog_that_is_too_long_to_tell_apart_says_so(store: StateStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog, "DETAILED", 2)
    add_links(store, range(1, 4))
    add_operations(store, *(operation(f"o{n}", n) for n in (1, 2, 3)))
    found = backlog.backlog(store)
    assert found["partial"]
    assert found["groups"][0]["count"] == 3
    assert found["objects"][0]["updates"] == 2


def test_pages_follow_each_other_without_a_gap_or_a_repeat(store: StateStore) -> None:
    _failures(store, 120)
    seen: list[int] = []
    token: int | None = None
    for _ in range(3):
        page = failures.browse(store, Wanted(), token)
        seen += [row["person_id"] for row in page.rows]
        token = int(page.next) if page.next else None
    assert token is None
    assert seen == list(range(120, 0, -1))


def test_a_filter_without_an_index_looks_through_a_stretch_and_says_how_far_it_came(
    store: StateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking.stretch_end, "__defaults__", (10,))
    monkeypatch.setattr(asking.sliced, "__defaults__", (10,))
    _failures(store, 25)
    _failures(store, 1, code="rare")
    ActivityLog(store).record(pa.table({"outcome": ["failed"], "code": ["x"], "message": ["m"], "run_id": ["r"]}))
    first = failures.browse(store, Wanted(code="c"))
    assert (len(first.rows), first.looked) == (8, 10)
    second = failures.browse(store, Wanted(code="rare"), int(first.next or 0))
    assert (len(second.rows), second.looked) == (0, 10)
    last = failures.browse(store, Wanted(code="c"), int(second.next or 0))
    assert [row["person_id"] for row in last.rows] == [7, 6, 5, 4, 3, 2, 1]
    assert last.next is None


def test_an_export_reads_a_stretch_at_a_time_and_misses_nothing(
    store: StateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures, "STRETCH", 70)
    _failures(store, 30)
    parts = list(failures.exported(store, Wanted()))
    assert len(parts) > 4
    assert "".join(parts).count("\r\n") == 31
    assert max(part.count("\r\n") for part in parts) <= 7


@pytest.mark.parametrize("value", ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "\nx"])
def test_no_value_of_an_export_is_run_by_a_spreadsheet(store: StateStore, value: str) -> None:
    _failures(store, 1, value=value, field=value, message=value)
    text = "".join(failures.exported(store, Wanted()))
    assert text.count("'" + value) == 3


def test_the_last_full_hour_and_the_trends_are_counted_from_the_reports_of_runs(store: StateStore) -> None:
    clock = FakeClock(NOON - timedelta(days=40))
    history = StateStore(store.engine, clock)
    runs = Runs(history)
    for at, inbound in (
        (timedelta(days=40), 1000),
        (timedelta(days=2), 7),
        (timedelta(minutes=50), 5),
        (timedelta(), 3),
    ):
        clock.jump(NOON - at)
        run_id = f"run{inbound}"
        runs.start(run_id, "cycle")
        runs.note(run_id, "load", {"inbound_done": inbound, "outbound_done": 1, "outbound_refused": 2})
        runs.finish(run_id, "done")
    found = trends(store, NOON)
    hour = found["hour"]
    assert (hour["since"].hour, hour["until"].hour) == (11, 12)
    assert (hour["inbound"], hour["outbound"], hour["failed"], hour["runs"]) == (5, 1, 2, 1)
    assert [bucket["inbound"] for bucket in found["day"]] == [0] * 22 + [5, 3]
    assert [bucket["inbound"] for bucket in found["month"]] == [0] * 27 + [7, 0, 8]


def test_a_budget_is_forecast_at_the_pace_of_the_last_hours(store: StateStore, clock: FakeClock) -> None:
    settings = load_settings(SHIPPED)
    clock.jump(NOON.replace(hour=10))  # 04:20 in Chicago
    budget = SharedBudget(store, System.MARKETO, settings.limits.marketo, clock)
    for _ in range(30):
        with budget.call(System.MARKETO):
            clock.advance(60)
    clock.jump(NOON.replace(hour=13))
    marketo, dynamics = quotas(store, settings, clock)
    assert (marketo["today"], marketo["per_hour"], marketo["unit"]) == (30, 10, "calls")
    assert marketo["resets_at"] == datetime(2026, 3, 2, 6, tzinfo=UTC)
    assert marketo["forecast"] == 30 + round(10 * (17 - 20 / 60))
    assert (marketo["level"], dynamics["forecast"], dynamics["resets_at"]) == ("ok", 0, None)


@pytest.mark.parametrize(
    ("runs", "marketo", "dynamics"),
    [
        ([], "unknown", "unknown"),
        ([("done", ["extract"], None, None)], "ok", "ok"),
        ([("failed", [], "extract_persons", "AccessRefused"), ("done", ["extract"], None, None)], "trouble", "unknown"),
        ([("failed", ["extract.lead"], None, "marketo GET: no answer")], "trouble", "ok"),
        ([("failed", [], None, "KeyError")], "trouble", "trouble"),
        ([("done", ["extract.person"], None, None), ("failed", [], None, "marketo: 601")], "ok", "unknown"),
        ([("skipped", [], None, "another run")], "unknown", "unknown"),
    ],
)
def test_the_state_of_the_connections_is_what_the_last_runs_met(
    runs: list[tuple[str, list[str], str | None, str | None]], marketo: str, dynamics: str
) -> None:
    rows: list[dict[str, Any]] = [
        {"outcome": outcome, "steps": {step: {} for step in steps}, "task": task, "error": error}
        | {"started_at": NOON - timedelta(minutes=index), "finished_at": None}
        for index, (outcome, steps, task, error) in enumerate(runs)
    ]
    found = connections(rows)
    assert found["marketo"]["state"] == marketo
    if dynamics != "unknown" or not any(row["steps"] for row in rows):
        assert found["dynamics"]["state"] == dynamics


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("file /srv/app/state.db is locked", "file … is locked"),
        ("file C:/lead/sync/state.db, locked", "file …, locked"),
        ("GET /rest/v1/leads.json: no answer", "GET …: no answer"),
        ("1/2 of a/b", "1/2 of a/b"),
        (None, None),
    ],
)
def test_an_error_text_is_shown_without_paths(text: str | None, shown: str | None) -> None:
    assert told(text) == shown


def test_runs_come_newest_first_in_pages_and_by_outcome(store: StateStore, clock: FakeClock) -> None:
    runs = Runs(store)
    for number in range(60):
        if number % 2:
            clock.advance(60)  # two begin at each moment
        runs.start(f"r{number:02d}", "cycle")
        if number:
            runs.finish(f"r{number:02d}", "failed" if number == 7 else "done")
    first = run_history.browse(store)
    rest = run_history.browse(store, token=first.next)
    assert [row["run_id"] for row in first.rows + rest.rows] == sorted(
        (f"r{number:02d}" for number in range(60)), key=lambda name: ((int(name[1:]) + 1) // 2, name), reverse=True
    )
    assert rest.next is None
    assert [row["run_id"] for row in run_history.browse(store, outcome="failed").rows] == ["r07"]
    assert [row["run_id"] for row in run_history.browse(store, outcome="running").rows] == ["r00"]


def test_requests_of_all_states_come_newest_first_in_pages(store: StateStore, clock: FakeClock) -> None:
    requests = Requests(store)
    for number in range(1, 61):
        clock.advance(1)
        added = requests.add(number, "lead", source="test", token=str(number))
        if number % 3 == 0:
            requests.finish(added.request_id, "created")
    first = request_list.browse(store)
    rest = request_list.browse(store, before=int(first.next or 0))
    assert [row["person_id"] for row in first.rows + rest.rows] == list(range(60, 0, -1))
    assert len(request_list.browse(store, "finished").rows) == 20
    assert request_list.open_count(store) == 40


def test_a_timeline_goes_on_where_its_page_ended(store: StateStore, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(store)
    subject = persons.of_person(store, 2)
    whole, older = persons.timeline(store, subject)
    assert older is None
    assert {event["source"] for event in whole} == {"ledger", "activity", "operation"}
    asked = persons.timeline(store, persons.of_person(store, 900))[0]
    assert [event["source"] for event in asked] == ["request"]
    assert persons.of_record(store, subject.crm_id or "").person_id == 2


def test_a_side_that_merely_spells_a_value_its_own_way_does_not_differ(store: StateStore) -> None:
    fill(store)
    row = persons.of_person(store, 3).links[0] | {"crm_side": '{"title": "OLD "}', "crm_open": None}
    (title,) = [side for side in persons.sides(store, row) if side["field"] == "title"]
    assert (title["marketo"], title["dynamics"], title["differs"]) == ("old", "OLD ", False)


def test_what_a_step_noted_is_shown_flat_and_without_paths() -> None:
    noted = {
        "operations": 3,
        "handed_over": False,
        "report": "/srv/staging/run/report.html",
        "plan_hash": None,
        "person": {"read": 2},
        "fields_added": ["lead.city", "lead.fax"],
        "backfill": [{"entity": "lead", "records": 5}],
        "held_because": [],
    }
    assert run_history.counts_of(noted) == [
        ("operations", "3"),
        ("handed over", "no"),
        ("person read", "2"),
        ("fields added", "lead.city; lead.fax"),
        ("backfill", "entity lead, records 5"),
    ]


def test_the_page_of_a_run_needs_nobody_to_have_imported_the_engine_first() -> None:
    # A process of its own: here the order of imports is that of the other tests.
    told = subprocess.run(
        [sys.executable, "-c", "import include.leadsync.console.undos"],
        cwd=SHIPPED.parents[2],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert told.returncode == 0, told.stderr[-500:]
