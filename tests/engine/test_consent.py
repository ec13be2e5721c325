"""Consent: opt-outs first, held back by nothing; nobody subscribed again but by a fresh lift (R145–R149, D86–D88)."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import pytest

from include.leadsync.clients.transport import HttpRequest
from include.leadsync.requests import request_persons
from include.leadsync.state import Outbox
from tests.engine.play import column, linked_lead, shown
from tests.world import World

BOTH = (False, True)

AGREED = {
    # base, person, CRM record → what both must show
    (False, False, False): False,
    (False, True, False): True,
    (False, False, True): True,
    (False, True, True): True,
    (True, True, True): True,
    (True, False, True): False,  # lifted in Marketo
    (True, True, False): False,  # lifted in Dynamics
    (True, False, False): False,
}
"""With a baseline a boolean cannot collide: what changed since goes across."""

NEVER_AGREED = {(False, False): False, (True, False): True, (False, True): True, (True, True): True}
"""Without one, opt-out wins on both types (DECISIONS 3); nothing lifts one (D88)."""

FIELDS = {"unsubscribed": "donotbulkemail", "microsoftDoNotEmail": "donotemail"}
Pairs = dict[tuple[Any, ...], tuple[int, str, str]]


def row(world: World, entity: str, name: str, value: bool) -> str:
    own = {"subject": "s"} if entity == "lead" else {}
    flags = dict.fromkeys(FIELDS.values(), value)
    return world.add_row(entity, **own, lastname="L", emailaddress1=f"{name}@example.com", **flags)


def check(world: World, pairs: Pairs, expected: dict[tuple[Any, ...], bool]) -> None:
    for key, (person, entity, row_id) in pairs.items():
        wanted = expected[key[1:]]
        for field, name in FIELDS.items():
            assert shown(world, person, field) is wanted, (key, field)
            assert column(world, entity, row_id, name) is wanted, (key, name)


def linked_pairs(world: World) -> Pairs:
    """One pair per entity, base, person and CRM value; the base is agreed."""
    rows: dict[tuple[Any, ...], str] = {
        (entity, *values): row(world, entity, f"{entity}{number}", values[0])
        for entity in ("lead", "contact")
        for number, values in enumerate(product(BOTH, repeat=3))
    }
    world.settle()
    return {key: (world.persons_by("microsoftId", at)[0]["id"], key[0], at) for key, at in rows.items()}


def change_both(world: World, pairs: Pairs) -> None:
    for (entity, base, person_value, row_value), (person, _, row_id) in pairs.items():
        if person_value is not base:
            world.edit_person(person, **dict.fromkeys(FIELDS, person_value))
        if row_value is not base:
            world.edit_row(entity, row_id, **dict.fromkeys(FIELDS.values(), row_value))


def add_filters(world: World) -> None:
    for entity in ("lead", "contact"):
        change = {"entity": entity, "attribute": "new_synctomkto", "type": "Boolean", "default": "true"}
        world.dynamics.control("add_attribute", change)


def say(world: World, pairs: Pairs, synced: bool) -> None:
    for _, entity, row_id in pairs.values():
        world.edit_row(entity, row_id, new_synctomkto=synced)
    world.settle()


@pytest.mark.parametrize("path", ["cycle", "backfill", "window", "swept", "reopened"])
def test_what_linked_pairs_agree_on_is_as_the_table_says_on_every_path(world: World, path: str) -> None:
    pairs = linked_pairs(world)
    since = world.clock.now().isoformat()
    change_both(world, pairs)
    if path == "backfill":
        world.run(kind="backfill", persons=tuple(person for person, _, _ in pairs.values()))
    elif path == "window":
        world.run(kind="backfill", since=since)
    elif path == "swept":
        for entity in ("lead", "contact"):
            world.dynamics.control("age_delta_tokens", {"entity": entity})
    elif path == "reopened":
        world.reopen()
    world.settle()
    check(world, pairs, AGREED)


def test_what_suspended_pairs_agree_on_when_they_resume_is_as_the_table_says(world: World) -> None:
    add_filters(world)
    pairs = linked_pairs(world)
    say(world, pairs, synced=False)
    change_both(world, pairs)
    world.settle()
    say(world, pairs, synced=True)
    check(world, pairs, AGREED)


def test_a_first_link_lets_an_opt_out_win_and_lifts_none(world: World) -> None:
    people: dict[tuple[Any, ...], int] = {
        (entity, *values): world.add_person(
            email=f"{entity}{number}@example.com", lastName="L", **dict.fromkeys(FIELDS, values[0])
        )
        for entity in ("lead", "contact")
        for number, values in enumerate(product(BOTH, repeat=2))
    }
    numbers: dict[tuple[Any, ...], int] = {values: number for number, values in enumerate(product(BOTH, repeat=2))}
    pairs = {
        key: (person, key[0], row(world, key[0], f"{key[0]}{numbers[key[1:]]}", key[2]))
        for key, person in people.items()
    }
    world.settle()
    check(world, pairs, NEVER_AGREED)


@pytest.mark.parametrize("entity", ["lead", "contact"])
@pytest.mark.parametrize("value", BOTH)
def test_a_creation_carries_an_opt_out_both_ways(world: World, entity: str, value: bool) -> None:
    inbound = row(world, entity, "in", value)
    person = world.add_person(email="out@example.com", lastName="L", **dict.fromkeys(FIELDS, value))
    request_persons(world.engine, [person], entity, None, source="test", token="1")
    world.settle()
    (made,) = world.persons_by("microsoftId", inbound)
    (record,) = world.rows(entity, "emailaddress1 eq 'out@example.com'")
    pairs: Pairs = {
        (0, value): (made["id"], entity, inbound),
        (1, value): (person, entity, record[f"{entity}id"]),
    }
    check(world, pairs, {(value,): value})


def test_a_person_made_of_a_record_without_opt_out_is_not_subscribed_over_the_durable_one(world: World) -> None:
    world.marketo.control("set_options", {"durable_unsubscribe": True})
    gone = world.add_person(email="lead0@example.com", lastName="L", unsubscribed=True)
    world.delete_person(gone)
    lead = row(world, "lead", "lead0", False)
    world.settle()
    (made,) = world.persons_by("microsoftId", lead)
    assert shown(world, made["id"], "unsubscribed") is True
    world.edit_row("lead", lead, jobtitle="CTO")
    world.settle()
    assert shown(world, made["id"], "unsubscribed") is True


def same_address(world: World) -> list[tuple[int, str, str]]:
    """A lead and two contacts with one address, each with a person of its own."""
    rows = [(entity, row(world, entity, "same", False)) for entity in ("lead", "contact", "contact")]
    world.settle()
    return [(world.persons_by("microsoftId", at)[0]["id"], entity, at) for entity, at in rows]


def test_one_unsubscribe_reaches_every_record_with_the_address_once(world: World) -> None:
    world.marketo.control("set_options", {"durable_unsubscribe": True})
    pairs = same_address(world)
    world.edit_person(pairs[0][0], unsubscribed=True)
    world.transport.log.clear()
    report = world.run()
    assert report["steps"]["load"]["outbound_done"] == 3
    assert [column(world, entity, at, "donotbulkemail") for _, entity, at in pairs] == [True] * 3
    assert world.settle() == 1


def test_an_opt_out_in_dynamics_spreads_over_marketo_to_the_other_records(world: World) -> None:
    world.marketo.control("set_options", {"durable_unsubscribe": True})
    pairs = same_address(world)
    world.edit_row(pairs[1][1], pairs[1][2], donotbulkemail=True)
    world.settle()
    assert [column(world, entity, at, "donotbulkemail") for _, entity, at in pairs] == [True] * 3
    assert [shown(world, person, "unsubscribed") for person, _, _ in pairs] == [True] * 3


@pytest.mark.parametrize("side", ["person", "row"])
def test_a_lift_never_runs_over_an_opt_out_of_the_same_address_in_the_same_cycle(world: World, side: str) -> None:
    world.marketo.control("set_options", {"durable_unsubscribe": True})
    pairs = same_address(world)
    lifted, other = pairs[0], pairs[1]
    world.edit_row(lifted[1], lifted[2], donotbulkemail=True)
    world.settle()
    world.edit_row(other[1], other[2], donotbulkemail=False)  # lifted for all of them
    world.settle()
    world.edit_row(lifted[1], lifted[2], donotbulkemail=True)
    world.settle()
    world.edit_row(lifted[1], lifted[2], donotbulkemail=False)
    if side == "row":
        world.edit_row(pairs[2][1], pairs[2][2], donotbulkemail=False)
        world.edit_row(pairs[2][1], pairs[2][2], donotbulkemail=True)
        world.edit_person(other[0], unsubscribed=False)
        world.edit_person(other[0], unsubscribed=True)
    else:
        world.edit_person(other[0], unsubscribed=False)
        world.edit_row(other[1], other[2], donotbulkemail=True)
        world.edit_person(other[0], unsubscribed=True)
    world.settle()
    states = {shown(world, person, "unsubscribed") for person, _, _ in pairs}
    assert len(states) == 1
    assert {column(world, entity, at, "donotbulkemail") for _, entity, at in pairs} == states


def test_a_fresh_opt_out_beats_a_lift_for_the_same_address(world: World) -> None:
    pairs = same_address(world)
    world.edit_row(pairs[0][1], pairs[0][2], donotbulkemail=True)
    world.settle()  # without the durable option only this pair opted out
    world.marketo.control("set_options", {"durable_unsubscribe": True})
    world.edit_row(pairs[0][1], pairs[0][2], donotbulkemail=False)
    world.edit_row(pairs[1][1], pairs[1][2], donotbulkemail=True)
    world.settle()
    assert [column(world, entity, at, "donotbulkemail") for _, entity, at in pairs] == [True] * 3
    assert [shown(world, person, "unsubscribed") for person, _, _ in pairs] == [True] * 3
    (lost,) = [entry for entry in world.ledger(pairs[0][0], "unsubscribed") if entry["lost"] == "false"]
    assert (lost["after"], lost["rule"]) == ("true", "D86")


@pytest.mark.parametrize("where", ["marketo", "dynamics"])
def test_a_lift_crosses_and_the_ledger_says_that_it_was_one(world: World, where: str) -> None:
    person, lead = linked_lead(world, donotbulkemail=True)
    if where == "marketo":
        world.edit_person(person, unsubscribed=False)
    else:
        world.edit_row("lead", lead, donotbulkemail=False)
    world.settle()
    assert (shown(world, person, "unsubscribed"), column(world, "lead", lead, "donotbulkemail")) == (False, False)
    (lift,) = [entry for entry in world.ledger(person, "unsubscribed") if entry["after"] == "false"]
    assert (lift["before"], lift["rule"]) == ("true", "R148")


@pytest.fixture
def braked(tmp_path: Path) -> Any:
    """A brake that holds the second overwrite."""
    with World(
        tmp_path, {"policies": {"brake": {n: {"count": 0, "share": 0.0} for n in ("deletes", "overwrites")}}}
    ) as w:
        yield w


@pytest.mark.parametrize("side", ["person", "row"])
def test_the_brake_holds_no_opt_out_but_it_holds_lifts(braked: World, side: str) -> None:
    person, lead = linked_lead(braked, donotemail=True, jobtitle="old")
    if side == "person":
        braked.edit_person(person, unsubscribed=True, microsoftDoNotEmail=False, title="new")
    else:
        braked.edit_row("lead", lead, donotbulkemail=True, donotemail=False, jobtitle="new")
    braked.settle()
    assert (shown(braked, person, "unsubscribed"), column(braked, "lead", lead, "donotbulkemail")) == (True, True)
    flags = {shown(braked, person, "microsoftDoNotEmail"), column(braked, "lead", lead, "donotemail")}
    assert flags == {True, False}
    assert {shown(braked, person, "title"), column(braked, "lead", lead, "jobtitle")} == {"old", "new"}
    (held,) = Outbox(braked.engine.store).held().to_pylist()
    braked.run(approve=held["plan_hash"])
    braked.settle()
    assert (shown(braked, person, "microsoftDoNotEmail"), column(braked, "lead", lead, "donotemail")) == (False, False)


@pytest.mark.parametrize("on_invalid", ["record", "field"])
def test_an_invalid_value_of_another_field_holds_no_opt_out_back(world: World, on_invalid: str) -> None:
    world.configure({"policies": {"on_invalid": on_invalid}})
    world.reopen()
    person, lead = linked_lead(world)
    world.edit_person(person, unsubscribed=True, title="tab\x01", city="Lund")
    world.settle()
    assert column(world, "lead", lead, "donotbulkemail") is True
    assert [entry["field"] for entry in world.activities(open_only=True)] == ["title"]


def test_a_refused_consent_field_holds_no_other_one_back(world: World) -> None:
    person, lead = linked_lead(world)
    refusal = {"entity": "lead", "when": {"donotemail": True}, "message": "a plug-in says no"}
    world.dynamics.control("fail_writes", refusal)
    world.edit_person(person, unsubscribed=True, microsoftDoNotEmail=True, microsoftDoNotSendMarketingMaterial=True)
    world.settle()
    names = ("donotbulkemail", "donotsendmm", "donotemail")
    assert [column(world, "lead", lead, name) for name in names] == [True, True, False]
    assert [entry["field"] for entry in world.activities(open_only=True)] == ["microsoftDoNotEmail"]


def test_opt_outs_are_the_first_writes_of_a_load(world: World) -> None:
    pairs = [linked_lead(world, emailaddress1=f"p{number}@example.com") for number in range(4)]
    for number, (person, lead) in enumerate(pairs):
        world.edit_person(person, title="new")
        world.edit_row("lead", lead, address1_city="new")
        if number == 3:
            world.edit_person(person, unsubscribed=True)
    bodies: list[bytes] = []

    def watch(request: HttpRequest) -> None:
        if "$batch" in request.url:
            bodies.append(request.body or b"")

    world.configure({"batches": {"dynamics": 1}})
    world.reopen()
    world.transport.before.append(watch)
    world.run()
    writes = [body for body in bodies if b"PATCH" in body]
    assert len(writes) == 5
    assert b"donotbulkemail" in writes[0]
