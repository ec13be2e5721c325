"""A person is told once, whatever becomes of the call (P6, DECISIONS 24)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from include.leadsync.clients.transport import HttpRequest, HttpResponse
from include.leadsync.errors import ConnectionBroken, RetryLater
from tests.engine.play import column, linked_lead, shown
from tests.world import World
from tests.world_transport import ConnectionDropped

SEND = "/rest/v1/activities/external.json"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path) as made:
        yield made


@pytest.fixture
def failing(world: World) -> tuple[int, str]:
    """A linked pair whose person has a value that Dynamics would refuse, not yet found by a run."""
    person, lead = linked_lead(world)
    world.edit_person(person, mobilePhone="0123456789 0123456789 0123456789")
    return person, lead


def told(world: World, person: int) -> list[str]:
    return [entry["primaryAttributeValue"] for entry in world.outcome_activities(person)]


def runs(world: World, count: int = 1) -> None:
    for _ in range(count):
        with contextlib.suppress(RetryLater):
            world.run()
        world.movable.advance(120)


def sent(world: World) -> int:
    return sum(method == "POST" and SEND in url for method, url in world.transport.log)


def answer_lost(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    if SEND in request.url:
        raise ConnectionDropped
    return response


def never_arrived(request: HttpRequest) -> HttpResponse | None:
    if SEND in request.url:
        raise ConnectionBroken("marketo.test cannot be reached", maybe_committed=False)
    return None


class Killed(BaseException):
    pass


def test_an_activity_whose_answer_was_lost_is_looked_for_and_not_sent_again(
    world: World, failing: tuple[int, str]
) -> None:
    world.transport.after.append(answer_lost)
    runs(world)
    world.transport.after.clear()
    assert sent(world) == 1
    runs(world, 2)
    assert told(world, failing[0]) == ["failed: mobilePhone"]
    assert sent(world) == 1


def test_an_activity_that_never_arrived_is_sent_again(world: World, failing: tuple[int, str]) -> None:
    world.transport.before.append(never_arrived)
    runs(world)
    world.transport.before.clear()
    assert told(world, failing[0]) == []
    runs(world, 2)
    assert told(world, failing[0]) == ["failed: mobilePhone"]


def test_one_that_waited_for_days_before_its_answer_was_lost_is_found_too(
    world: World, failing: tuple[int, str]
) -> None:
    world.transport.before.append(never_arrived)
    runs(world)
    world.movable.advance(timedelta(days=5).total_seconds())
    world.transport.before.clear()
    world.transport.after.append(answer_lost)
    runs(world)
    world.transport.after.clear()
    runs(world, 2)
    assert told(world, failing[0]) == ["failed: mobilePhone"]


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_run_that_dies_at_the_call_tells_once(world: World, failing: tuple[int, str], moment: str) -> None:
    def die(request: HttpRequest, response: HttpResponse | None = None) -> HttpResponse | None:
        if SEND in request.url:
            raise Killed
        return response

    hooks: list[Callable[..., HttpResponse | None]] = getattr(world.transport, moment)
    hooks.append(die)
    with pytest.raises(Killed):
        world.run()
    hooks.clear()
    world.reopen()
    world.movable.advance(120)
    runs(world, 2)
    assert told(world, failing[0]) == ["failed: mobilePhone"]


def test_a_look_that_fails_keeps_the_outcomes_of_the_writes_beside_it(world: World, failing: tuple[int, str]) -> None:
    person, lead = failing
    world.transport.after.append(answer_lost)
    others_lead = world.add_row("lead", subject="s", lastname="Other", emailaddress1="other@example.com")
    runs(world)
    world.transport.after.clear()
    (other,) = (found["id"] for found in world.persons_by("email", "other@example.com"))
    for edited in (lead, others_lead):  # the first has words waiting, so its write is in a batch of its own
        world.edit_row("lead", edited, jobtitle="CTO")

    def blind(request: HttpRequest) -> HttpResponse | None:
        if "pagingtoken" in request.url:
            raise ConnectionBroken("marketo.test cannot be reached", maybe_committed=False)
        return None

    world.transport.before.append(blind)
    with pytest.raises(RetryLater, match=r"cannot be reached"):
        world.run()
    for told_or_not in (person, other):
        assert shown(world, told_or_not, "title") == "CTO"
        assert [entry["kind"] for entry in world.ledger(told_or_not, "title")] == ["update"]  # acknowledged
    world.transport.before.clear()
    world.movable.advance(120)
    runs(world, 2)
    assert told(world, person) == ["failed: mobilePhone"]


def test_without_the_activity_type_writes_go_on_and_the_message_says_what_to_do(world: World) -> None:
    person, lead = linked_lead(world)
    world.configure({"marketo": {"activity_type": "anotherOutcome"}})
    world.reopen()
    world.edit_person(person, mobilePhone="0123456789 0123456789 0123456789")
    world.edit_row("lead", lead, address1_city="Lund")
    with pytest.raises(RetryLater, match=r"no custom activity type 'anotherOutcome'; run .* setup"):
        world.run()
    assert (shown(world, person, "city"), column(world, "lead", lead, "mobilephone")) == ("Lund", None)
    world.configure({})
    world.reopen()
    world.movable.advance(120)
    world.settle()
    assert told(world, person) == ["failed: mobilePhone"]
