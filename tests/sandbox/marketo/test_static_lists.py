from __future__ import annotations

from typing import Any

from tests.sandbox.marketo.caller import Caller, answer, attributes, code, ids, reason


def path(number: int) -> str:
    return f"/rest/v1/lists/{number}/leads.json"


def test_members_are_added_and_removed_by_json_and_by_query(marketo: Caller) -> None:
    """M50."""
    number = marketo.make_list()
    people = [marketo.create() for _ in range(3)]
    added = marketo.post(path(number), {"input": [{"id": people[0]}]})["result"]
    assert added == [{"id": people[0], "status": "added"}]
    query = f"id={people[1]}&id={people[2]}"
    assert [one["status"] for one in answer(marketo.send("POST", path(number), query))["result"]] == ["added"] * 2
    removed = answer(marketo.send("DELETE", path(number), f"id={people[0]},{people[1]}"))["result"]
    assert removed == [{"id": one, "status": "removed"} for one in people[:2]]
    body = {"input": [{"id": people[2]}]}
    assert answer(marketo.send("DELETE", path(number), body=body))["result"][0]["status"] == "removed"
    assert marketo.get(path(number))["result"] == []


def test_members_may_be_named_by_a_form(marketo: Caller) -> None:
    """M50."""
    number, person = marketo.make_list(), marketo.create()
    assert answer(marketo.send("POST", path(number), form={"id": person}))["result"][0]["status"] == "added"


def test_adding_twice_is_added_and_leaves_one_activity(marketo: Caller) -> None:
    """M50."""
    number, person, token = marketo.make_list("List 1", programName="Onboarding"), marketo.create(), marketo.since()
    body = {"input": [{"id": person}]}
    for _ in range(2):
        assert marketo.post(path(number), body)["result"] == [{"id": person, "status": "added"}]
    answer(marketo.send("DELETE", path(number), body=body))
    rows = marketo.activities(token, "24,25")
    assert [row["activityTypeId"] for row in rows] == [24, 25]
    assert (rows[0]["primaryAttributeValueId"], rows[0]["primaryAttributeValue"]) == (number, "Onboarding.List 1")
    assert attributes(rows[0]) == {"Source": "Web service API"}


def test_members_and_strangers_have_their_answers(marketo: Caller) -> None:
    """M50."""
    number, member, stranger = marketo.make_list(), marketo.create(), marketo.create()
    marketo.post(path(number), {"input": [{"id": member}]})
    asked = f"/rest/v1/lists/{number}/leads/ismember.json"
    assert marketo.get(asked, id=f"{member},{stranger}")["result"] == [
        {"id": member, "status": "memberof"}, {"id": stranger, "status": "notmemberof"},
    ]  # fmt: skip
    (result,) = answer(marketo.send("DELETE", path(number), f"id={stranger}"))["result"]
    assert (result["id"], reason(result)) == (stranger, ("1015", "Lead not in list"))
    (result,) = marketo.post(path(number), {"input": [{"id": 999}]})["result"]
    assert (result["id"], reason(result)) == (999, ("1004", "Lead not found"))
    marketo.emulator.control("revoke", {"user": "sandbox", "permissions": ["Read-Write Lead"]})
    assert code(marketo.get(asked, id=member)) == "603"  # appendix B
    assert marketo.get(path(number))["success"]


def test_empty_input_and_unknown_lists_are_refused(marketo: Caller) -> None:
    """M50."""
    number = marketo.make_list()
    bodies: list[object] = [None, {}, {"input": []}]
    for body in bodies:
        found = marketo.post(path(number), body)
        assert found["errors"] == [{"code": "1003", "message": "Lead ids not specified"}]
    assert code(marketo.post(path(number + 1), {"input": [{"id": 1}]})) == "1013"


def test_membership_does_not_move_updated_at(marketo: Caller) -> None:
    """M50."""
    number, person = marketo.make_list(), marketo.create()
    before = marketo.person(person)
    marketo.clock.advance(10)
    marketo.post(path(number), {"input": [{"id": person}]})
    assert marketo.person(person) == before


def test_lists_are_found_by_name_id_and_program_and_paged(marketo: Caller) -> None:
    """Section 6.3: a token without moreResult."""
    numbers = [marketo.make_list(f"List {n}", programName="A" if n % 2 else "B") for n in range(5)]
    browse = "/rest/v1/lists.json"
    assert marketo.get(browse, name="List 3")["result"] == [{
        "id": numbers[3], "name": "List 3", "programName": "A", "workspaceId": 1, "workspaceName": "Default",
        "createdAt": "2026-03-01T10:00:00Z", "updatedAt": "2026-03-01T10:00:00Z",
    }]  # fmt: skip
    assert ids(marketo.get(browse, id=f"{numbers[0]},{numbers[2]}")["result"]) == [numbers[0], numbers[2]]
    assert ids(marketo.get(browse, programName="A")["result"]) == [numbers[1], numbers[3]]
    assert ids(marketo.get(f"/rest/v1/lists/{numbers[1]}.json")["result"]) == [numbers[1]]
    found: list[int] = []
    query: dict[str, Any] = {"batchSize": 2}
    while True:
        page = marketo.get(browse, **query)
        assert "moreResult" not in page
        found += ids(page["result"])
        if "nextPageToken" not in page:
            break
        query["nextPageToken"] = page["nextPageToken"]
    assert found == numbers
