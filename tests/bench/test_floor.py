"""The floor of API calls, held against hand-made sums and against a real cycle."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest

from include.leadsync.clients.transport import HttpRequest
from scripts.bench.cycling import Round
from scripts.bench.floor import Echo, Scenario, floor
from scripts.bench.systems import MARKETO, Systems, kind_of


def total(scenario: Scenario, batch: int = 100, echo: Echo | None = None) -> int:
    return sum(floor(scenario, batch, echo or Echo()).values())


def test_a_cycle_without_work_asks_each_of_its_five_feeds_once() -> None:
    assert floor(Scenario(), 100) == {
        "marketo changed values": 1,
        "marketo deleted persons": 1,
        "marketo merged persons": 1,
        "dynamics changed lead": 1,
        "dynamics changed contact": 1,
        "marketo read persons": 0,
        "marketo write persons": 0,
        "dynamics batches": 0,
    }


@pytest.mark.parametrize(
    ("scenario", "batch", "calls"),
    [
        (Scenario(persons=1), 100, 5 + 1 + 1),  # read it, write it in one batch
        (Scenario(rows={"lead": 1}), 100, 5 + 1),  # the tracked page brings it, one call writes it
        (Scenario(persons=300), 100, 5 + 1 + 3),
        (Scenario(persons=301), 100, 6 + 2 + 4),  # one row more: a page, a read, a batch more
        (Scenario(persons=301), 1000, 6 + 2 + 1),
        (Scenario(rows={"lead": 5_000, "contact": 5_001}), 100, 6 + 34),  # 10,001 persons in calls of 300
        (Scenario(persons=5_000, rows={"lead": 3_000, "contact": 2_000}), 100, (17 + 1 + 1 + 1 + 1) + 17 + 17 + 50),
    ],
)
def test_every_call_is_taken_as_full(scenario: Scenario, batch: int, calls: int) -> None:
    assert total(scenario, batch) == calls


def test_what_the_cycle_before_wrote_fills_pages_but_needs_no_read_and_no_write() -> None:
    assert total(Scenario(), echo=Echo(300, {"lead": 5_000})) == 5
    assert total(Scenario(), echo=Echo(301, {"lead": 5_001})) == 7


@pytest.mark.parametrize(
    ("method", "path", "body", "kind"),
    [
        ("GET", "/rest/v1/leads.json?filterType=id", None, "marketo read persons"),
        ("POST", "/rest/v1/leads.json?_method=GET", b"filterType=id", "marketo read persons"),
        ("POST", "/rest/v1/leads.json", b'{"action": "updateOnly"}', "marketo write persons"),
        ("GET", "/rest/v1/activities/leadchanges.json", None, "marketo changed values"),
        ("GET", "/api/data/v9.2/contacts?$deltatoken=1", None, "dynamics changed contact"),
        ("POST", "/api/data/v9.2/$batch", b"", "dynamics batches"),
        ("GET", "/rest/v1/stats/usage.json", None, "GET /rest/v1/stats/usage.json"),
    ],
)
def test_calls_are_told_apart_by_what_they_are_for(method: str, path: str, body: bytes | None, kind: str) -> None:
    assert kind_of(HttpRequest(method, f"{MARKETO}{path}", {}, body)) == kind


@pytest.fixture(scope="module")
def systems(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Systems]:
    made = Systems(tmp_path_factory.mktemp("bench") / "systems", links=40)
    made.settle()
    yield made
    made.close()


def test_a_real_cycle_makes_the_calls_of_the_floor_and_no_others(systems: Systems) -> None:
    taken = Round(systems, 10, Random(3))
    assert taken.scenario.changes == 10
    assert taken.cycle.calls == {kind: calls for kind, calls in taken.floor.items() if calls}
    assert taken.after.calls == {kind: calls for kind, calls in taken.floor_after.items() if calls}


def test_the_cycle_after_an_echo_has_nothing_to_do(systems: Systems) -> None:
    Round(systems, 6, Random(4))
    idle = systems.cycle()
    assert idle.report["plan"]["operations"] == 0
    assert idle.total_calls == total(Scenario())
