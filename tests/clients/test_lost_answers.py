"""Drop after commit: what every write call does when the service acted and its answer never came (P4, DECISIONS 22).

One scenario per line of `writes.WRITES`; a new write call without a scenario fails here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from include.leadsync.clients.budget import NullBudget
from include.leadsync.clients.dynamics import DynamicsClient, RowWrite
from include.leadsync.clients.marketo import MarketoClient
from include.leadsync.clients.retry import RetryPolicy
from include.leadsync.clients.transport import HttpRequest, HttpResponse
from include.leadsync.clients.writes import WRITES, Repeat, Write
from include.leadsync.errors import ConnectionBroken, ServiceUnavailable
from include.leadsync.model import Connection, Entity, System, Window
from include.sandbox.clock import MovableClock
from include.sandbox.dynamics import DynamicsEmulator
from include.sandbox.marketo import MarketoEmulator
from tests.clients.servers import EmulatorTransport, SandboxClock

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOURS = Window(NOON - timedelta(hours=1), NOON + timedelta(hours=1))
GUID = "11111111-1111-4111-8111-111111111111"
ORDER: dict[str, Any] = {
    "apiName": "orderPlaced", "name": "Order Placed", "triggerName": "Places Order", "filterName": "Placed Order",
    "primaryAttribute": {"apiName": "orderNo", "name": "Order No", "dataType": "string"},
    "attributes": [{"apiName": "amount", "name": "Amount", "dataType": "currency"}],
}  # fmt: skip


class Losing:
    """Carries every request; the first answer to one kind of write is lost on its way back."""

    def __init__(self, emulators: dict[System, EmulatorTransport]) -> None:
        self._emulators = emulators
        self._lost: re.Pattern[str] | None = None
        self.sent = 0

    def lose(self, write: Write) -> None:
        address = re.escape(write.path).replace(re.escape("{}"), "[^/]+")
        self._lost, self.sent = re.compile(f"{write.method} {address}$"), 0

    def of(self, system: System) -> Callable[[HttpRequest], HttpResponse]:
        def send(request: HttpRequest) -> HttpResponse:
            answer = self._emulators[system].send(request)
            if self._lost and self._lost.match(f"{request.method} {request.path}"):
                self.sent += 1
                if self.sent == 1:
                    raise ConnectionBroken("the answer was lost", maybe_committed=True)
            return answer

        return send


class Through:
    """A transport made of a function."""

    def __init__(self, send: Callable[[HttpRequest], HttpResponse]) -> None:
        self.send = send


@dataclass
class World:
    marketo: MarketoClient
    dynamics: DynamicsClient
    network: Losing
    people: list[int] = field(default_factory=list)

    def upsert(self, action: str, record: dict[str, object], lookup: str = "email") -> object:
        return self.marketo.sync_persons([record], action=action, lookup_field=lookup)

    def count(self, email: str) -> int:
        return int(self.marketo.persons("email", [email], {}).num_rows)

    def on_list(self, number: int) -> list[int]:
        return sorted(each for page in self.marketo.list_members(number, {}) for each in page["id"].to_pylist())


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    clock = MovableClock()
    clock.freeze(NOON)
    marketo, dynamics = MarketoEmulator(tmp_path / "m", clock), DynamicsEmulator(tmp_path / "d", clock)
    url = "http://service.sandbox"
    network = Losing(
        {System.MARKETO: EmulatorTransport(marketo, url), System.DYNAMICS: EmulatorTransport(dynamics, url)}
    )
    shared: dict[str, Any] = {
        "budget": NullBudget(), "clock": SandboxClock(clock), "retry": RetryPolicy(jitter=lambda: 0.5),
    }  # fmt: skip
    world = World(
        MarketoClient(Connection(url, "sandbox", "sandbox"), transport=Through(network.of(System.MARKETO)), **shared),
        DynamicsClient(
            Connection(url, "sandbox", "sandbox", tenant_id="sandbox", authority=url),
            transport=Through(network.of(System.DYNAMICS)), **shared,
        ),
        network,
    )  # fmt: skip
    records = [{"email": f"p{number}@example.test"} for number in range(3)]
    made = world.marketo.sync_persons(records, action="createOnly", lookup_field="email")
    world.people = [int(str(each.id)) for each in made]
    yield world
    marketo.close()
    dynamics.close()


def fresh(world: World) -> int:
    return world.count("new@example.test")


def gives_up(world: World) -> None:
    with pytest.raises(ServiceUnavailable, match="was not done"):
        list(world.marketo.extract_persons({}, HOURS, patience=0.0))


def extracted(world: World) -> int:
    return sum(page.num_rows for page in world.marketo.extract_persons({"email": "text"}, HOURS))


@dataclass(frozen=True)
class Scenario:
    """`act` writes; `told`: the caller hears of the doubt; `state` is what must hold afterwards."""

    act: Callable[[World], object]
    told: bool
    state: Callable[[World], object]
    expected: object
    before: Callable[[World], object] = lambda _: None


def listed(world: World) -> int:
    return world.marketo.find_list("A") or world.marketo.create_list("A")


def types(world: World) -> list[tuple[str | None, tuple[str, ...]]]:
    return [(each.status, each.attributes) for each in world.marketo.activity_types() if each.api_name == "orderPlaced"]


def activity(world: World) -> dict[str, object]:
    number = world.marketo.create_activity_type(ORDER).id
    return {
        "leadId": world.people[0], "activityDate": "2026-03-01T12:00:00Z", "activityTypeId": number,
        "primaryAttributeValue": "77", "attributes": [{"apiName": "amount", "value": 1}],
    }  # fmt: skip


def activities(world: World) -> int:
    number = world.marketo.create_activity_type(ORDER).id
    token = world.marketo.paging_token(datetime(2026, 3, 1, tzinfo=UTC))
    return sum(page.rows.num_rows for page in world.marketo.activities(token, [int(str(number))]))


NEW: dict[str, object] = {"email": "new@example.test"}
MADE = [("approved", ("Amount",))]
SCENARIOS = {
    "updateOnly": Scenario(
        lambda w: w.upsert("updateOnly", {"id": w.people[0], "city": "Ulm"}, "id"), True,
        lambda w: w.marketo.persons("id", [str(w.people[0])], {"city": "text"})["city"].to_pylist(), ["Ulm"],
    ),
    "createOrUpdate": Scenario(lambda w: w.upsert("createOrUpdate", NEW), True, fresh, 1),
    "createOnly": Scenario(lambda w: w.upsert("createOnly", NEW), True, fresh, 1),
    "createDuplicate": Scenario(lambda w: w.upsert("createDuplicate", NEW), True, fresh, 1),
    "delete persons": Scenario(
        lambda w: w.marketo.delete_persons(w.people[:1]), False, lambda w: w.count("p0@example.test"), 0
    ),
    "merge": Scenario(
        lambda w: w.marketo.merge_persons(w.people[0], w.people[1:]), True,
        lambda w: [w.count(f"p{number}@example.test") for number in range(3)], [1, 0, 0],
    ),
    "move to partition": Scenario(
        lambda w: w.marketo.move_to_partition(w.people, "Default"), False,
        lambda w: w.marketo.persons("leadPartitionId", ["1"], {}).num_rows, 3,
    ),
    "add to list": Scenario(
        lambda w: w.marketo.add_to_list(listed(w), w.people), False, lambda w: len(w.on_list(listed(w))), 3
    ),
    "remove from list": Scenario(
        lambda w: w.marketo.remove_from_list(listed(w), w.people[:1]), False, lambda w: len(w.on_list(listed(w))), 2,
        before=lambda w: w.marketo.add_to_list(listed(w), w.people),
    ),
    "create list": Scenario(
        lambda w: w.marketo.create_list("A"), False, lambda w: w.marketo.find_list("A") is None, False
    ),
    "create fields": Scenario(
        lambda w: w.marketo.create_fields([{"name": "regionCode", "displayName": "Region", "dataType": "string"}]),
        False,
        lambda w: [each.name for each in w.marketo.describe()].count("regionCode"), 1,
    ),
    "create activity type": Scenario(lambda w: w.marketo.create_activity_type(ORDER), False, types, MADE),
    "add attributes": Scenario(lambda w: w.marketo.create_activity_type(ORDER), False, types, MADE),
    "approve activity type": Scenario(lambda w: w.marketo.create_activity_type(ORDER), False, types, MADE),
    "add activities": Scenario(lambda w: w.marketo.add_activities([activity(w)]), True, activities, 1),
    "create export": Scenario(extracted, True, extracted, 3),
    "enqueue export": Scenario(extracted, False, extracted, 3),
    "cancel export": Scenario(
        gives_up, False, extracted, 3
    ),
    "write batch": Scenario(
        lambda w: w.dynamics.batch([RowWrite(Entity.LEAD, GUID, "create", {"lastname": "Ax"})]), False,
        lambda w: w.dynamics.rows(Entity.LEAD, [GUID], {"lastname": "text"})["lastname"].to_pylist(), ["Ax"],
    ),
}  # fmt: skip


def test_every_write_call_has_a_scenario() -> None:
    assert set(SCENARIOS) == set(WRITES)


@pytest.mark.parametrize("call", sorted(WRITES))
def test_a_write_whose_answer_is_lost_happens_once(world: World, call: str) -> None:
    scenario, write = SCENARIOS[call], WRITES[call]
    scenario.before(world)
    world.network.lose(write)
    doubt: object = None
    if scenario.told:
        with pytest.raises(ConnectionBroken) as caught:
            scenario.act(world)
        assert caught.value.maybe_committed
    else:
        doubt = scenario.act(world)
    assert world.network.sent == (2 if write.repeat is Repeat.ALWAYS else 1)
    if call == "write batch":
        assert [each.answered for each in doubt] == [False]  # type: ignore[attr-defined]
    assert scenario.state(world) == scenario.expected
