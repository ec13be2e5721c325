"""Two things that happen to one person between two cycles have one outcome: one person, whatever was seen first."""

from __future__ import annotations

import contextlib

import pytest

from include.leadsync.clients.transport import HttpRequest, HttpResponse
from include.leadsync.errors import LeadSyncError
from include.leadsync.requests import request_persons
from include.leadsync.state import Requests
from tests.engine.lifecycle import Scene
from tests.engine.play import column, shown
from tests.engine.together import Story, together
from tests.world_transport import ConnectionDropped


def persons_of(scene: Scene, name: str) -> list[int]:
    return [person["id"] for person in scene.world.persons_by("email", scene.address(name))]


def contact_of(contact: str | None) -> dict[str, object]:
    """What a person in step with a contact shows."""
    return {"Id": contact, "Type": "Contact", "IsDeleted": False, "MergedInto": None}


@pytest.mark.parametrize("cycle_between", [False, True], ids=["in one cycle", "one after another"])
@together()
def test_a_lead_qualified_and_deleted_leaves_its_person_with_the_contact(scene: Scene, cycle_between: bool) -> Story:
    world, person, lead = scene.world, scene.person("ann"), scene.record("ann")
    world.edit_person(person, unsubscribed=True)
    yield
    contact = scene.qualify(lead)
    assert contact
    if cycle_between:
        yield
    world.delete_row("lead", lead)
    world.edit_person(person, city="typed meanwhile")
    yield
    assert persons_of(scene, "ann") == [person]
    assert scene.shown(person) == contact_of(contact)
    assert ("contact", person, contact) in scene.live()
    assert column(world, "contact", contact, "address1_city") == "typed meanwhile"
    assert column(world, "contact", contact, "donotbulkemail") is True
    assert scene.said(open_only=True) == []


@pytest.mark.parametrize("cycle_between", [False, True], ids=["in one cycle", "one after another"])
@together()
def test_a_lead_qualified_and_its_contact_deleted_leaves_one_person(scene: Scene, cycle_between: bool) -> Story:
    world, person, lead = scene.world, scene.person("ann"), scene.record("ann")
    contact = scene.qualify(lead)
    assert contact
    if cycle_between:
        yield
    world.delete_row("contact", contact)
    yield
    assert persons_of(scene, "ann") == [person]
    told = scene.shown(person)
    stays = {"Id": lead, "Type": "Lead", "IsDeleted": False, "MergedInto": None}
    assert told == ({**contact_of(contact), "IsDeleted": True} if cycle_between else stays)
    world.edit_row("lead", lead, jobtitle="still here")
    yield
    assert persons_of(scene, "ann") == [person]


@together()
def test_a_lead_qualified_and_both_deleted_leaves_the_person_marked(scene: Scene) -> Story:
    world, person, lead = scene.world, scene.person("ann"), scene.record("ann")
    contact = scene.qualify(lead)
    assert contact
    world.delete_row("contact", contact)
    world.delete_row("lead", lead)
    yield
    assert persons_of(scene, "ann") == [person]
    told = scene.shown(person)
    assert told
    assert told["IsDeleted"] is True


@pytest.mark.parametrize("name", ["ann", "cy"])
@together()
def test_a_record_deleted_and_another_one_made_for_the_same_person_is_one_person(scene: Scene, name: str) -> Story:
    world, person = scene.world, scene.person(name)
    old, new = ("lead", "contact") if name == "ann" else ("contact", "lead")
    world.delete_row(old, scene.record(name))
    made = scene.add_row(new, lastname="Ax", emailaddress1=scene.address(name))
    yield
    assert persons_of(scene, name) == [person]
    assert scene.shown(person) == {"Id": made, "Type": new.capitalize(), "IsDeleted": False, "MergedInto": None}
    assert (old, person, scene.record(name), "crm_deleted") in scene.links()


@together()
def test_a_record_merged_away_and_deleted_leaves_its_person_with_the_winner_of_its_address(scene: Scene) -> Story:
    world, person, lead = scene.world, scene.person("ann"), scene.record("ann")
    winner = scene.add_row("lead", lastname="Ax", emailaddress1=scene.address("ann"))
    scene.merge_rows("lead", winner, lead)
    world.delete_row("lead", lead)
    yield
    assert persons_of(scene, "ann") == [person]
    assert scene.shown(person) == {"Id": winner, "Type": "Lead", "IsDeleted": False, "MergedInto": None}


@pytest.mark.parametrize("column_name", ["jobtitle", "fax"], ids=["a mapped column", "another column"])
@pytest.mark.parametrize("name", ["ann", "cy"])
@together()
def test_a_record_updated_after_its_persons_deletion_gets_a_new_person_at_once(
    scene: Scene, name: str, column_name: str
) -> Story:
    world, entity = scene.world, "lead" if name == "ann" else "contact"
    world.delete_person(scene.person(name))
    world.movable.advance(10)
    world.edit_row(entity, scene.record(name), **{column_name: "later"})
    yield
    (new,) = persons_of(scene, name)
    assert new != scene.person(name)
    assert scene.shown(new) == {
        "Id": scene.record(name),
        "Type": entity.capitalize(),
        "IsDeleted": False,
        "MergedInto": None,
    }
    assert [link for link in scene.live() if link[2] == scene.record(name)] == [(entity, new, scene.record(name))]
    assert (entity, scene.person(name), scene.record(name), "person_deleted") in scene.links()


