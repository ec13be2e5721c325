"""Who owns what a request creates, and which account it gets (R52, D27, D29, D30)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from include.leadsync.requests import request_persons
from include.leadsync.state import Requests
from tests.engine.play import column, linked_leads
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


def ask(world: World, *owners: str | None) -> list[int]:
    """One request for each owner, of a person of its own; the persons."""
    persons = []
    for number, owner in enumerate(owners):
        person = world.add_person(email=f"{number}@example.com", firstName="A", lastName=str(number), company="C")
        request_persons(world.engine, [person], "lead", owner, source="test", token="once")
        persons.append(person)
    world.settle()
    return persons


def owners_of(world: World) -> list[str]:
    """Who owns the leads, in the order of the requests."""
    return [lead["_ownerid_value"] for lead in sorted(world.rows("lead"), key=lambda lead: lead["lastname"])]


def test_an_owner_may_be_named_by_id_address_or_name_in_any_case(world: World) -> None:
    owner = user(world)
    named = [owner[name] for name in ("systemuserid", "internalemailaddress", "fullname")]
    spellings = [*named, *(name.upper() for name in named)]
    ask(world, *spellings)
    assert owners_of(world) == [owner["systemuserid"]] * len(spellings)


def test_a_team_may_own(world: World) -> None:
    owner = team(world)
    ask(world, f"team:{owner['name']}", owner["teamid"])
    assert owners_of(world) == [owner["teamid"]] * 2


def test_an_unknown_owner_stops_nothing_and_is_told(world: World) -> None:
    unknown = ["Nobody Known", "team:No Such Team", "o'brien@example.com", "' or 1 eq 1 or '"]
    persons = ask(world, *unknown)
    assert owners_of(world) == [world.engine.dynamics.who_am_i().user_id] * len(unknown)
    assert world.activities(open_only=True) == []
    for person in persons:
        notice, created = sorted(
            (row for row in world.activities() if row["person_id"] == person), key=lambda row: row["activity_id"]
        )
        assert (notice["outcome"], notice["code"], notice["rule"]) == ("notice", "owner_not_found", "D30")
        assert created["outcome"] == "created"
    shown = [row["primaryAttributeValue"] for row in world.outcome_activities(persons[0])]
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
    "by_domain": ({"name": "Other", "websiteurl": "https://www.tea.example.com/shop"}, {"email": "a@tea.example.com"}),
}


@pytest.mark.parametrize("mode", ACCOUNTS)
def test_a_new_contact_gets_the_one_account_that_fits(tmp_path: Path, mode: str) -> None:
    account, person = ACCOUNTS[mode]
    with World(tmp_path, {"requests": {"attach_account": mode}}) as world:
        (first, _) = (world.add_row("account", **account), world.add_row("account", name="Nobody's"))
        for copies, expected in ((1, first), (2, None)):
            if copies == 2:
                world.add_row("account", **account)
            values = {"email": "x@example.com", "company": "C", **person, "lastName": f"B{copies}"}
            asked = world.add_person(**{**values, "email": f"{copies}{values['email']}"})
            request_persons(world.engine, [asked], "contact", source="test", token="once")
            world.settle()
            (contact,) = world.rows("contact", f"lastname eq 'B{copies}'")
            assert contact["_parentcustomerid_value"] == expected


@pytest.mark.parametrize(("rules", "leads"), [("suppress", 2), ("respect", 1)])
def test_parity_creates_a_second_record_beside_one_with_the_same_address_unless_a_duplicate_rule_refuses_it(
    tmp_path: Path, rules: str, leads: int
) -> None:
    changes = {"requests": {"when_found": "create"}, "policies": {"duplicate_rules": {"on_create": rules}}}
    with World(tmp_path, changes) as world:
        world.settle()
        known = world.add_row("lead", subject="s", lastname="L", emailaddress1="y@example.com")
        person = world.add_person(email="y@example.com", lastName="Y", company="C")
        (request,) = request_persons(world.engine, [person], "lead", source="test", token="once")
        world.run(kind="request")
        assert len(world.rows("lead", "emailaddress1 eq 'y@example.com'")) == leads
        if rules == "respect":
            (answer,) = Requests(world.engine.store).get([request]).to_pylist()
            (refusal,) = world.activities(open_only=True)
            assert (answer["outcome"], refusal["code"]) == ("failed", "duplicate_rule")
            assert known in refusal["message"]


def test_duplicate_rules_may_look_at_updates_but_never_at_an_opt_out(tmp_path: Path) -> None:
    with World(tmp_path, {"policies": {"duplicate_rules": {"on_update": "respect"}}}) as world:
        (person, lead), (_, other) = linked_leads(world, {}, {"emailaddress1": "other@example.com"})
        world.edit_person(person, email="other@example.com", title="CTO", unsubscribed=True)
        world.settle()
        assert (column(world, "lead", lead, "jobtitle"), column(world, "lead", lead, "donotbulkemail")) == (None, True)
        (refusal,) = (row for row in world.activities(open_only=True) if row["code"] == "duplicate_rule")
        assert other in refusal["message"]
        world.configure({})
        world.reopen()
        world.edit_person(person, title="CEO")
        world.settle()
        assert column(world, "lead", lead, "jobtitle") == "CEO"  # suppressed by default: R57 does not happen
        assert column(world, "lead", lead, "emailaddress1") == "other@example.com"


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
