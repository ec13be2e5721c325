"""Sync Person to Microsoft where several things happen at once: every request ends, no record is linked twice."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from include.leadsync.clients.transport import HttpRequest, HttpResponse
from include.leadsync.errors import ConnectionBroken, LeadSyncError, RetryLater
from include.leadsync.requests import request_persons
from include.leadsync.state import Links, Requests
from tests.engine.lifecycle import Scene
from tests.engine.together import Story, linked, together
from tests.world import World
from tests.world_transport import ConnectionDropped


def ask(world: World, *persons: int, owner: str | None = None) -> list[str]:
    return request_persons(world.engine, persons, "lead", owner, source="test", token="once")


def outcomes(world: World, requests: list[str]) -> list[str | None]:
    rows: list[dict[str, Any]] = Requests(world.engine.store).get(requests).to_pylist()
    assert {row["state"] for row in rows} == {"finished"}
    found = {row["request_id"]: row["outcome"] for row in rows}
    return [found[request] for request in requests]


def salesperson(world: World) -> str:
    """A user who may own leads."""
    users = [user for user in world.rows("systemuser") if not user["isdisabled"]]
    return str(users[-1]["systemuserid"])


def add_filter(world: World) -> None:
    """Contacts may be kept out."""
    column = {"entity": "contact", "attribute": "new_synctomkto", "type": "Boolean", "default": "true"}
    world.dynamics.control("add_attribute", column)


def rows_with(scene: Scene, entity: str, name: str) -> list[dict[str, Any]]:
    """CRM records with the address of this name."""
    return scene.world.rows(entity, f"emailaddress1 eq '{scene.address(name)}'")


@together(pairs=False, before=add_filter)
def test_two_persons_with_the_address_of_one_lead_ask_at_once_and_one_gets_it(scene: Scene) -> Story:
    persons = [scene.add_person(email=scene.address("same"), lastName=name) for name in ("A", "B")]
    lead = scene.add_row("lead", lastname="L", emailaddress1=scene.address("same"))
    yield  # the lead is held: two persons could be its person
    requests = ask(scene.world, *persons)
    yield
    assert sorted(map(str, outcomes(scene.world, requests))) == ["held", "linked"]
    assert len(scene.world.persons_by("microsoftId", lead)) == 1
    assert len(rows_with(scene, "lead", "same")) == 1


@together(pairs=False, before=add_filter)
def test_a_lead_that_arrives_with_its_own_person_is_not_given_to_one_that_asks(scene: Scene) -> Story:
    other = scene.add_person(email=scene.address("same"), lastName="Other")
    guid = "aaaaaaaa-0000-4000-8000-00000000000a"
    owner = scene.add_person(email=scene.address("owner"), lastName="Owner", microsoftId=guid)
    yield
    requests = ask(scene.world, other)
    scene.add_row("lead", leadid=guid, lastname="L", emailaddress1=scene.address("same"))
    yield
    assert outcomes(scene.world, requests) == ["held"]
    assert [person["id"] for person in scene.world.persons_by("microsoftId", guid)] == [owner]


@pytest.mark.parametrize("both", [True, False], ids=["both ask", "one asks"])
@together(pairs=False, before=add_filter)
def test_a_record_that_is_kept_out_goes_to_the_person_that_carries_its_id(scene: Scene, *, both: bool) -> Story:
    same, other = scene.address("same"), scene.address("other")  # D11, D14
    contact = scene.add_row("contact", lastname="C", emailaddress1=same, new_synctomkto=False)
    person = scene.add_person(email=same, lastName="Same")
    carrier = scene.add_person(email=other, lastName="Carrier", microsoftId=contact)
    requests = ask(scene.world, *([person, carrier] if both else [person]))
    yield
    assert outcomes(scene.world, requests) == ["held", "linked"][: len(requests)]
    assert [person["id"] for person in scene.world.persons_by("microsoftId", contact)] == [carrier]
    assert [*rows_with(scene, "lead", "same"), *rows_with(scene, "lead", "other")] == []


@together(pairs=False, before=add_filter)
def test_two_persons_of_one_address_who_ask_at_once_do_not_get_two_leads(scene: Scene) -> Story:
    persons = [scene.add_person(email=scene.address("same"), lastName=name) for name in ("A", "B")]
    requests = ask(scene.world, *persons)
    yield
    found = outcomes(scene.world, requests)
    assert sorted(map(str, found)) == ["created", "held"]
    assert len(rows_with(scene, "lead", "same")) == 1
    for person, outcome in zip(persons, found, strict=True):  # each person is told what became of its request
        shown = [each["primaryAttributeValue"] for each in scene.world.outcome_activities(person)]
        assert shown == [f"{outcome}: sync_person"]


def test_a_person_edited_while_its_lead_waits_to_be_created_still_ends_its_request(world: World) -> None:
    person = world.add_person(email="x@example.com", lastName="A")
    world.settle()
    owner = salesperson(world)
    requests = ask(world, person, owner=owner)

    def unreachable(request: HttpRequest) -> HttpResponse | None:
        if "$batch" in request.url:
            raise ConnectionBroken("cannot be reached", maybe_committed=False)
        return None

    world.transport.before.append(unreachable)
    with pytest.raises(RetryLater):
        world.run()
    world.transport.before.clear()
    world.edit_person(person, title="typed meanwhile")
    world.settle()
    assert outcomes(world, requests) == ["created"]
    (lead,) = world.rows("lead")
    assert (lead["jobtitle"], lead["_ownerid_value"]) == ("typed meanwhile", owner)


def test_a_request_whose_creation_was_never_answered_ends_when_the_record_is_found(world: World) -> None:
    person = world.add_person(email="x@example.com", lastName="A")
    world.settle()
    requests = ask(world, person)
    dropped: list[str] = []

    def drop(request: HttpRequest, response: HttpResponse) -> HttpResponse:
        if "$batch" in request.url and not dropped:
            dropped.append(request.url)
            raise ConnectionDropped
        return response

    world.transport.after.append(drop)
    with contextlib.suppress(LeadSyncError):
        world.run()
    world.settle()
    assert dropped
    assert outcomes(world, requests) == ["created"]
    assert len(world.rows("lead")) == 1


@together(pairs=False, before=add_filter)
def test_a_refused_request_that_is_put_right_still_gives_the_record_to_its_owner(scene: Scene) -> Story:
    owner = salesperson(scene.world)
    person = scene.add_person(email=scene.address("x"), firstName="No")
    yield
    requests = ask(scene.world, person, owner=owner)
    yield
    assert outcomes(scene.world, requests) == ["failed"]
    scene.world.edit_person(person, lastName="Now")
    yield
    (lead,) = rows_with(scene, "lead", "x")
    assert lead["_ownerid_value"] == owner
    assert scene.activities(open_only=True) == []


@pytest.mark.parametrize(("entity", "rule"), [("lead", "D28"), ("contact", "R55")])
@together(pairs=False, before=add_filter)
def test_a_request_as_the_other_kind_converts_nothing_and_makes_no_second_record(
    scene: Scene, entity: str, rule: str
) -> Story:
    world = scene.world
    person, row = yield from linked(scene, entity)
    other = "contact" if entity == "lead" else "lead"
    requests = request_persons(world.engine, [person], other, source="test", token="once")
    yield
    assert outcomes(world, requests) == ["no_action"]
    assert (len(rows_with(scene, entity, "ann")), rows_with(scene, other, "ann")) == (1, [])
    answer = next(row for row in scene.activities() if row["operation"] == "sync_person")
    assert (answer["code"], answer["rule"], answer["outcome"]) == ("already_linked", rule, "no_action")
    assert [each["primaryAttributeValue"] for each in world.outcome_activities(person)] == ["no_action: sync_person"]
    assert [link["crm_id"] for link in Links(world.engine.store).by_person([person]).to_pylist()] == [row]


def test_who_asks_again_while_the_record_is_on_its_way_is_told_so(world: World) -> None:
    person = world.add_person(email="x@example.com", lastName="A", company="C")
    first = ask(world, person)

    def unreachable(request: HttpRequest) -> HttpResponse | None:
        if "$batch" in request.url and b"x@example.com" in (request.body or b""):
            raise ConnectionBroken("cannot be reached", maybe_committed=False)
        return None

    world.transport.before.append(unreachable)
    with pytest.raises(RetryLater):
        world.run()
    again = request_persons(world.engine, [person], "contact", source="test", token="again")
    with pytest.raises(RetryLater):
        world.run()
    world.transport.before.clear()
    assert Requests(world.engine.store).get(again).to_pylist()[0]["message"].startswith("in_process:")  # R50
    world.settle()
    assert outcomes(world, [*first, *again]) == ["created", "no_action"]
    assert (len(world.rows("lead")), world.rows("contact")) == (1, [])


@pytest.mark.parametrize("way", ["merged", "qualified", "qualified into a contact that was there"])
def test_a_request_follows_the_only_match_to_its_master_or_its_contact(world: World, way: str) -> None:
    lead = world.add_row("lead", subject="s", lastname="L", emailaddress1="x@example.com")
    if way == "merged":
        entity, into = "lead", world.add_row("lead", subject="s", lastname="M", emailaddress1="master@example.com")
        merge = {"entity": "lead", "target": into, "subordinate": lead, "values": {}}
        world.dynamics.control("merge_rows", merge)
    elif way == "qualified":
        qualified = world.dynamics.control("qualify_lead", {"id": lead, "create_account": False})
        entity, into = "contact", qualified["created"]["contact"]
        world.edit_row("contact", into, emailaddress1="other@example.com")
    else:
        entity, into = "contact", world.add_row("contact", lastname="C", emailaddress1="there@example.com")
        world.edit_row("lead", lead, **{"parentcontactid@odata.bind": f"/contacts({into})"})
        world.dynamics.control("qualify_lead", {"id": lead, "create_account": False})
    person = world.add_person(email="x@example.com", lastName="A", company="C")
    ask(world, person)
    world.run(kind="request")
    (link,) = Links(world.engine.store).by_person([person]).to_pylist()
    assert (link["entity"], link["crm_id"]) == (entity, into)
    assert len(world.rows("lead")) + len(world.rows("contact")) == 2


@together(pairs=False, before=add_filter)
def test_the_reason_of_a_request_is_told_with_its_outcome(scene: Scene) -> Story:
    person = scene.add_person(email=scene.address("x"), lastName="A", company="C")
    request_persons(scene.world.engine, [person], "lead", reason="trade fair", source="test", token="once")
    yield
    (told,) = scene.world.outcome_activities(person)
    assert any("trade fair" in str(attribute["value"]) for attribute in told["attributes"])
