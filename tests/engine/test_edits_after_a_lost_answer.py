"""A write was carried out, its answer lost, and its source edited again: our own value is nobody's edit (P3, D2)."""

from __future__ import annotations

from contextlib import suppress

from include.leadsync.errors import RetryLater
from include.leadsync.requests import request_persons
from tests.engine.play import column, linked_contact, linked_lead, shown
from tests.faults.fault_rules import BATCH, WRITE
from tests.faults.switchboard import misbehaving
from tests.world import World

LOST = [{**rule, "effect": {"drop": "after"}} for rule in (WRITE, {**BATCH, "body": "PATCH "})]


def test_the_newer_edit_goes_across_on_links_that_were_there(world: World) -> None:
    person, lead = linked_lead(world)
    other, contact = linked_contact(world)
    world.edit_row("lead", lead, jobtitle="first", address1_city="Lund")
    world.edit_person(other, title="first", city="Lund")
    with misbehaving(world, LOST):
        world.run()
    assert (shown(world, person, "title"), column(world, "contact", contact, "jobtitle")) == ("first", "first")
    world.edit_row("lead", lead, jobtitle="second", address1_city=None)
    world.edit_person(other, title="second", city=None)
    world.settle()
    assert (shown(world, person, "title"), column(world, "lead", lead, "jobtitle")) == ("second", "second")
    assert (shown(world, other, "title"), column(world, "contact", contact, "jobtitle")) == ("second", "second")
    assert (shown(world, person, "city"), column(world, "lead", lead, "address1_city")) == (None, None)
    assert (shown(world, other, "city"), column(world, "contact", contact, "address1_city")) == (None, None)
    assert not [row for who in (person, other) for row in world.ledger(who) if row["kind"] == "collision"]
    for who, title in ((person, "title"), (other, "title")):
        entries = [(row["kind"], row["before"], row["after"]) for row in world.ledger(who, title)]
        assert entries == [("update", None, "first"), ("update", "first", "second")]  # also the one nobody acknowledged


def test_an_edit_of_the_other_side_is_still_a_collision(world: World) -> None:
    person, lead = linked_lead(world)
    world.edit_row("lead", lead, jobtitle="first")
    with misbehaving(world, LOST):
        world.run()
    world.edit_row("lead", lead, jobtitle="second")
    world.edit_person(person, title="by the marketer")
    world.settle()
    assert (shown(world, person, "title"), column(world, "lead", lead, "jobtitle")) == ("by the marketer",) * 2
    assert [row["lost"] for row in world.ledger(person, "title") if row["kind"] == "collision"] == ["second"]


def test_the_newer_edit_goes_across_on_records_that_were_just_created(world: World) -> None:
    lead = world.add_row("lead", subject="s", lastname="Ax", emailaddress1="ax@example.com", jobtitle="first")
    asked = world.add_person(email="by@example.com", lastName="By", title="first")
    request_persons(world.engine, [asked], "contact", source="test", token="once")
    with misbehaving(world, LOST), suppress(RetryLater):
        world.run()
    world.edit_row("lead", lead, jobtitle="second")
    world.edit_person(asked, title="second")
    world.movable.advance(120)  # Marketo has committed what it will
    world.settle()
    (person,) = world.persons_by("email", "ax@example.com")
    (contact,) = world.rows("contact", "emailaddress1 eq 'by@example.com'")
    assert (shown(world, person["id"], "title"), column(world, "lead", lead, "jobtitle")) == ("second", "second")
    assert (shown(world, asked, "title"), contact["jobtitle"]) == ("second", "second")
    for who in (person["id"], asked):
        assert [(row["kind"], row["after"]) for row in world.ledger(who, "title")] == [
            ("create", "first"),
            ("update", "second"),
        ]
