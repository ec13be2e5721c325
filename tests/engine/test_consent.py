"""Consent: opt-outs first, held back by nothing; nobody subscribed again but by a fresh lift (R145–R149, D86–D88)."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from include.leadsync.clients.transport import HttpRequest
from include.leadsync.requests import request_persons
from include.leadsync.state import Outbox
from tests.engine.lifecycle import Scene
from tests.engine.play import column, linked_lead, linked_leads, shown
from tests.engine.together import Story, linked, together
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


def row(scene: Scene, entity: str, name: str, value: bool) -> str:
    flags = dict.fromkeys(FIELDS.values(), value)
    return scene.add_row(entity, lastname="L", emailaddress1=scene.address(name), **flags)


def check(world: World, pairs: Pairs, expected: dict[tuple[Any, ...], bool]) -> None:
    for key, (person, entity, row_id) in pairs.items():
        wanted = expected[key[1:]]
        for field, name in FIELDS.items():
            assert shown(world, person, field) is wanted, (key, field)
            assert column(world, entity, row_id, name) is wanted, (key, name)


@dataclass(frozen=True)
class Agreed:
    """A world in which every pair agrees on its base: where it is, and one pair per entity, base, person, CRM value."""

    folder: Path
    pairs: Pairs


@pytest.fixture(scope="module")
def agreed(tmp_path_factory: pytest.TempPathFactory) -> Agreed:
    """Made once; tests work on copies. Both entities have a filter that keeps nobody out."""
    folder = tmp_path_factory.mktemp("agreed") / "world"
    folder.mkdir()
    with World(folder) as world:
        for entity in ("lead", "contact"):
            change = {"entity": entity, "attribute": "new_synctomkto", "type": "Boolean", "default": "true"}
            world.dynamics.control("add_attribute", change)
        scene = Scene(world, people={})
        rows: dict[tuple[Any, ...], str] = {
            (entity, *values): row(scene, entity, f"{entity}{number}", values[0])
            for entity in ("lead", "contact")
            for number, values in enumerate(product(BOTH, repeat=3))
        }
        world.settle()
        return Agreed(folder, {key: (scene.person_of(at), key[0], at) for key, at in rows.items()})


@pytest.fixture
def agreeing(agreed: Agreed, tmp_path: Path) -> Iterator[World]:
    """A copy of them."""
    shutil.copytree(agreed.folder, tmp_path / "world")
    with World(tmp_path / "world", fresh=False) as world:
        yield world


def change_both(world: World, pairs: Pairs) -> None:
    for (entity, base, person_value, row_value), (person, _, row_id) in pairs.items():
        if person_value is not base:
            world.edit_person(person, **dict.fromkeys(FIELDS, person_value))
        if row_value is not base:
            world.edit_row(entity, row_id, **dict.fromkeys(FIELDS.values(), row_value))


def say(world: World, pairs: Pairs, synced: bool) -> None:
    for _, entity, row_id in pairs.values():
        world.edit_row(entity, row_id, new_synctomkto=synced)
    world.settle()


@pytest.mark.parametrize("path", ["cycle", "backfill", "window", "swept", "reopened"])
def test_what_linked_pairs_agree_on_is_as_the_table_says_on_every_path(
    agreeing: World, agreed: Agreed, path: str
) -> None:
    world, pairs = agreeing, agreed.pairs
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


def test_what_suspended_pairs_agree_on_when_they_resume_is_as_the_table_says(agreeing: World, agreed: Agreed) -> None:
    say(agreeing, agreed.pairs, synced=False)
    change_both(agreeing, agreed.pairs)
    agreeing.settle()
    say(agreeing, agreed.pairs, synced=True)
    check(agreeing, agreed.pairs, AGREED)


@together(pairs=False)
def test_a_first_link_lets_an_opt_out_win_and_lifts_none(scene: Scene) -> Story:
    pairs: Pairs = {}
    for entity in ("lead", "contact"):
        for number, values in enumerate(product(BOTH, repeat=2)):
            name = f"{entity}{number}"
            flags = dict.fromkeys(FIELDS, values[0])
            person = scene.add_person(email=scene.address(name), lastName="L", **flags)
            pairs[(entity, *values)] = (person, entity, row(scene, entity, name, values[1]))
    yield
    check(scene.world, pairs, NEVER_AGREED)


@pytest.mark.parametrize("entity", ["lead", "contact"])
@pytest.mark.parametrize("value", BOTH)
@together(pairs=False)
def test_a_creation_carries_an_opt_out_both_ways(scene: Scene, entity: str, value: bool) -> Story:
    inbound = row(scene, entity, "in", value)
    person = scene.add_person(email=scene.address("out"), lastName="L", **dict.fromkeys(FIELDS, value))
    request_persons(scene.world.engine, [person], entity, None, source="test", token="1")
    yield
    (record,) = scene.world.rows(entity, f"emailaddress1 eq '{scene.address('out')}'")
    pairs: Pairs = {
        (0, value): (scene.person_of(inbound), entity, inbound),
        (1, value): (person, entity, record[f"{entity}id"]),
    }
    check(scene.world, pairs, {(value,): value})


def durable(world: World) -> None:
    """Marketo keeps an unsubscribe for an address, whoever has it."""
    world.marketo.control("set_options", {"durable_unsubscribe": True})


@together(pairs=False, before=durable)
def test_a_person_made_of_a_record_without_opt_out_is_not_subscribed_over_the_durable_one(scene: Scene) -> Story:
    world = scene.world
    world.delete_person(scene.add_person(email=scene.address("gone"), lastName="L", unsubscribed=True))
    lead = row(scene, "lead", "gone", False)
    yield
    made = scene.person_of(lead)
    assert shown(world, made, "unsubscribed") is True
    world.edit_row("lead", lead, jobtitle="CTO")
    yield
    assert shown(world, made, "unsubscribed") is True


def same_address(scene: Scene) -> list[tuple[str, str]]:
    """A lead and two contacts with one address; each gets a person of its own."""
    return [(entity, row(scene, entity, "same", False)) for entity in ("lead", "contact", "contact")]


def with_persons(scene: Scene, rows: list[tuple[str, str]]) -> list[tuple[int, str, str]]:
    return [(scene.person_of(at), entity, at) for entity, at in rows]


def test_one_unsubscribe_reaches_every_record_with_the_address_once(world: World) -> None:
    durable(world)
    scene = Scene(world, people={})
    rows = same_address(scene)
    world.settle()
    pairs = with_persons(scene, rows)
    world.edit_person(pairs[0][0], unsubscribed=True)
    report = world.run()
    assert report["steps"]["load"]["outbound_done"] == 3
    assert [column(world, entity, at, "donotbulkemail") for entity, at in rows] == [True] * 3
    assert world.settle() == 1


@together(pairs=False, before=durable)
def test_an_opt_out_in_dynamics_spreads_over_marketo_to_the_other_records(scene: Scene) -> Story:
    world, rows = scene.world, same_address(scene)
    yield
    world.edit_row(*rows[1], donotbulkemail=True)
    yield
    assert [column(world, entity, at, "donotbulkemail") for entity, at in rows] == [True] * 3
    assert [shown(world, person, "unsubscribed") for person, _, _ in with_persons(scene, rows)] == [True] * 3


@pytest.mark.parametrize("side", ["person", "row"])
@together(pairs=False, before=durable)
def test_a_lift_never_runs_over_an_opt_out_of_the_same_address_in_the_same_cycle(scene: Scene, side: str) -> Story:
    world, rows = scene.world, same_address(scene)
    yield
    lifted, other, third = rows
    pairs = with_persons(scene, rows)
    others_person = pairs[1][0]
    world.edit_row(*lifted, donotbulkemail=True)
    yield
    world.edit_row(*other, donotbulkemail=False)  # lifted for all of them
    yield
    world.edit_row(*lifted, donotbulkemail=True)
    yield
    world.edit_row(*lifted, donotbulkemail=False)
    if side == "row":
        world.edit_row(*third, donotbulkemail=False)
        world.edit_row(*third, donotbulkemail=True)
        world.edit_person(others_person, unsubscribed=False)
        world.edit_person(others_person, unsubscribed=True)
    else:
        world.edit_person(others_person, unsubscribed=False)
        world.edit_row(*other, donotbulkemail=True)
        world.edit_person(others_person, unsubscribed=True)
    yield
    states = {shown(world, person, "unsubscribed") for person, _, _ in pairs}
    assert len(states) == 1
    assert {column(world, entity, at, "donotbulkemail") for entity, at in rows} == states


def test_a_fresh_opt_out_beats_a_lift_for_the_same_address(world: World) -> None:
    scene = Scene(world, people={})
    rows = same_address(scene)
    world.settle()
    pairs = with_persons(scene, rows)
    world.edit_row(*rows[0], donotbulkemail=True)
    world.settle()  # without the durable option only this pair opted out
    durable(world)
    world.edit_row(*rows[0], donotbulkemail=False)
    world.edit_row(*rows[1], donotbulkemail=True)
    world.settle()
    assert [column(world, entity, at, "donotbulkemail") for entity, at in rows] == [True] * 3
    assert [shown(world, person, "unsubscribed") for person, _, _ in pairs] == [True] * 3
    (lost,) = [entry for entry in world.ledger(pairs[0][0], "unsubscribed") if entry["lost"] == "false"]
    assert (lost["after"], lost["rule"]) == ("true", "D86")


@pytest.mark.parametrize("where", ["marketo", "dynamics"])
@together(pairs=False)
def test_a_lift_crosses_and_the_ledger_says_that_it_was_one(scene: Scene, where: str) -> Story:
    world = scene.world
    person, lead = yield from linked(scene, donotbulkemail=True)
    if where == "marketo":
        world.edit_person(person, unsubscribed=False)
    else:
        world.edit_row("lead", lead, donotbulkemail=False)
    yield
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
    person, lead = linked_lead(world)
    world.configure({"policies": {"on_invalid": on_invalid}})
    world.reopen()
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
    pairs = linked_leads(world, *({"emailaddress1": f"p{number}@example.com"} for number in range(4)))
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
