"""Fields that are written once: filled and never overwritten, or no part of a creation (R104, D66)."""

from __future__ import annotations

import pytest

from include.leadsync.requests import request_persons
from tests.engine.play import column, linked_contact, shown
from tests.engine.test_field_selection import configure
from tests.world import World

TITLE = {"dynamics": "jobtitle", "type": "string"}


@pytest.mark.parametrize("direction", ["both", "inbound"])
def test_a_value_that_dynamics_sets_once_is_filled_and_never_overwritten(world: World, direction: str) -> None:
    configure(world, "contact", title={**TITLE, "direction": direction, "inbound_write_once": True})
    person, contact = linked_contact(world)
    for title, kept in (("Trainee", "Trainee"), ("CTO", "Trainee"), (None, "Trainee")):
        world.edit_row("contact", contact, jobtitle=title)
        world.settle()
        assert shown(world, person, "title") == kept
    assert column(world, "contact", contact, "jobtitle") is None  # nobody typed anything in Marketo
    world.edit_row("contact", contact, jobtitle="CEO")
    world.edit_person(person, title="typed")
    world.settle()
    expected = "typed" if direction == "both" else "CEO"
    assert (shown(world, person, "title"), column(world, "contact", contact, "jobtitle")) == ("typed", expected)
    world.run(kind="backfill", fields=("title",), direction="inbound")
    world.settle()
    assert shown(world, person, "title") == "typed"


def test_a_field_that_is_no_part_of_a_creation_is_sent_with_the_next_change(world: World) -> None:
    configure(world, title={**TITLE, "outbound_on_update_only": True})
    person = world.add_person(email="x@example.com", lastName="B", company="C", title="CTO")
    request_persons(world.engine, [person], "lead", source="test", token="1")
    world.run()
    (lead,) = world.rows("lead")
    assert lead["jobtitle"] is None
    world.edit_person(person, title="CEO")
    world.settle()
    assert column(world, "lead", lead["leadid"], "jobtitle") == "CEO"


def test_a_field_that_is_sent_on_creation_only_is_never_sent_again(world: World) -> None:
    person = world.add_person(email="x@example.com", lastName="B", company="C", leadSource="Web")
    request_persons(world.engine, [person], "lead", source="test", token="1")
    world.settle()
    (lead,) = world.rows("lead")
    assert lead["leadsourcecode"] == 8  # D66: leadSource of the shipped map
    world.edit_person(person, leadSource="Partner", title="CTO")
    world.settle()
    row = world.row("lead", lead["leadid"])
    assert row is not None
    assert (row["leadsourcecode"], row["jobtitle"]) == (8, "CTO")
