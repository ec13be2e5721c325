"""What random histories have found (docs/proofs.md), one story each."""

from __future__ import annotations

import pytest

from include.leadsync.requests import request_persons
from tests.engine.lifecycle import Scene
from tests.engine.play import column, shown


def people(scene: Scene) -> int:
    return int(scene.world.marketo.control("people_count", {})["people"])


@pytest.mark.parametrize("cause", ["metadata", "expired delta link"])
def test_reading_everything_again_is_no_update_of_a_record_whose_person_was_deleted(scene: Scene, cause: str) -> None:
    before = people(scene)
    scene.world.delete_person(scene.person("cy"))
    scene.settled()
    if cause == "metadata":
        changes = {"entity": "contact", "attribute": "jobtitle", "changes": {"max_length": 50}}
        scene.world.dynamics.control("set_metadata", changes)
        scene.world.movable.advance(3_700)
    else:
        scene.world.dynamics.control("age_delta_tokens", {"entity": "contact"})
    scene.settled()
    assert people(scene) == before - 1  # R78
    scene.world.edit_row("contact", scene.record("cy"), jobtitle="CTO")
    scene.settled()
    assert people(scene) == before  # R77


@pytest.mark.parametrize("merged", [False, True], ids=["deleted", "merged into one that was deleted"])
def test_what_was_changed_before_its_person_was_deleted_is_no_update_when_it_is_read_again(
    scene: Scene, merged: bool
) -> None:
    person = scene.person("bo" if merged else "ann")
    if merged:
        scene.merge_persons(person, scene.person("ann"))
        scene.settled()
    scene.world.edit_row("lead", scene.record("ann"), jobtitle="before")
    scene.world.movable.advance(2)
    scene.world.delete_person(person)
    scene.settled()
    left = people(scene)
    scene.world.dynamics.control("age_delta_tokens", {"entity": "lead"})
    scene.settled()
    assert people(scene) == left  # R78


def test_a_lead_whose_person_was_refused_goes_on_as_a_contact_and_comes_to_rest(scene: Scene) -> None:
    lead = scene.world.add_row("lead", subject="s", lastname="L", emailaddress1="no address")
    scene.world.settle()
    contact = scene.qualify(lead)
    assert contact
    scene.settled()
    assert [row["field"] for row in scene.world.activities(open_only=True)] == ["email"]
    scene.world.edit_row("contact", contact, emailaddress1="good@example.com")
    scene.settled()
    (person,) = scene.world.persons_by("email", "good@example.com")
    assert shown(scene.world, person["id"], "microsoftId") == contact
    assert scene.world.activities(open_only=True) == []


def test_a_record_that_returns_while_another_is_refused_for_its_person_stops_nobody(scene: Scene) -> None:
    ann, lead, before = scene.person("ann"), scene.record("ann"), people(scene)
    scene.world.delete_row("lead", lead)
    scene.settled()
    scene.world.edit_person(ann, title="x" * 101)
    request_persons(scene.world.engine, [ann], "contact", source="test", token="refused")
    scene.settled()
    again = {"leadid": lead, "subject": "s", "lastname": "Back", "emailaddress1": "back@example.com"}
    scene.world.add_row("lead", **again)
    scene.world.edit_person(scene.person("bo"), title="crosses all the same")
    scene.settled()
    assert column(scene.world, "lead", scene.record("bo"), "jobtitle") == "crosses all the same"
    assert shown(scene.world, ann, "lastName") == "Ax"  # nothing of the other record is written to it
    scene.world.edit_person(ann, title="CTO")
    scene.settled()
    scene.world.movable.advance(3_700)  # held records are looked at once an hour
    scene.settled()
    assert people(scene) == before + 1  # D14: the record that returned has a person of its own
    assert shown(scene.world, ann, "microsoftType") == "Contact"


def test_a_record_deleted_while_its_person_is_merged_into_another_is_flagged_on_that_one(scene: Scene) -> None:
    free = scene.world.add_person(email="free@example.com", lastName="Free", title="x" * 101)
    scene.world.settle()
    scene.world.delete_row("contact", scene.record("cy"))
    scene.merge_persons(free, scene.person("cy"))
    scene.settled()
    shows = scene.shown(free)
    assert shows
    assert (shows["Id"], shows["IsDeleted"]) == (scene.record("cy"), True)  # R75
    assert scene.world.activities(open_only=True) == []


def test_what_is_open_for_a_person_is_open_for_the_one_it_is_merged_into(scene: Scene) -> None:
    scene.world.edit_person(scene.person("ann"), title="x" * 101, mobilePhone="0" * 65)
    scene.settled()
    free = scene.world.add_person(email="free@example.com", lastName="Free")
    scene.merge_persons(free, scene.person("ann"))
    scene.settled()
    failed = [(row["person_id"], row["field"]) for row in scene.world.activities(open_only=True)]
    assert sorted(failed) == [(free, "mobilePhone"), (free, "title")]
    scene.world.edit_person(free, title="CTO")  # put right, though the other one holds the record back
    scene.settled()
    assert [row["field"] for row in scene.world.activities(open_only=True)] == ["mobilePhone"]


def test_who_lost_the_contact_that_the_lead_became_gets_a_new_record_on_request(scene: Scene) -> None:
    ann = scene.person("ann")
    contact = scene.qualify(scene.record("ann"))
    scene.settled()
    assert contact
    scene.world.delete_row("contact", contact)
    scene.settled()
    request_persons(scene.world.engine, [ann], "contact", source="test", token="again")
    scene.settled()
    shows = scene.shown(ann)
    assert shows
    assert (shows["Type"], shows["IsDeleted"]) == ("Contact", False)  # R79: the qualified lead stands in nobody's way
    assert shows["Id"] != contact
