"""Name and e-mail address of a record's owner on the person (R61, D56, D83, D84)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from include.leadsync.errors import ConfigurationInvalid
from include.leadsync.requests import request_persons
from tests.engine.play import linked_contact, linked_lead
from tests.world import World, shipped_config

OWNER = {"dynamics": "ownerid", "type": "lookup", "direction": "inbound"}
FIELDS = {
    "msOwner": {**OWNER, "setup": "MS Owner"},
    "msOwnerEmail": {**OWNER, "shows": "email", "setup": "MS Owner Email"},
    "msOwnerId": {**OWNER, "shows": "id", "setup": "MS Owner Id"},
}


def with_owners(**changes: Any) -> dict[str, Any]:
    fields = shipped_config()["fields"]
    for entity in fields.values():
        entity |= {name: {**entry, **changes} for name, entry in FIELDS.items()}
    return {"fields": fields}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path, with_owners()) as made:
        yield made


def user(world: World) -> dict[str, Any]:
    """Somebody who may own leads, and is not the one who writes."""
    able = [each for each in world.rows("systemuser") if not each["isdisabled"] and each["internalemailaddress"]]
    return able[-1]


def owner_of(world: World, person: int) -> tuple[object, object, object]:
    shown = world.person(person, *FIELDS)
    assert shown is not None
    return shown["msOwner"], shown["msOwnerEmail"], shown["msOwnerId"]


def as_shown(owner: dict[str, Any]) -> tuple[object, object, object]:
    return owner["fullname"], owner["internalemailaddress"], owner["systemuserid"]


@pytest.mark.parametrize("entity", ["lead", "contact"])
def test_the_owner_of_a_record_is_shown_on_its_person_and_follows_every_assignment(world: World, entity: str) -> None:
    person, row = (linked_lead if entity == "lead" else linked_contact)(world)
    team = world.rows("team")[0]
    world.edit_row("team", team["teamid"], emailaddress="desk@example.com")
    owner = user(world)
    world.edit_row(entity, row, **{"ownerid@odata.bind": f"/systemusers({owner['systemuserid']})"})
    world.settle()
    assert owner_of(world, person) == as_shown(owner)
    world.edit_row(entity, row, **{"ownerid@odata.bind": f"/teams({team['teamid']})"})
    world.settle()
    assert owner_of(world, person) == (team["name"], "desk@example.com", team["teamid"])  # R61: nothing


def test_the_owner_that_a_request_names_comes_back_to_the_person(world: World) -> None:
    owner = user(world)
    person = world.add_person(email="x@example.com", lastName="X", company="C")
    request_persons(world.engine, [person], "lead", owner["internalemailaddress"], source="test", token="1")
    world.settle()
    assert owner_of(world, person) == as_shown(owner)


def test_a_disabled_owner_keeps_name_and_address(world: World) -> None:
    owner = user(world)
    person, lead = linked_lead(world)
    world.edit_row("lead", lead, **{"ownerid@odata.bind": f"/systemusers({owner['systemuserid']})"})
    world.dynamics.control("disable_user", {"user": owner["fullname"], "disabled": True})
    world.settle()
    assert owner_of(world, person) == as_shown(owner)


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"dynamics": "jobtitle", "type": "string", "shows": "id"}, "shows only on lookup fields"),
        ({**OWNER, "dynamics": "transactioncurrencyid", "shows": "email"}, "only owners"),
        ({**OWNER, "direction": "both"}, "inbound"),
    ],
)
def test_what_cannot_be_shown_is_a_mistake(world: World, entry: dict[str, Any], told: str) -> None:
    changes = with_owners()
    changes["fields"]["lead"]["msOwner"] = entry
    world.configure(changes)

    def open_and_run() -> None:
        world.reopen()
        world.run()

    with pytest.raises(ConfigurationInvalid, match=told):
        open_and_run()
