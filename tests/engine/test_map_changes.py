"""The field map or the metadata changes while links exist: nothing is overwritten unseen, refused values try again."""

from __future__ import annotations

from typing import Any

import pytest

from tests.engine.play import column, linked_contact, linked_lead, linked_leads, shown
from tests.world import World, shipped_config


def add_field(world: World, entity: str, name: str, **entry: str) -> None:
    fields: dict[str, dict[str, Any]] = shipped_config()["fields"]
    fields[entity][name] = entry
    world.configure({"fields": fields, "backfill": {"direction": "by_type"}})
    world.reopen()


def test_a_field_added_to_the_map_does_not_run_over_the_side_that_did_not_change(world: World) -> None:
    (person, lead), (quiet_person, quiet_lead) = linked_leads(
        world, {"numberofemployees": 5}, {"numberofemployees": 6, "emailaddress1": "quiet@example.com"}
    )
    for each in (person, quiet_person):
        world.edit_person(each, numberOfEmployees=7)
    world.settle()
    add_field(world, "lead", "numberOfEmployees", dynamics="numberofemployees", type="integer")
    world.edit_row("lead", lead, jobtitle="CTO")
    world.settle()
    for each, row in ((person, lead), (quiet_person, quiet_lead)):
        assert shown(world, each, "numberOfEmployees") == 7
        assert column(world, "lead", row, "numberofemployees") == 7


def test_a_field_added_to_the_map_leaves_the_contact_as_it_is_when_its_person_is_edited(world: World) -> None:
    person, contact = linked_contact(world, employeeid="from Dynamics")
    world.edit_person(person, rating="from Marketo")
    world.settle()
    add_field(world, "contact", "rating", dynamics="employeeid", type="string")
    world.edit_person(person, title="CTO")
    world.settle()
    assert shown(world, person, "rating") == column(world, "contact", contact, "employeeid") == "from Dynamics"


@pytest.mark.parametrize("policy", ["record", "field"])
def test_a_refused_value_crosses_when_its_column_is_made_longer(world: World, policy: str) -> None:
    world.configure({"policies": {"on_invalid": policy}})
    world.reopen()
    person, lead = linked_lead(world)
    world.edit_person(person, mobilePhone="0" * 70, title="CTO")
    world.settle()
    assert column(world, "lead", lead, "mobilephone") is None
    assert column(world, "lead", lead, "jobtitle") == ("CTO" if policy == "field" else None)
    longer = {"entity": "lead", "attribute": "mobilephone", "changes": {"max_length": 100}}
    world.dynamics.control("set_metadata", longer)
    world.movable.advance(3_700)
    world.settle()
    assert (column(world, "lead", lead, "mobilephone"), column(world, "lead", lead, "jobtitle")) == ("0" * 70, "CTO")
    assert world.activities(open_only=True) == []


def test_an_option_that_disappears_is_refused_by_name_and_crosses_when_it_is_back(world: World) -> None:
    person, lead = linked_lead(world)
    before = [{"value": 1, "label": "Hot"}, {"value": 2, "label": "Warm"}, {"value": 3, "label": "Cold"}]
    for options in (before[1:], before):
        change = {"entity": "lead", "attribute": "leadqualitycode", "changes": {"options": options}}
        world.dynamics.control("set_metadata", change)
        world.movable.advance(3_700)
        if options != before:
            world.edit_person(person, rating="hot")
        world.settle()
        failed = [row["field"] for row in world.activities(open_only=True)]
        assert (column(world, "lead", lead, "leadqualitycode"), failed) == (
            (1, []) if options == before else (2, ["rating"])  # 2: what Dynamics filled in
        )
