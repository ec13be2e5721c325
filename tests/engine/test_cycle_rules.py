"""The rules that must always hold, each played through both APIs."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from include.leadsync.requests import request_persons
from tests.engine.lifecycle import Scene
from tests.engine.play import linked_contact, linked_lead
from tests.engine.together import Story, linked, together
from tests.world import World

in_single_cycles = together(pairs=False, single=True)


def brought(scene: Scene, entity: str = "lead", **values: Any) -> Generator[None, None, tuple[int, str]]:
    """Somebody made in Dynamics, brought to Marketo by one cycle; the next one has read that: (person, CRM record)."""
    pair = yield from linked(scene, entity, **values)
    yield
    return pair


def row_of(scene: Scene, entity: str, record: str) -> dict[str, Any]:
    """A CRM record that must exist."""
    row = scene.world.row(entity, record)
    assert row is not None
    return row


@in_single_cycles
def test_a_new_lead_becomes_a_person_with_its_microsoft_fields(scene: Scene) -> Story:
    person, lead = yield from brought(scene, jobtitle="Chefingenjör 💡", leadsourcecode=8, donotphone=True)
    shown = scene.world.person(
        person,
        "firstName",
        "title",
        "leadSource",
        "doNotCall",
        "microsoftId",
        "microsoftType",
        "microsoftIsDeleted",
        "leadStatus",
    )
    assert shown == {
        "id": person, "firstName": "Ann", "title": "Chefingenjör 💡", "leadSource": "Web", "doNotCall": True,
        "microsoftId": lead, "microsoftType": "Lead", "microsoftIsDeleted": False, "leadStatus": "Open",
    }  # fmt: skip


@in_single_cycles
def test_a_lead_edited_in_dynamics_reaches_marketo(scene: Scene) -> Story:
    person, lead = yield from brought(scene)
    scene.world.edit_row("lead", lead, jobtitle="CTO")
    yield
    assert scene.world.person(person, "title") == {"id": person, "title": "CTO"}


@in_single_cycles
def test_a_person_edited_in_marketo_reaches_dynamics(scene: Scene) -> Story:
    person, lead = yield from brought(scene)
    scene.world.edit_person(person, title="CTO", rating="Hot")
    yield
    row = row_of(scene, "lead", lead)
    assert (row["jobtitle"], row["leadqualitycode"]) == ("CTO", 1)


@in_single_cycles
def test_different_fields_changed_on_both_sides_both_survive(scene: Scene) -> Story:
    person, lead = yield from brought(scene)
    scene.world.edit_person(person, title="CTO")
    scene.world.edit_row("lead", lead, address1_city="Malmö")
    yield
    row = row_of(scene, "lead", lead)
    assert (row["jobtitle"], row["address1_city"]) == ("CTO", "Malmö")
    assert scene.world.person(person, "title", "city") == {"id": person, "title": "CTO", "city": "Malmö"}


@in_single_cycles
def test_marketo_wins_a_collision_on_a_lead(scene: Scene) -> Story:
    person, lead = yield from brought(scene, jobtitle="Engineer")
    scene.world.edit_person(person, title="from Marketo")
    scene.world.edit_row("lead", lead, jobtitle="from Dynamics")
    yield
    assert row_of(scene, "lead", lead)["jobtitle"] == "from Marketo"
    assert scene.world.person(person, "title") == {"id": person, "title": "from Marketo"}
    collision = [entry for entry in scene.world.ledger(person, "title") if entry["kind"] == "collision"]
    assert [(c["base"], c["after"], c["lost"], c["rule"]) for c in collision] == [
        ("Engineer", "from Marketo", "from Dynamics", "R40")
    ]


@in_single_cycles
def test_dynamics_wins_a_collision_on_a_contact(scene: Scene) -> Story:
    person, contact = yield from brought(scene, "contact", jobtitle="Engineer")
    scene.world.edit_person(person, title="from Marketo")
    scene.world.edit_row("contact", contact, jobtitle="from Dynamics")
    yield
    assert row_of(scene, "contact", contact)["jobtitle"] == "from Dynamics"
    assert scene.world.person(person, "title") == {"id": person, "title": "from Dynamics"}


@in_single_cycles
def test_a_cleared_field_is_a_change_like_any_other(scene: Scene) -> Story:
    person, lead = yield from brought(scene, jobtitle="Engineer", telephone1="+46 40 1")
    scene.world.edit_person(person, title=None)
    scene.world.edit_row("lead", lead, telephone1=None)
    yield
    assert row_of(scene, "lead", lead)["jobtitle"] is None
    assert scene.world.person(person, "phone") == {"id": person, "phone": None}


def test_after_edits_stop_a_cycle_writes_nothing_but_still_reads_and_a_later_edit_crosses(world: World) -> None:
    person, lead = linked_lead(world)
    world.edit_person(person, title="CTO")
    world.settle()
    world.transport.log.clear()
    report = world.run()
    assert report["steps"]["plan"]["operations"] == 0
    read = [url for _, url in world.transport.log]
    assert any("leadchanges" in url for url in read)
    assert sum("deltatoken" in url for url in read) == 2
    assert not any(method == "POST" and "token" not in url for method, url in world.transport.log)
    world.edit_row("lead", lead, jobtitle="CEO")
    world.run()
    assert world.person(person, "title") == {"id": person, "title": "CEO"}


@in_single_cycles
def test_a_value_too_long_is_not_written_and_the_person_says_so_once(scene: Scene) -> Story:
    person, lead = yield from brought(scene)
    scene.world.edit_person(person, mobilePhone="0123456789 0123456789 0123456789", title="held back with it")
    yield
    row = row_of(scene, "lead", lead)
    assert (row["mobilephone"], row["jobtitle"]) == (None, None)
    yield
    logged = scene.world.outcome_activities(person)
    assert [entry["primaryAttributeValue"] for entry in logged] == ["failed: mobilePhone"]
    scene.world.edit_person(person, mobilePhone="0123456789")
    yield
    yield
    row = row_of(scene, "lead", lead)
    assert (row["mobilephone"], row["jobtitle"]) == ("0123456789", "held back with it")
    assert [entry["primaryAttributeValue"] for entry in scene.world.outcome_activities(person)] == [
        "failed: mobilePhone", "recovered: mobilePhone",
    ]  # fmt: skip


def test_a_person_requested_is_created_once_and_a_second_request_is_no_action(world: World) -> None:
    person = world.add_person(email="cy@example.com", firstName="Cy", lastName="Dee", company="Dee AB")
    request_persons(world.engine, [person], "lead", None, source="test", token="1")
    world.run(kind="request")
    (lead,) = world.rows("lead", "emailaddress1 eq 'cy@example.com'")
    assert (lead["lastname"], lead["companyname"]) == ("Dee", "Dee AB")
    world.settle()
    shown = world.person(person, "microsoftId", "microsoftType")
    assert shown == {"id": person, "microsoftId": lead["leadid"], "microsoftType": "Lead"}
    request_persons(world.engine, [person], "lead", None, source="test", token="2")
    world.settle()
    assert len(world.rows("lead")) == 1


def test_a_required_field_that_is_missing_keeps_the_record_out(world: World) -> None:
    person = world.add_person(email="nolast@example.com", firstName="No")
    request_persons(world.engine, [person], "contact", None, source="test", token="1")
    world.run(kind="request")
    assert world.rows("contact") == []
    world.settle()
    assert [entry["primaryAttributeValue"] for entry in world.outcome_activities(person)] == ["failed: lastName"]


def test_a_record_deleted_in_dynamics_flags_the_person_and_keeps_it(world: World) -> None:
    person, lead = linked_lead(world)
    world.delete_row("lead", lead)
    world.settle()
    assert world.person(person, "microsoftIsDeleted", "firstName") == {
        "id": person,
        "microsoftIsDeleted": True,
        "firstName": "Ann",
    }
    world.edit_person(person, title="stays here")
    assert world.run()["steps"]["plan"]["operations"] == 0


def test_a_person_deleted_in_marketo_leaves_the_record_and_its_next_update_makes_a_new_person(world: World) -> None:
    person, lead = linked_lead(world)
    world.delete_person(person)
    world.settle()
    assert world.row("lead", lead) is not None
    world.edit_row("lead", lead, jobtitle="CTO")
    world.settle()
    (again,) = world.persons_by("microsoftId", lead)
    assert again["id"] != person


def test_an_edit_in_marketo_that_our_write_ran_over_comes_back(world: World) -> None:
    person, lead = linked_lead(world, jobtitle="Engineer")
    world.edit_row("lead", lead, jobtitle="from Dynamics")

    def edit_before_write(request: object) -> None:
        if getattr(request, "method", "") == "POST" and "/rest/v1/leads.json" in getattr(request, "url", ""):
            world.transport.before.clear()
            world.edit_person(person, title="typed meanwhile")

    world.transport.before.append(edit_before_write)
    world.run()
    world.settle()
    row = world.row("lead", lead)
    assert row is not None
    assert row["jobtitle"] == "typed meanwhile"
    assert world.person(person, "title") == {"id": person, "title": "typed meanwhile"}


def test_an_edit_in_dynamics_made_after_we_read_is_not_overwritten(world: World) -> None:
    person, contact = linked_contact(world, jobtitle="Engineer")
    world.edit_person(person, title="from Marketo")

    def edit_before_batch(request: object) -> None:
        if "$batch" in getattr(request, "url", ""):
            world.transport.before.clear()
            world.edit_row("contact", contact, jobtitle="typed meanwhile")

    world.transport.before.append(edit_before_batch)
    world.run()
    row = world.row("contact", contact)
    assert row is not None
    assert row["jobtitle"] == "typed meanwhile"
    world.settle()
    assert world.person(person, "title") == {"id": person, "title": "typed meanwhile"}
