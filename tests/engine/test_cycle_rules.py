"""The rules that must always hold, each played through both APIs."""

from __future__ import annotations

from include.leadsync.requests import request_persons
from tests.engine.play import linked_contact, linked_lead
from tests.world import World


def test_a_new_lead_becomes_a_person_with_its_microsoft_fields(world: World) -> None:
    person, lead = linked_lead(world, jobtitle="Chefingenjör 💡", leadsourcecode=8, donotphone=True)
    shown = world.person(
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


def test_a_lead_edited_in_dynamics_reaches_marketo(world: World) -> None:
    person, lead = linked_lead(world)
    world.edit_row("lead", lead, jobtitle="CTO")
    world.run()
    assert world.person(person, "title") == {"id": person, "title": "CTO"}


def test_a_person_edited_in_marketo_reaches_dynamics(world: World) -> None:
    person, lead = linked_lead(world)
    world.edit_person(person, title="CTO", rating="Hot")
    world.run()
    row = world.row("lead", lead)
    assert row is not None
    assert (row["jobtitle"], row["leadqualitycode"]) == ("CTO", 1)


def test_different_fields_changed_on_both_sides_both_survive(world: World) -> None:
    person, lead = linked_lead(world)
    world.edit_person(person, title="CTO")
    world.edit_row("lead", lead, address1_city="Malmö")
    world.run()
    row = world.row("lead", lead)
    assert row is not None
    assert (row["jobtitle"], row["address1_city"]) == ("CTO", "Malmö")
    assert world.person(person, "title", "city") == {"id": person, "title": "CTO", "city": "Malmö"}


def test_marketo_wins_a_collision_on_a_lead(world: World) -> None:
    person, lead = linked_lead(world, jobtitle="Engineer")
    world.edit_person(person, title="from Marketo")
    world.edit_row("lead", lead, jobtitle="from Dynamics")
    world.run()
    row = world.row("lead", lead)
    assert row is not None
    assert row["jobtitle"] == "from Marketo"
    assert world.person(person, "title") == {"id": person, "title": "from Marketo"}
    collision = [entry for entry in world.ledger(person, "title") if entry["kind"] == "collision"]
    assert [(c["base"], c["after"], c["lost"], c["rule"]) for c in collision] == [
        ("Engineer", "from Marketo", "from Dynamics", "R40")
    ]


def test_dynamics_wins_a_collision_on_a_contact(world: World) -> None:
    person, contact = linked_contact(world, jobtitle="Engineer")
    world.edit_person(person, title="from Marketo")
    world.edit_row("contact", contact, jobtitle="from Dynamics")
    world.run()
    row = world.row("contact", contact)
    assert row is not None
    assert row["jobtitle"] == "from Dynamics"
    assert world.person(person, "title") == {"id": person, "title": "from Dynamics"}


def test_a_cleared_field_is_a_change_like_any_other(world: World) -> None:
    person, lead = linked_lead(world, jobtitle="Engineer", telephone1="+46 40 1")
    world.edit_person(person, title=None)
    world.edit_row("lead", lead, telephone1=None)
    world.run()
    row = world.row("lead", lead)
    assert row is not None
    assert row["jobtitle"] is None
    assert world.person(person, "phone") == {"id": person, "phone": None}


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


def test_a_value_too_long_is_not_written_and_the_person_says_so_once(world: World) -> None:
    person, lead = linked_lead(world)
    world.edit_person(person, mobilePhone="0123456789 0123456789 0123456789", title="held back with it")
    world.run()
    row = world.row("lead", lead)
    assert row is not None
    assert (row["mobilephone"], row["jobtitle"]) == (None, None)
    world.settle()
    logged = world.outcome_activities(person)
    assert [entry["primaryAttributeValue"] for entry in logged] == ["failed: mobilePhone"]
    world.edit_person(person, mobilePhone="0123456789")
    world.settle()
    row = world.row("lead", lead)
    assert row is not None
    assert (row["mobilephone"], row["jobtitle"]) == ("0123456789", "held back with it")
    assert [entry["primaryAttributeValue"] for entry in world.outcome_activities(person)] == [
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
