"""A column that column security hides is set aside and told; its nulls clear nothing (R21, R23, D67, D68)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from include.leadsync.check import check
from include.leadsync.clients.transport import HttpRequest
from include.leadsync.requests import request_persons
from include.leadsync.state import Requests
from tests.engine.play import column, linked_contact, linked_lead, shown
from tests.world import World

USER = "5a9db0c5-0000-4000-8000-000000000012"


def secure(world: World, name: str, entity: str = "lead", *, on: bool = True) -> None:
    world.dynamics.control("set_metadata", {"entity": entity, "attribute": name, "changes": {"secured": on}})


def permit(world: World, name: str, permissions: Sequence[str], entity: str = "lead") -> None:
    given = {"user": USER, "entity": entity, "attribute": name, "permissions": list(permissions)}
    world.dynamics.control("set_column_permissions", given)


def metadata_are_read_again(world: World) -> None:
    world.movable.advance(60 * 60 * 24)


def told(world: World) -> list[tuple[str, str | None]]:
    return [(row["code"], row["field"]) for row in world.activities(open_only=True)]


@pytest.mark.parametrize("known", [True, False], ids=["metadata read again", "metadata from before"])
def test_what_is_hidden_is_no_clearing_and_the_rest_goes_on(world: World, known: bool) -> None:
    person, lead = linked_lead(world, jobtitle="CTO")
    secure(world, "jobtitle")
    permit(world, "jobtitle", [])
    if known:
        metadata_are_read_again(world)
    world.edit_row("lead", lead, address1_city="Oslo")
    world.settle()
    world.settle()
    assert (shown(world, person, "title"), shown(world, person, "city")) == ("CTO", "Oslo")
    assert told(world) == [("field_set_aside", "title")]
    (point,) = [point for point in check(world.engine) if point.name == "columns of lead"]
    assert not point.passed
    assert "jobtitle" in point.detail
    assert "column security profile" in point.detail
    world.edit_person(person, title="CEO", city="Bergen")
    world.settle()
    assert column(world, "lead", lead, "address1_city") == "Bergen"
    permit(world, "jobtitle", ["read", "create", "update"])
    world.settle()
    assert column(world, "lead", lead, "jobtitle") == "CEO"
    assert told(world) == []


def test_a_right_that_is_lost_while_a_run_reads_clears_nothing(world: World) -> None:
    person, contact = linked_contact(world, jobtitle="CTO")
    secure(world, "jobtitle", "contact")
    permit(world, "jobtitle", ["read", "create", "update"], "contact")
    metadata_are_read_again(world)
    world.settle()
    world.edit_row("contact", contact, address1_city="Oslo")

    def revoke(request: HttpRequest) -> None:
        if "/contacts?" in request.url and "deltatoken" in request.url:
            world.transport.before.clear()
            permit(world, "jobtitle", [], "contact")

    world.transport.before.append(revoke)
    world.run()
    assert not world.transport.before
    world.settle()
    assert (shown(world, person, "title"), shown(world, person, "city")) == ("CTO", "Oslo")
    assert told(world) == [("field_set_aside", "title")]


def test_a_secured_column_that_our_user_may_use_is_synced_and_cleared_like_any_other(world: World) -> None:
    person, lead = linked_lead(world, jobtitle="CTO")
    linked_lead(world, jobtitle="Engineer", emailaddress1="other@example.com")
    secure(world, "jobtitle")
    permit(world, "jobtitle", ["read", "create", "update"])
    metadata_are_read_again(world)
    world.edit_row("lead", lead, jobtitle=None)
    world.settle()
    assert shown(world, person, "title") is None
    world.edit_person(person, title="CEO")
    world.settle()
    assert column(world, "lead", lead, "jobtitle") == "CEO"
    assert told(world) == []


def test_a_first_link_does_not_fill_what_it_cannot_see(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        secure(world, "jobtitle")
        permit(world, "jobtitle", ["create", "update"])
        world.add_person(email="ann@example.com", lastName="Ax", title="from Marketo")
        row = {"subject": "s", "lastname": "Ax", "emailaddress1": "ann@example.com", "jobtitle": "from Dynamics"}
        lead = world.add_row("lead", **row)
        world.settle()
        assert column(world, "lead", lead, "jobtitle") == "from Dynamics"
        assert ("field_set_aside", "title") in told(world)


def test_an_entry_of_ones_own_for_a_hidden_column_is_set_aside_and_stops_nothing(world: World) -> None:
    world.dynamics.control("add_attribute", {"entity": "lead", "attribute": "new_secret", "type": "String"})
    secure(world, "new_secret")
    permit(world, "new_secret", [])
    entry = {"dynamics": "new_secret", "type": "string", "direction": "both"}
    fields = {**world.engine.settings.model_dump(mode="json", exclude_unset=True)["fields"]}
    fields["lead"]["site"] = entry
    world.configure({"fields": fields})
    world.reopen()
    metadata_are_read_again(world)
    person, _ = linked_lead(world)
    assert shown(world, person, "firstName") == "Ann"
    assert told(world) == [("field_set_aside", "site")]


def test_a_filter_column_that_is_hidden_lets_nothing_in(world: World) -> None:
    world.dynamics.control("add_attribute", {"entity": "lead", "attribute": "new_synctomkto", "type": "Boolean"})
    secure(world, "new_synctomkto")
    permit(world, "new_synctomkto", [])
    world.read_metadata()
    world.add_row("lead", subject="s", lastname="No", emailaddress1="no@example.com", new_synctomkto=False)
    world.settle()
    assert world.persons_by("email", "no@example.com") == []
    assert told(world) == [("filter_unreadable", None)]


def test_where_addresses_are_hidden_a_request_waits_instead_of_making_a_second_record(world: World) -> None:
    world.add_row("contact", lastname="Ax", emailaddress1="ann@example.com")
    secure(world, "emailaddress1", "contact")
    permit(world, "emailaddress1", [], "contact")
    world.read_metadata()
    person = world.add_person(email="ann@example.com", lastName="Ax")
    (request_id,) = request_persons(world.engine, [person], "lead", source="test", token="1")
    world.settle()
    (row,) = Requests(world.engine.store).get([request_id]).to_pylist()
    assert (row["outcome"], row["message"].partition(":")[0]) == ("held", "address_hidden")
    assert world.rows("lead") == []
