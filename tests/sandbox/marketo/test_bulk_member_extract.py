"""Bulk extract of program members: in the shared queue (9.1), booleans as 0 and 1 (trap 11)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.marketo.caller import Caller, code

BASE = "/bulk/v1/program/members/export"
MARCH = {"startAt": "2026-03-01T00:00:00Z", "endAt": "2026-03-31T00:00:00Z"}


def program(marketo: Caller, name: str = "Onboarding") -> int:
    return int(marketo.emulator.control("create_program", {"name": name})["id"])


def place(marketo: Caller, number: int, status: str, *people: int) -> None:
    body = {"statusName": status, "input": [{"leadId": person} for person in people]}
    found = marketo.post(f"/rest/v1/programs/{number}/members/status.json", body)
    assert found["success"], found


def text_of(marketo: Caller, fields: list[str], **chosen: Any) -> str:
    marketo.option(extract_status_interval=0)
    made = marketo.post(f"{BASE}/create.json", {"fields": fields, "filter": chosen})
    assert made["success"], made
    job = made["result"][0]["exportId"]
    assert marketo.post(f"{BASE}/{job}/enqueue.json")["result"][0]["status"] == "Queued"
    response = marketo.send("GET", f"{BASE}/{job}/file.json")
    assert response.status == 200
    return response.body.decode()


def test_a_file_has_memberships_with_fields_of_the_person(marketo: Caller) -> None:
    """M69, trap 11."""
    number, ada, max_ = program(marketo), marketo.create(firstName="Ada"), marketo.create()
    place(marketo, number, "Influenced", ada)
    place(marketo, number, "Member", max_)
    fields = ["leadId", "firstName", "statusName", "reachedSuccess", "isExhausted", "membershipDate", "trackName"]
    assert text_of(marketo, fields, programId=number) == (
        ",".join(fields) + "\n"
        f"{ada},Ada,Influenced,1,0,2026-03-01T10:00:00Z,null\n{max_},null,Member,0,0,2026-03-01T10:00:00Z,null\n"
    )


def test_several_programs_come_with_their_id_first_and_filters_combine(marketo: Caller) -> None:
    """M68: the column programId leads the file of programIds."""
    first, second = program(marketo), program(marketo, "Fair")
    ada, max_ = marketo.create(), marketo.create()
    place(marketo, first, "Member", ada, max_)
    marketo.clock.advance(3600)
    marketo.token()
    place(marketo, second, "Influenced", ada)
    both = {"programIds": [first, second]}
    assert text_of(marketo, ["leadId"], **both).splitlines() == [
        "programId,leadId", f"{first},{ada}", f"{first},{max_}", f"{second},{ada}",
    ]  # fmt: skip
    assert text_of(marketo, ["leadId"], **both, statusNames=["Influenced"]) == f"programId,leadId\n{second},{ada}\n"
    late = {"startAt": "2026-03-01T10:30:00Z", "endAt": "2026-03-01T11:30:00Z"}
    assert text_of(marketo, ["program"], **both, updatedAt=late).splitlines() == [
        "programId,program", f"{second},Fair",
    ]  # fmt: skip
    assert text_of(marketo, ["leadId"], programId=first, isExhausted=True) == "leadId\n"


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [({}, "1003"), ({"programId": 1, "programIds": [1]}, "1003"), ({"programIds": []}, "1003"),
     ({"programId": 999}, "1013"), ({"programId": "x"}, "1013"), ({"programIds": list(range(11))}, "1003"),
     ({"programId": 1, "nope": 1}, "1003")],
)  # fmt: skip
def test_wrong_filters_are_refused_at_create(marketo: Caller, chosen: dict[str, Any], expected: str) -> None:
    """M68."""
    assert code(marketo.post(f"{BASE}/create.json", {"fields": ["leadId"], "filter": chosen})) == expected


def test_unknown_fields_are_named_and_updated_at_may_be_unsupported(marketo: Caller) -> None:
    """M68."""
    number = program(marketo)
    asked = {"fields": ["leadId", "nope"], "filter": {"programId": number}}
    refused = marketo.post(f"{BASE}/create.json", asked)
    assert refused["errors"] == [{"code": "1003", "message": "Invalid fields [nope]"}]
    marketo.option(extract_updated_at=False)
    asked = {"fields": ["leadId"], "filter": {"programId": number, "updatedAt": MARCH}}
    assert code(marketo.post(f"{BASE}/create.json", asked)) == "1035"
