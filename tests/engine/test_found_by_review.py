"""Rare encounters that a second pair of eyes found: whose record it is, and what is still a first link."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.leadsync.requests import request_persons
from tests.engine.lifecycle import Scene
from tests.engine.play import column, shown
from tests.engine.test_new_records import PARTITIONS, add_partitions
from tests.engine.test_sync_filter import FILTER, NOT_COLD, add_filters, status_of
from tests.engine.together import Story, together
from tests.world import World


def waiting(scene: Scene, name: str = "new") -> int:
    """A person who asked for a contact that Dynamics cannot store."""
    asking = scene.add_person(email=scene.address(name), lastName="New", title="x" * 101)
    request_persons(scene.world.engine, [asking], "contact", source="test", token=scene.address(name))
    return asking


@pytest.mark.parametrize("other", ["contact", "lead"])
@together()
def test_of_two_records_that_arrive_the_first_belongs_to_the_person_who_waits(scene: Scene, other: str) -> Story:
    asking = waiting(scene)
    yield
    address = scene.address("new")
    records = {scene.add_row(entity, lastname="Typed", emailaddress1=address) for entity in (other, "contact")}
    yield
    found = [int(each["id"]) for each in scene.world.persons_by("email", address)]
    persons = {each: (scene.shown(each) or {})["Id"] for each in found}
    assert persons[asking] in records  # D13
    assert {link[1:] for link in scene.live()} >= set(persons.items())
    assert set(persons.values()) == records  # D14: the other one has a person of its own


@together()
def test_a_record_whose_id_another_person_carries_is_not_for_who_waits_with_its_address(scene: Scene) -> Story:
    asking = waiting(scene)
    yield
    record = scene.add_row("contact", lastname="Typed", emailaddress1=scene.address("new"))
    other = scene.add_person(email=scene.address("other"), lastName="Other", microsoftId=record)
    yield
    assert ("contact", other, record) in scene.live()  # D11
    assert not [link for link in scene.live() if link[1] == asking and link[2] == record]


@pytest.mark.parametrize("at_once", [True, False])
@together()
def test_a_restored_record_belongs_to_its_person_whose_new_one_was_refused(scene: Scene, at_once: bool) -> Story:
    person, record, address = scene.person("cy"), scene.record("cy"), scene.address("cy")
    scene.world.delete_row("contact", record)
    if not at_once:
        yield
    scene.world.edit_person(person, title="x" * 101)
    request_persons(scene.world.engine, [person], "contact", source="test", token=address)
    yield
    scene.add_row("contact", contactid=record, lastname="Ax", emailaddress1=address)
    yield
    assert ("contact", person, record) in scene.live()  # D48
    scene.world.edit_person(person, title="CFO")
    yield
    assert column(scene.world, "contact", record, "jobtitle") == "CFO"
    assert scene.shown(person) == {"Id": record, "Type": "Contact", "IsDeleted": False, "MergedInto": None}
    assert scene.activities(open_only=True) == []


@together(pairs=False, world="held")
def test_a_record_that_two_persons_wait_for_is_held_until_one_is_left(scene: Scene) -> Story:
    first, second = waiting(scene, "first"), waiting(scene, "second")
    yield
    scene.world.edit_person(second, email=scene.address("first"))
    record = scene.add_row("contact", lastname="Typed", emailaddress1=scene.address("first"))
    yield
    assert ("several_candidates", "D13") in scene.said(open_only=True)
    assert not scene.world.persons_by("microsoftId", record)
    scene.world.edit_person(second, email=scene.address("second"))
    scene.world.movable.advance(3_700)  # held records are looked at once an hour
    yield
    assert ("contact", first, record) in scene.live()
    assert ("several_candidates", "D13") not in scene.said(open_only=True)


@together(pairs=False, filter={"contact": NOT_COLD["lead"]})
def test_who_is_kept_out_by_now_gets_the_record_but_nothing_crosses(scene: Scene) -> Story:
    asking = waiting(scene)
    yield
    scene.world.edit_person(asking, rating="cold")
    record = scene.add_row("contact", lastname="Typed", emailaddress1=scene.address("new"))
    yield
    assert ("contact", asking, record, "suspended") in scene.links()  # D73
    assert shown(scene.world, asking, "lastName") == "New"
    scene.world.edit_person(asking, rating="hot")
    yield
    assert shown(scene.world, asking, "lastName") == "Typed"  # R41: a first link


@together(pairs=False, before=add_partitions, creation=PARTITIONS)
def test_a_record_of_another_partition_is_not_for_who_waits_with_its_address(scene: Scene) -> Story:
    asking = waiting(scene)
    yield
    record = scene.add_row("lead", lastname="Typed", emailaddress1=scene.address("new"), address1_country="Germany")
    yield
    assert scene.person_of(record) != asking  # D20, R88


@together()
def test_the_record_of_a_person_merged_into_one_that_was_deleted_is_free_for_who_asks(scene: Scene) -> Story:
    record, twin = scene.record("cy"), scene.add_person(email=scene.address("cy"), lastName="Twin")
    scene.merge_persons(scene.person("di"), scene.person("cy"))
    scene.world.delete_person(scene.person("di"))
    request_persons(scene.world.engine, [twin], "contact", source="test", token=scene.address("twin"))
    yield
    assert ("contact", twin, record) in scene.live()  # D24


@pytest.mark.parametrize("meanwhile", ["kept out", "one field read again"])
def test_what_was_refused_of_a_first_link_stays_one_whatever_is_done_meanwhile(tmp_path: Path, meanwhile: str) -> None:
    with World(tmp_path) as world:
        add_filters(world)
        world.configure({"policies": {"first_link": "dynamics"}})
        world.reopen()
        lead = world.add_row("lead", lastname="Other", emailaddress1="no address", address1_city="Other town")
        carried = {"email": "free@example.com", "microsoftId": lead}
        person = world.add_person(**carried, lastName="Free", city="Free town")
        world.run()
        assert [row["field"] for row in world.activities(open_only=True)] == ["email"]
        if meanwhile == "kept out":
            world.edit_row("lead", lead, **{FILTER: False})
            world.run()
            assert status_of(world, lead) == ["suspended"]
        else:
            world.run(kind="backfill", persons=(person,), fields=("lastName",))
        world.edit_row("lead", lead, **{FILTER: True}, emailaddress1="other@example.com")
        world.run()
        assert (shown(world, person, "city"), shown(world, person, "lastName")) == ("Other town", "Other")  # D4


@together()
def test_a_record_that_two_deleted_persons_had_one_after_the_other_is_free_for_who_asks(scene: Scene) -> Story:
    first, record = scene.person("cy"), scene.record("cy")
    scene.world.delete_row("contact", record)
    yield
    request_persons(scene.world.engine, [first], "contact", source="test", token=scene.address("cy"))
    yield
    scene.add_row("contact", contactid=record, lastname="Ax", emailaddress1=scene.address("back"))
    yield
    twin = scene.add_person(email=scene.address("back"), lastName="Twin")
    request_persons(scene.world.engine, [twin], "contact", source="test", token=scene.address("back"))
    scene.world.delete_person(first)
    scene.world.delete_person(scene.person_of(record))
    yield
    assert ("contact", twin, record) in scene.live()  # D24
