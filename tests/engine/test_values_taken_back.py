"""A value that could not cross yet and is taken back by whoever typed it never crosses."""

from __future__ import annotations

from tests.engine.play import column, linked_contact, linked_lead, shown
from tests.world import World


def test_a_refused_value_of_a_person_that_was_taken_back_is_not_tried_again(world: World) -> None:
    person, contact = linked_contact(world)
    world.edit_person(person, title="tab\x01", city="Lund")
    world.settle()
    world.edit_person(person, title=None)
    world.settle()
    assert world.activities(open_only=True) == []
    world.edit_row("contact", contact, firstname="Bosse")
    world.settle()
    assert world.activities(open_only=True) == []
    assert (column(world, "contact", contact, "address1_city"), shown(world, person, "firstName")) == ("Lund", "Bosse")


def test_a_refused_value_of_a_lead_that_was_taken_back_is_not_tried_again(world: World) -> None:
    person, lead = linked_lead(world)
    world.edit_row("lead", lead, emailaddress1="gr\u00f6n@example.com")
    world.settle()
    world.edit_row("lead", lead, emailaddress1="ann@example.com")
    world.settle()
    world.edit_person(person, title="CTO")
    world.settle()
    assert world.activities(open_only=True) == []
    assert [row["field"] for row in world.activities() if row["outcome"] == "failed"] == ["email"]
