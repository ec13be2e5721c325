"""Requests and records that make no sense: no duplicate, no lost link, a row that says what happened.

The rest of the list stands elsewhere: owners that do not exist or are disabled in `test_request_owners`, qualified
leads in `test_conversion`, merges into filtered records and circles of merges in `test_crm_merges`, addresses shared
by ten records or ten persons in `test_new_records`.
"""

from __future__ import annotations

from typing import Any

import pytest

from include.leadsync.clients.transport import HttpRequest
from include.leadsync.requests import request_persons
from include.leadsync.state import Links, Requests
from tests.engine.play import shown
from tests.world import World


def asked(world: World, *persons: int, sync_as: str = "lead", token: str = "once") -> list[str]:
    return request_persons(world.engine, persons, sync_as, source="test", token=token)


def answers(world: World, requests: list[str]) -> list[tuple[str, str]]:
    """Outcome and code of each request, in order."""
    rows: dict[str, dict[str, Any]] = {
        row["request_id"]: row for row in Requests(world.engine.store).get(requests).to_pylist()
    }
    assert {row["state"] for row in rows.values()} == {"finished"}
    return [(rows[each]["outcome"], rows[each]["message"].partition(":")[0]) for each in requests]


def test_two_requests_for_one_person_at_once_make_one_record(world: World) -> None:
    person = world.add_person(email="x@example.com", firstName="A", lastName="B", company="C")
    requests = asked(world, person, token="1")
    world.movable.advance(1)  # the older one is served first; of two at one moment either may be
    requests += asked(world, person, sync_as="contact", token="2")
    world.settle()
    assert answers(world, requests) == [("created", "created"), ("no_action", "already_requested")]
    assert (len(world.rows("lead")), len(world.rows("contact"))) == (1, 0)
    assert asked(world, person, token="1") == requests[:1]  # the same token is the same request
    world.settle()
    assert len(world.rows("lead")) == 1


def test_a_request_for_a_person_deleted_meanwhile_fails_and_makes_nothing(world: World) -> None:
    person = world.add_person(email="x@example.com", firstName="A", lastName="B", company="C")
    requests = asked(world, person)
    world.delete_person(person)
    world.settle()
    assert answers(world, requests) == [("failed", "person_missing")]
    assert world.rows("lead") == []
    assert [(row["code"], row["person_id"]) for row in world.activities(open_only=True)] == [("person_missing", person)]


def test_a_person_deleted_while_its_record_is_made_leaves_one_record_and_an_ended_link(world: World) -> None:
    person = world.add_person(email="x@example.com", firstName="A", lastName="B", company="C")
    requests = asked(world, person)

    def delete_first(request: HttpRequest) -> None:
        if "$batch" in request.url and b"x@example.com" in (request.body or b""):
            world.transport.before.clear()
            world.delete_person(person)

    world.transport.before.append(delete_first)
    world.run()
    world.settle()
    assert answers(world, requests) == [("created", "created")]
    (lead,) = world.rows("lead")
    links = Links(world.engine.store)
    assert links.by_crm([lead["leadid"]]).num_rows == 0
    assert links.last_by_crm([lead["leadid"]])[lead["leadid"]]["status"] == "person_deleted"
    world.settle()
    assert world.persons_by("email", "x@example.com") == []  # until somebody edits the lead (R77)


@pytest.mark.parametrize("entity", ["lead", "contact"])
def test_a_record_without_a_last_name_comes_in_and_goes_out_only_with_one(world: World, entity: str) -> None:
    topic = {"subject": "s"} if entity == "lead" else {}
    row = world.add_row(entity, firstname="Cher", emailaddress1="cher@example.com", **topic)
    person = world.add_person(email="x@example.com", firstName="No", company="C")
    requests = asked(world, person, sync_as=entity)
    world.settle()
    (made,) = world.persons_by("microsoftId", row)
    assert (shown(world, made["id"], "firstName"), shown(world, made["id"], "lastName")) == ("Cher", None)
    assert answers(world, requests)[0][0] == "failed"
    assert [(entry["field"], entry["person_id"]) for entry in world.activities(open_only=True)] == [
        ("lastName", person)
    ]
    world.edit_person(made["id"], title="Singer")  # a required column that is empty already blocks no other
    world.edit_person(person, lastName="Now")
    world.settle()
    assert world.rows(entity, "jobtitle eq 'Singer'")[0][f"{entity}id"] == row
    assert len(world.rows(entity, "lastname eq 'Now'")) == 1
    assert world.activities(open_only=True) == []


def test_ten_persons_of_one_address_who_ask_at_once_get_one_record(world: World) -> None:
    persons = [world.add_person(email="same@example.com", lastName=f"P{number}", company="C") for number in range(10)]
    requests = asked(world, *persons)
    world.settle()
    found = answers(world, requests)
    assert sorted(found) == [("created", "created"), *[("held", "taken")] * 9]
    assert len(world.rows("lead")) == 1
    assert len(world.persons_by("email", "same@example.com")) == 10


def test_a_request_that_meets_ten_records_of_its_address_waits_for_somebody_to_say_which(world: World) -> None:
    rows = [{"subject": "s", "lastname": f"L{number}", "emailaddress1": "same@example.com"} for number in range(10)]
    world.add_person(email="same@example.com", lastName="Other")
    persons = [world.add_person(email="same@example.com", lastName="P")]
    leads = [world.add_row("lead", **row) for row in rows]
    requests = asked(world, *persons)
    world.settle()
    assert answers(world, requests) == [("held", "several_candidates")]
    assert {row["leadid"] for row in world.rows("lead")} == set(leads)
    assert len(world.persons_by("email", "same@example.com")) == 2
