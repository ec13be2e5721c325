from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.marketo.caller import Caller, answer, attributes, code, ids, reason

ASSET = "/rest/asset/v1"
SIX = ["id", "firstName", "lastName", "email", "updatedAt", "createdAt"]


def make(marketo: Caller, name: str = "Onboarding") -> int:
    form = {"name": name, "folder": '{"id":15,"type":"Folder"}', "type": "Default", "channel": "Online Advertising"}
    (made,) = answer(marketo.send("POST", f"{ASSET}/programs.json", form=form))["result"]
    return int(made["id"])


def put(marketo: Caller, program: int, status: str, *people: int) -> list[dict[str, Any]]:
    body = {"statusName": status, "input": [{"leadId": one} for one in people]}
    return list(marketo.post(f"/rest/v1/programs/{program}/members/status.json", body)["result"])


def test_a_status_creates_moves_forward_and_skips(marketo: Caller) -> None:
    """Section 6.3: results with seq; 1037 at or past a status, 1004, 1025."""
    program, person, token = make(marketo), marketo.create(), marketo.since()
    assert put(marketo, program, "Member", person, 999) == [
        {"seq": 0, "status": "created", "leadId": person},
        {"seq": 1, "status": "skipped", "reasons": [{"code": "1004", "message": "Lead not found"}]},
    ]
    assert put(marketo, program, "Influenced", person) == [{"seq": 0, "status": "updated", "leadId": person}]
    (skipped,) = put(marketo, program, "Member", person)
    assert reason(skipped) == ("1037", "Lead skipped because it is already in or past this status")
    rows = marketo.activities(token, "104")
    assert [attributes(row)["New Status"] for row in rows] == ["Member", "Influenced"]
    assert (rows[0]["primaryAttributeValueId"], rows[0]["primaryAttributeValue"]) == (program, "Onboarding")
    path = f"/rest/v1/programs/{program}/members/status.json"
    assert code(marketo.post(path, {"statusName": "Dancing", "input": [{"leadId": person}]})) == "1025"
    assert code(marketo.post(path, {"input": [{"leadId": person}]})) == "1002"
    assert code(marketo.post("/rest/v1/programs/999/members/status.json",
                             {"statusName": "Member", "input": [{"leadId": person}]})) == "1013"  # fmt: skip


def test_members_are_read_as_persons_with_their_membership(marketo: Caller) -> None:
    """Section 5.3."""
    program = make(marketo)
    people = [marketo.create(email=f"p{number}@example.test") for number in range(3)]
    put(marketo, program, "Visited", *people)
    path = f"/rest/v1/leads/programs/{program}.json"
    first = marketo.get(path, batchSize=2)
    assert list(first["result"][0]) == [*SIX, "membership"]
    assert first["result"][0]["membership"] == {
        "id": program, "progressionStatus": "Visited", "progressionStatusType": "Visited", "isExhausted": False,
        "acquiredBy": False, "reachedSuccess": False, "membershipDate": "2026-03-01T10:00:00Z",
        "updatedAt": "2026-03-01T10:00:00Z",
    }  # fmt: skip
    last = marketo.get(path, batchSize=2, nextPageToken=first["nextPageToken"], fields="email")
    assert "nextPageToken" not in last
    assert list(last["result"][0]) == ["id", "email", "membership"]
    assert ids([*first["result"], *last["result"]]) == people
    assert code(marketo.get("/rest/v1/leads/programs/999.json")) == "1013"


def test_the_programs_of_a_person_tell_of_more(marketo: Caller) -> None:
    """Section 5.3."""
    programs, person = [make(marketo, f"P{number}") for number in range(3)], marketo.create()
    for program in programs:
        put(marketo, program, "Member", person)
    path = f"/rest/v1/leads/{person}/programMembership.json"
    first = marketo.get(path, batchSize=2)
    last = marketo.get(path, batchSize=2, nextPageToken=first["nextPageToken"])
    assert (first["moreResult"], last["moreResult"]) == (True, False)
    assert ids([*first["result"], *last["result"]]) == programs
    only = marketo.get(path, filterType="programId", filterValues=programs[1])
    assert ids(only["result"]) == [programs[1]]
    assert set(only["result"][0]) == {
        "id", "progressionStatus", "isExhausted", "acquiredBy", "reachedSuccess", "membershipDate", "updatedAt",
    }  # fmt: skip


def test_nobody_is_in_a_smart_campaign(marketo: Caller) -> None:
    """Section 5.3: what an empty instance says."""
    found = marketo.get(f"/rest/v1/leads/{marketo.create()}/smartCampaignMembership.json")
    assert (found["result"], found["moreResult"]) == ([], False)


