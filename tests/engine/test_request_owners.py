"""Who owns what a request creates, and which account it gets (R52, D27, D29, D30)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from include.leadsync.requests import request_persons
from tests.world import World


def user(world: World, *, disabled: bool = False) -> dict[str, Any]:
    """A user of the organisation who may own leads, and is the only one of that name."""
    return next(
        row
        for row in world.rows("systemuser")
        if bool(row["isdisabled"]) is disabled and row["internalemailaddress"] and row["fullname"]
    )


def team(world: World) -> dict[str, Any]:
    return next(row for row in world.rows("team") if row["name"])


def ask(world: World, owner: str | None, sync_as: str = "lead", **values: str) -> int:
    person = world.add_person(email="x@example.com", firstName="A", lastName="B", company="C", **values)
    request_persons(world.engine, [person], sync_as, owner, source="test", token="once")
    world.settle()
    return person


SPELLINGS: dict[str, Callable[[dict[str, Any]], str]] = {
    "id": lambda row: row["systemuserid"],
    "id in capitals": lambda row: row["systemuserid"].upper(),
    "e-mail address": lambda row: row["internalemailaddress"],
    "e-mail address in capitals": lambda row: row["internalemailaddress"].upper(),
    "full name": lambda row: row["fullname"],
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_an_owner_may_be_named_by(world: World, spelling: str) -> None:
    owner = user(world)
    ask(world, SPELLINGS[spelling](owner))
    (lead,) = world.rows("lead")
    assert lead["_ownerid_value"] == owner["systemuserid"]


@pytest.mark.parametrize("spelling", [lambda row: f"team:{row['name']}", lambda row: row["teamid"]])
def test_a_team_may_own(world: World, spelling: Callable[[dict[str, Any]], str]) -> None:
    owner = team(world)
    ask(world, spelling(owner))
    (lead,) = world.rows("lead")
    assert lead["_ownerid_value"] == owner["teamid"]


@pytest.mark.parametrize("owner", ["Nobody Known", "team:No Such Team", "o'brien@example.com", "' or 1 eq 1 or '"])
def test_an_unknown_owner_stops_nothing_and_is_told(world: World, owner: str) -> None:
    person = ask(world, owner)
    (lead,) = world.rows("lead")
    assert lead["_ownerid_value"] == world.engine.dynamics.who_am_i().user_id
    notice, created = world.activities()[::-1]
    assert (notice["outcome"], notice["code"], notice["rule"]) == ("notice", "owner_not_found", "D30")
    assert created["outcome"] == "created"
    assert world.activities(open_only=True) == []
    shown = [row["primaryAttributeValue"] for row in world.outcome_activities(person)]
    assert shown == ["notice: sync_person", "created: sync_person"]


def test_a_disabled_owner_gives_way_to_the_default_owner(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        default = user(world)
        leaver = next(row for row in world.rows("systemuser") if row["systemuserid"] != default["systemuserid"])
        world.dynamics.control("disable_user", {"user": leaver["fullname"], "disabled": True})
        world.configure({"requests": {"default_owners": [default["internalemailaddress"]]}})
        world.reopen()
        ask(world, leaver["systemuserid"])
        (lead,) = world.rows("lead")
        assert lead["_ownerid_value"] == default["systemuserid"]
        assert "is disabled" in world.activities()[-1]["message"]


def test_several_default_owners_share_the_records_person_by_person(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        owners = [row for row in world.rows("systemuser") if not row["isdisabled"] and row["internalemailaddress"]][:2]
        world.configure({"requests": {"default_owners": [row["systemuserid"] for row in owners]}})
        world.reopen()
        persons = [world.add_person(email=f"{n}@example.com", lastName=str(n), company="C") for n in range(4)]
        request_persons(world.engine, persons, "lead", source="test", token="once")
        world.settle()
        owned = [row["_ownerid_value"] for row in world.rows("lead")]
        assert {owned.count(row["systemuserid"]) for row in owners} == {2}


ACCOUNTS = {
    "by_company": ({"name": "Tea & Söner"}, {"company": "tea & SÖNER"}),
    "by_domain": ({"name": "Other", "websiteurl": "https://www.example.com/tea"}, {}),
}


@pytest.mark.parametrize("mode", ACCOUNTS)
@pytest.mark.parametrize("copies", [1, 2])
def test_a_new_contact_gets_the_one_account_that_fits(tmp_path: Path, mode: str, copies: int) -> None:
    account, person = ACCOUNTS[mode]
    with World(tmp_path, {"requests": {"attach_account": mode}}) as world:
        ids = [world.add_row("account", **account) for _ in range(copies)]
        asked = world.add_person(**{"email": "x@example.com", "lastName": "B", "company": "C", **person})
        request_persons(world.engine, [asked], "contact", source="test", token="once")
        world.settle()
        (contact,) = world.rows("contact")
        assert contact["_parentcustomerid_value"] == (ids[0] if copies == 1 else None)


def test_parity_creates_a_second_record_beside_one_with_the_same_address(tmp_path: Path) -> None:
    with World(tmp_path, {"requests": {"when_found": "create"}}) as world:
        world.settle()
        ask(world, None)
        world.add_row("lead", subject="s", lastname="L", emailaddress1="y@example.com")
        person = world.add_person(email="y@example.com", lastName="Y", company="C")
        request_persons(world.engine, [person], "lead", source="test", token="once")
        world.run(kind="request")
        assert len(world.rows("lead", "emailaddress1 eq 'y@example.com'")) == 2


@pytest.mark.parametrize(("when_closed", "leads"), [("hold", 1), ("create", 2)])
def test_a_disqualified_lead_of_that_address_holds_the_request_or_is_passed_over(
    tmp_path: Path, when_closed: str, leads: int
) -> None:
    with World(tmp_path, {"requests": {"when_closed": when_closed}}) as world:
        lead = world.add_row("lead", subject="s", lastname="L", emailaddress1="x@example.com")
        world.edit_row("lead", lead, statecode=2, statuscode=4)
        person = world.add_person(email="x@example.com", firstName="A", lastName="B", company="C")
        request_persons(world.engine, [person], "lead", source="test", token="once")
        world.run(kind="request")
        assert len(world.rows("lead")) == leads
