"""The rights that docs/operations.md asks for are enough: for `check`, for `setup`, and for every kind of write."""

from __future__ import annotations

import re
from pathlib import Path

from include.leadsync.check import check
from include.leadsync.setup import setup
from include.sandbox.marketo.identity import Permission
from tests.engine.play import column, linked_lead, shown
from tests.world import World

OPERATIONS = Path(__file__).resolve().parents[2] / "docs" / "operations.md"
USER = "5a9db0c5-0000-4000-8000-000000000012"


def documented() -> set[str]:
    """The permissions of the Marketo role, as the table of the first connection lists them."""
    chapter = OPERATIONS.read_text("utf-8").partition("**1. Marketo.**")[2].partition("**2. Dynamics.**")[0]
    return set(re.findall(r"^\| (Read-\w+ [\w ]+) \|", chapter, re.MULTILINE))


def limit(world: World) -> None:
    """Take every right that the page does not ask for, as far as the sandbox tells them apart."""
    others = sorted({str(permission) for permission in Permission} - documented())
    assert len(others) > 10
    world.marketo.control("revoke", {"user": "sandbox", "permissions": others})
    rights = dict.fromkeys(("read", "create", "write"), "organization")  # Delete is not asked for
    for table in ("lead", "contact"):
        world.dynamics.control("set_privileges", {"user": USER, "table": table, "privileges": rights})


def test_the_rights_that_the_first_connection_asks_for_are_enough(world: World) -> None:
    limit(world)
    setup(world.engine)
    assert {point.name: point.detail for point in check(world.engine) if not point.passed} == {}
    person, lead = linked_lead(world)  # a person is created
    world.edit_person(person, title="CTO")
    world.edit_row("lead", lead, address1_city="Lund")
    refused = world.add_row("lead", lastname="Berg", subject="Fair", emailaddress1="no address")
    world.settle()
    assert (column(world, "lead", lead, "jobtitle"), shown(world, person, "city")) == ("CTO", "Lund")
    assert [row["crm_id"] for row in world.activities(open_only=True)] == [refused]