def test_members_are_found_by_person_status_success_and_time(marketo: Caller) -> None:
    """Section 6.3; vendor page Program Members."""
    program, people = make(marketo), [marketo.create() for _ in range(3)]
    put(marketo, program, "Member", *people[:2])
    marketo.clock.advance(1800)
    put(marketo, program, "Influenced", people[1], people[2])
    path = f"/rest/v1/programs/{program}/members.json"

    def find(**query: Any) -> list[int]:
        return [one["leadId"] for one in marketo.get(path, **query)["result"]]

    assert find(filterType="leadId", filterValues=f"{people[0]},{people[2]}") == [people[0], people[2]]
    assert find(filterType="statusName", filterValues="Influenced") == people[1:]
    assert find(filterType="reachedSuccess", filterValues="false") == [people[0]]
    window = {"startAt": "2026-03-01T10:15:00Z", "endAt": "2026-03-01T12:00:00Z"}
    assert find(filterType="updatedAt", **window) == people[1:]
    (found,) = marketo.get(path, filterType="leadId", filterValues=people[0])["result"]
    assert found == {"seq": 0, "leadId": people[0], "reachedSuccess": False, "programId": program, "acquiredBy": False,
                     "membershipDate": "2026-03-01T10:00:00Z"}  # fmt: skip
    for query, expected in (
        ({"filterType": "program", "filterValues": "1"}, "1011"), ({"filterType": "leadId"}, "1003"),
        ({"filterValues": "1"}, "1002"), ({"filterType": "leadId", "filterValues": "1", "fields": "nope"}, "1006"),
        ({"filterType": "updatedAt", "startAt": "2026-01-01T00:00:00Z", "endAt": "2026-03-01T00:00:00Z"}, "1003"),
    ):  # fmt: skip
        assert code(marketo.get(path, **query)) == expected


def test_memberships_end_and_standard_fields_are_not_written(marketo: Caller) -> None:
    """Section 6.3; vendor page Program Members."""
    program, person = make(marketo), marketo.create()
    put(marketo, program, "Member", person)
    path = f"/rest/v1/programs/{program}/members"
    body = {"input": [{"leadId": person, "statusReason": "x"}, {"leadId": 77}]}
    results = marketo.post(f"{path}.json", body)["result"]
    assert [reason(one)[0] for one in results] == ["1003", "1013"]
    results = marketo.post(f"{path}/delete.json", {"input": [{"leadId": person}, {"leadId": 77}]})["result"]
    assert results[0] == {"seq": 0, "status": "deleted", "leadId": person}
    assert reason(results[1]) == ("1037", "Lead not in program")


@pytest.mark.parametrize("path", ["programs", "program"])
def test_the_fields_of_a_membership_are_described(marketo: Caller, path: str) -> None:
    """Vendor page Program Members; both paths of the interface file."""
    (found,) = marketo.get(f"/rest/v1/{path}/members/describe.json")["result"]
    assert found["name"] == "API Program Membership"
    assert {"name": "statusName", "displayName": "statusName", "dataType": "string", "length": 255,
            "updateable": False, "crmManaged": False} in found["fields"]  # fmt: skip


def test_a_merge_moves_memberships_of_programs_and_a_delete_ends_them(marketo: Caller) -> None:
    """M48, M49."""
    program, (winner, loser, gone) = make(marketo), (marketo.create(), marketo.create(), marketo.create())
    put(marketo, program, "Member", loser, gone)
    marketo.post(f"/rest/v1/leads/{winner}/merge.json", leadId=loser)
    marketo.post("/rest/v1/leads/delete.json", {"input": [{"id": gone}]})
    assert ids(marketo.get(f"/rest/v1/leads/programs/{program}.json")["result"]) == [winner]


def test_programs_are_found_changed_and_deleted(marketo: Caller) -> None:
    """Vendor page Programs."""
    number = make(marketo)
    (found,) = marketo.get(f"{ASSET}/program/byName.json", name="Onboarding")["result"]
    assert (found["id"], found["folder"]) == (number, {"type": "Folder", "value": 15, "folderName": "Default"})
    assert marketo.get(f"{ASSET}/program/{number}.json")["result"] == [found]
    assert ids(marketo.get(f"{ASSET}/programs.json")["result"]) == [number]
    (changed,) = answer(marketo.send("POST", f"{ASSET}/program/{number}.json", form={"name": "New"}))["result"]
    assert changed["name"] == "New"
    assert marketo.post(f"{ASSET}/program/{number}/delete.json")["result"] == [{"id": number}]
    assert "result" not in marketo.get(f"{ASSET}/program/{number}.json")
    (channel,) = marketo.get(f"{ASSET}/channel/byName.json", name="Email Blast")["result"]
    assert channel["progressionStatuses"][0]["name"] == "Not in Program"
