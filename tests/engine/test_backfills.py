"""Backfills of single persons, windows and fields: they help the cycles and take nothing from them."""

from __future__ import annotations

import pytest

from include.leadsync.errors import FixConfiguration
from tests.engine.play import column, linked_lead, shown
from tests.world import World


def test_a_backfill_of_one_field_leaves_edits_of_other_fields_to_the_cycles(world: World) -> None:
    person, lead = linked_lead(world)
    world.edit_person(person, title="CTO")
    world.edit_row("lead", lead, address1_city="Lund")
    world.run(kind="backfill", persons=(person,), fields=("fax",))
    assert (column(world, "lead", lead, "jobtitle"), shown(world, person, "city")) == (None, None)
    world.settle()
    assert (column(world, "lead", lead, "jobtitle"), shown(world, person, "city")) == ("CTO", "Lund")


def test_a_backfill_of_one_field_carries_it(world: World) -> None:
    person, lead = linked_lead(world)
    world.edit_person(person, title="CTO", city="Lund")
    world.run(kind="backfill", persons=(person,), fields=("city",))
    assert (column(world, "lead", lead, "jobtitle"), column(world, "lead", lead, "address1_city")) == (None, "Lund")
    world.settle()
    assert column(world, "lead", lead, "jobtitle") == "CTO"


def test_a_backfill_of_a_window_carries_what_changed_in_it_on_both_sides(world: World) -> None:
    person, lead = linked_lead(world)
    since = f"{world.clock.now():%Y-%m-%dT%H:%M:%SZ}"
    world.edit_person(person, title="CTO")
    world.edit_row("lead", lead, address1_city="Lund")
    world.run(kind="backfill", since=since)
    assert (column(world, "lead", lead, "jobtitle"), shown(world, person, "city")) == ("CTO", "Lund")
    assert world.run(kind="backfill", since=since)["steps"]["plan"]["operations"] == 0  # asked for again: nothing twice
    assert world.settle() == 1


def test_a_backfill_of_a_window_may_go_by_when_crm_records_were_created(world: World) -> None:
    old, first = linked_lead(world)
    world.movable.advance(60)
    middle = f"{world.clock.now():%Y-%m-%dT%H:%M:%SZ}"
    new, second = linked_lead(world, emailaddress1="second@example.com")
    for lead in (first, second):  # both are modified after `middle`, one was created after it
        world.edit_row("lead", lead, address1_city="Lund")
    world.edit_person(old, title="CTO")
    world.run(kind="backfill", since=middle, window_on="created")  # R97
    assert [shown(world, person, "city") for person in (old, new)] == [None, "Lund"]
    assert column(world, "lead", first, "jobtitle") is None
    world.settle()
    assert (shown(world, old, "city"), column(world, "lead", first, "jobtitle")) == ("Lund", "CTO")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"until": "2026-01-01"}, "no beginning"),
        ({"entity": "lead"}, "would read nothing"),
        ({}, "would read nothing"),
        ({"since": "2199-01-01"}, "in the future"),
        ({"since": "2026-01-01", "direction": "inbound"}, "a direction goes with fields"),
        ({"fields": ("title",), "window_on": "created"}, "needs a window"),
    ],
)
def test_a_form_that_selects_nothing_is_refused_instead_of_ending_well(
    world: World, asked: dict[str, str], message: str
) -> None:
    with pytest.raises(FixConfiguration, match=message):
        world.run(kind="backfill", **asked)
    assert world.settle() == 1


def test_a_value_put_back_by_hand_is_no_blocked_write_to_a_run_that_has_not_read_the_feed(world: World) -> None:
    person, lead = linked_lead(world, jobtitle="old")
    world.edit_row("lead", lead, jobtitle="new")
    world.run()
    world.edit_person(person, title="old")
    world.movable.advance(300)  # no cycle has seen its own write in the feed yet, nor the edit behind it
    world.run(kind="backfill", persons=(person,))
    world.settle()
    assert (column(world, "lead", lead, "jobtitle"), shown(world, person, "title")) == ("old", "old")
