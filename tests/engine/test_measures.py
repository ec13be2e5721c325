"""A run says in figures what it did, and every log line what it is about (P10: ids and counts only)."""

from __future__ import annotations

import logging
from collections import Counter
from typing import Any

import pytest

from include.leadsync import logs
from include.leadsync.clients.transport import Counted, HttpRequest, HttpResponse
from include.leadsync.load.loader import _log_refusals
from include.leadsync.load.outcome import Fate, Operation, Outcome
from include.leadsync.measures import Measure, of_state, of_step
from tests.engine.play import linked_lead
from tests.world import World

SECRET_TITLE = "Kapellmästare"


def totals(measures: list[Measure]) -> Counter[tuple[str, ...]]:
    """Counts by name and tags, steps and kinds of run aside."""
    found: Counter[tuple[str, ...]] = Counter()
    for measure in measures:
        if measure.kind == "count":
            tags = (f"{name}={value}" for name, value in measure.tags.items() if name not in {"step", "kind"})
            found[(measure.name, *sorted(tags))] += int(measure.value)
    return found


def test_a_run_counts_what_it_read_planned_wrote_and_called_and_its_lines_name_it(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    person, _ = linked_lead(world)
    world.edit_person(person, title=SECRET_TITLE)
    engine = world.engine
    engine.measures.clear()
    engine.calls.clear()
    with caplog.at_level(logging.INFO):
        report = world.run()
    counted = totals(engine.measures)
    assert counted["leadsync.records.read", "system=marketo", "table=person"] == 1
    assert counted["leadsync.operations.planned", "direction=outbound", "operation=update"] == 1
    assert counted["leadsync.records.written", "direction=outbound"] == 1
    assert counted["leadsync.collisions",] == 0
    for system in ("marketo", "dynamics"):
        assert counted["leadsync.api.calls", f"system={system}"] == engine.calls[system] > 0
    timed = [measure.tags["step"] for measure in engine.measures if measure.kind == "seconds"]
    assert timed == list(report["steps"])
    standing = {(measure.name, *measure.tags.values()): measure.value for measure in _state(world)}
    assert standing["leadsync.backlog", "outbound", "pending"] == 0
    assert standing["leadsync.last_cycle.seconds_ago",] == 0
    assert standing["leadsync.quota.used", "marketo"] > 0

    lines = [record for record in caplog.records if record.name.startswith(("include.leadsync", "leadsync."))]
    assert {record.__dict__.get("run") for record in lines} == {report["run_id"]}
    assert {record.__dict__["step"] for record in lines} >= {"recover", "extract", "load", "finish"}
    calls = [record for record in lines if record.name == "leadsync.http" and "/token" not in record.getMessage()]
    assert calls
    assert all("call" in record.__dict__ for record in calls)
    assert SECRET_TITLE not in caplog.text


def _state(world: World) -> list[Measure]:
    return of_state(world.engine.store, world.engine.settings, world.engine.clock)


@pytest.mark.parametrize(
    ("step", "result", "expected"),
    [
        ("extract", {"lead": {"changed": 2, "unchanged": 1, "deleted": 1, "missing": 5}},
         {("leadsync.records.read", "system=dynamics", "table=lead"): 4}),
        ("merge", {"collision": 3, "converged": 1}, {("leadsync.collisions",): 3}),
        ("enqueue", {"parked": 2, "held": 4, "operations": 9},
         {("leadsync.operations.refused",): 2, ("leadsync.operations.held",): 4}),
        ("load", {"handed_over": False, "inbound_done": 5, "outbound_refused": 2, "outbound_later": 7},
         {("leadsync.records.written", "direction=inbound"): 5,
          ("leadsync.records.failed", "direction=outbound", "fate=refused"): 2}),
        ("recover", {"stopped": {"lead": "the filter cannot be read"}}, {}),
    ],
)  # fmt: skip
def test_what_a_step_reports_becomes_figures(
    step: str, result: dict[str, Any], expected: dict[tuple[str, ...], int]
) -> None:
    measures = of_step(step, "cycle", result, 0.5, {"marketo": 2})
    assert totals(measures) == Counter(expected) + Counter({("leadsync.api.calls", "system=marketo"): 2})
    (took,) = (measure for measure in measures if measure.kind == "seconds")
    assert (took.value, took.tags) == (0.5, {"step": step, "kind": "cycle"})


def test_log_ins_are_no_calls() -> None:
    class Silent:
        def send(self, request: HttpRequest) -> HttpResponse:
            return HttpResponse(200)

    calls: Counter[str] = Counter()
    transport = Counted(Silent(), calls, "marketo")
    for path in ("/identity/oauth/token?grant_type=client_credentials", "/rest/v1/leads.json"):
        transport.send(HttpRequest("GET", f"https://example.com{path}"))
    assert calls == {"marketo": 1}


def test_a_refused_record_is_logged_with_its_link_and_request_and_without_what_the_service_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    row = {"op_id": "o", "run_id": "r", "link_id": 7, "entity": "lead", "direction": "outbound", "kind": "create"}
    row |= {"lane": 0, "person_id": 11, "crm_id": None, "crm_etag": None, "attempts": 0}
    refused = Operation.from_row({**row, "payload": '{"writes": [], "request_id": "q-1", "binds": null}'})
    with caplog.at_level(logging.INFO), logs.about(run="r"):
        _log_refusals([Outcome(refused, Fate.REFUSED, "0x80040237", "ann@example.com is there already"),
                       Outcome(refused, Fate.DONE)])  # fmt: skip
    (line,) = caplog.records
    assert line.getMessage() == "outbound create lead: refused 0x80040237"
    about = {name: line.__dict__[name] for name in ("run", "link", "person", "request")}
    assert about == {"run": "r", "link": 7, "person": 11, "request": "q-1"}