@pytest.mark.parametrize("order", ["update, deletion", "deletion, update within seconds"])
@pytest.mark.parametrize("name", ["ann", "cy"])
@together()
def test_a_record_updated_before_its_persons_deletion_gets_no_person(scene: Scene, name: str, order: str) -> Story:
    world, entity = scene.world, "lead" if name == "ann" else "contact"
    for what in order.split(", "):
        if what == "deletion":
            world.delete_person(scene.person(name))
        else:
            world.edit_row(entity, scene.record(name), jobtitle="before")
        world.movable.advance(2)
    yield
    assert persons_of(scene, name) == []
    world.movable.advance(10)
    world.edit_row(entity, scene.record(name), jobtitle="later")
    yield
    assert len(persons_of(scene, name)) == 1


@together()
def test_a_record_updated_after_the_survivor_of_its_person_was_deleted_gets_a_new_person_at_once(scene: Scene) -> Story:
    world, person, lead = scene.world, scene.person("ann"), scene.record("ann")
    other = scene.add_person(email=scene.address("other"), lastName="Other")
    scene.merge_persons(other, person)
    world.delete_person(other)
    world.movable.advance(10)
    world.edit_row("lead", lead, jobtitle="later")
    yield
    (new,) = persons_of(scene, "ann")
    assert new not in {person, other}
    assert scene.shown(new) == {"Id": lead, "Type": "Lead", "IsDeleted": False, "MergedInto": None}


@pytest.mark.parametrize("first", ["the deletion", "the update"])
@together()
def test_the_record_of_a_merged_person_is_somebody_new_if_updated_after_the_survivor_was_deleted(
    scene: Scene, first: str
) -> Story:
    world, lead = scene.world, scene.record("ann")
    scene.merge_persons(scene.person("bo"), scene.person("ann"))
    yield
    for what in ("the deletion", "the update") if first == "the deletion" else ("the update", "the deletion"):
        if what == "the deletion":
            world.delete_person(scene.person("bo"))
        else:
            world.edit_row("lead", lead, jobtitle="later")
        world.movable.advance(10)
    yield
    assert [link[2] for link in scene.live()].count(lead) == (first == "the deletion")
    assert len(persons_of(scene, "ann")) == (first == "the deletion")


@pytest.mark.parametrize("first", ["the deletion", "the qualification"])
@together()
def test_a_lead_qualified_while_its_person_is_deleted_gets_at_most_one_person(scene: Scene, first: str) -> Story:
    world, person, lead = scene.world, scene.person("ann"), scene.record("ann")
    if first == "the deletion":
        world.delete_person(person)
        world.movable.advance(10)
    contact = scene.qualify(lead)
    if first != "the deletion":
        world.movable.advance(10)
        world.delete_person(person)
    yield
    (new,) = persons_of(scene, "ann")
    assert new != person
    assert scene.shown(new) == contact_of(contact)


@together()
def test_who_is_asked_for_in_the_cycle_that_sees_the_deletion_gets_a_new_record(scene: Scene) -> Story:
    world, person, lead = scene.world, scene.person("ann"), scene.record("ann")
    world.delete_row("lead", lead)
    (request_id,) = request_persons(world.engine, [person], "contact", source="test", token="1")
    yield
    (row,) = Requests(world.engine.store).get([request_id]).to_pylist()
    assert row["outcome"] == "created"
    told = scene.shown(person)
    assert told
    assert told == contact_of(str(told["Id"]))


@pytest.mark.parametrize("cycle_between", [False, True], ids=["in one cycle", "one after another"])
@together()
def test_who_is_asked_for_in_the_cycle_that_sees_its_record_merged_waits_for_the_persons_merge(
    scene: Scene, cycle_between: bool
) -> Story:
    scene.merge_rows("lead", scene.record("ann"), scene.record("bo"))
    if cycle_between:
        yield
    given = {"source": "test", "token": scene.host}
    (request_id,) = request_persons(scene.world.engine, [scene.person("bo")], "lead", **given)
    yield
    (row,) = Requests(scene.world.engine.store).get([request_id]).to_pylist()
    assert row["outcome"] == "held"
    assert f"linked to person {scene.person('ann')}" in row["message"]


def test_a_requested_lead_qualified_and_deleted_before_we_heard_of_it_is_one_person_with_one_record(
    scene: Scene,
) -> None:
    world = scene.world
    person = world.add_person(email="new@example.com", firstName="New", lastName="One", company="Acme")
    (request_id,) = request_persons(world.engine, [person], "lead", source="test", token="1")

    def lost(request: HttpRequest, response: HttpResponse) -> HttpResponse:
        if "$batch" in request.url and b"new@example.com" in (request.body or b""):
            world.transport.after.clear()
            raise ConnectionDropped
        return response

    world.transport.after.append(lost)
    with contextlib.suppress(LeadSyncError):
        world.run()
    (lead,) = world.rows("lead", "emailaddress1 eq 'new@example.com'")
    contact = scene.qualify(lead["leadid"])
    assert contact
    world.delete_row("lead", lead["leadid"])
    scene.settled()
    assert persons_of(scene, "new") == [person]
    assert scene.shown(person) == contact_of(contact)
    assert world.rows("lead", "emailaddress1 eq 'new@example.com'") == []
    (row,) = Requests(world.engine.store).get([request_id]).to_pylist()
    assert (row["state"], row["outcome"]) == ("finished", "created")
    assert shown(world, person, "firstName") == "New"
