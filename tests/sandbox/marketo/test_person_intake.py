from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.marketo.caller import Caller, answer, attributes, code, ids, reason

PUSH, FORM = "/rest/v1/leads/push.json", "/rest/v1/leads/submitForm.json"
COOKIE = "id:287-GTJ-838&token:_mch-example.test-1396310362214-46169"


def test_a_push_upserts_and_logs_one_activity_of_the_program(marketo: Caller) -> None:
    """Section 6.3, appendix A: programName, source and reason; members beyond requestId, result, success are none."""
    known, token = marketo.create(email="ada@example.test"), marketo.since()
    body = {"programName": "Onboarding", "source": "portal", "reason": "signed up", "lookupField": "email",
            "input": [{"email": "ada@example.test", "firstName": "Ada"}, {"email": "new@example.test"}]}  # fmt: skip
    found = marketo.post(PUSH, body)
    assert set(found) == {"requestId", "result", "success"}
    assert found["result"][0] == {"id": known, "status": "updated"}
    assert found["result"][1]["status"] == "created"
    rows = marketo.activities(token, "145")
    assert [row["leadId"] for row in rows] == ids(found["result"])
    assert (rows[0]["primaryAttributeValue"], attributes(rows[0])) == (
        "Onboarding", {"Reason": "signed up", "Source": "portal"},
    )  # fmt: skip
    assert marketo.person(known)["firstName"] == "Ada"


def test_a_push_skips_bad_records_and_logs_nothing_for_them(marketo: Caller) -> None:
    """Section 6.3."""
    token = marketo.since()
    found = marketo.post(PUSH, {"programName": "P", "input": [{"email": "bad"}, {"email": "a@example.test", "no": 1}]})
    assert [reason(one)[0] for one in found["result"]] == ["1003", "1006"]
    assert marketo.activities(token, "145") == []


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"input": [{"email": "a@example.test"}]}, "1002"),
        ({"programName": "P"}, "1003"),
        ({"programName": "P", "input": []}, "1003"),
        ({"programName": "P", "input": [{"email": "a@b.test"}], "programStatus": "Dancing"}, "1025"),
        ({"programName": "P", "input": [{"email": "a@b.test"}], "lookupField": "nope"}, "1006"),
    ],
)
def test_a_push_needs_a_program_and_input(marketo: Caller, body: dict[str, Any], expected: str) -> None:
    """Section 6.3."""
    assert code(marketo.post(PUSH, body)) == expected
    assert marketo.emulator.control("people_count", {}) == {"people": 0}


def test_a_push_with_a_status_makes_a_member(marketo: Caller) -> None:
    """Section 6.3."""
    body = {"programName": "Fair", "programStatus": "Registered", "input": [{"email": "ada@example.test"}]}
    (result,) = marketo.post(PUSH, body)["result"]
    (found,) = marketo.get(f"/rest/v1/leads/{result['id']}/programMembership.json")["result"]
    assert (found["progressionStatus"], found["acquiredBy"]) == ("Registered", True)


def submit(marketo: Caller, fields: dict[str, Any], form: Any = 1029, **more: Any) -> dict[str, Any]:
    return marketo.post(FORM, {"formId": form, "input": [{"leadFormFields": fields, **more}]})


def test_a_form_creates_a_person_and_logs_its_values(marketo: Caller) -> None:
    """Section 6.3; the form's values are a serialised PHP array, as recorded."""
    token = marketo.since()
    visit = {"pageURL": "https://www.example.test/lp", "queryString": "a=b", "userAgentString": "curl"}
    found = submit(marketo, {"email": "ada@example.test", "firstName": "Ada"}, form="1029", visitorData=visit)
    ((result),) = found["result"]
    assert result == {"id": result["id"], "status": "created"}
    (row,) = marketo.activities(token, "2")
    assert (row["leadId"], row["primaryAttributeValueId"]) == (result["id"], 1029)
    told = attributes(row)
    assert told["Form Fields"] == 'a:2:{s:5:"email";s:16:"ada@example.test";s:9:"firstName";s:3:"Ada";}'
    assert (told["Referrer URL"], told["Query Parameters"], told["User Agent"]) == (
        "https://www.example.test/lp", "a=b", "curl",
    )  # fmt: skip
    assert marketo.person(result["id"], "originalSourceType")["originalSourceType"] == "Web form fillout"


def test_a_form_updates_the_duplicate_changed_last(marketo: Caller) -> None:
    """Section 6.3: no 1007."""
    first, second = (marketo.create(email="twin@example.test") for _ in range(2))
    marketo.clock.advance(60)
    marketo.sync({"id": first, "title": "x"}, action="updateOnly", lookupField="id")
    token = marketo.since("2026-03-01T10:01:01Z")
    marketo.clock.advance(60)
    (result,) = submit(marketo, {"email": "twin@example.test", "firstName": "Ada"})["result"]
    assert result == {"id": first, "status": "updated"}
    assert marketo.person(second)["firstName"] is None
    (change,) = [row for row in marketo.changes(token, "firstName") if row["fields"]]
    assert attributes(change) == {"Reason": "Form fill-out, URL: ", "Source": "Web form fillout"}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"input": [{"leadFormFields": {"email": "a@example.test"}}]}, "1002"),
        ({"formId": 1, "input": [{"leadFormFields": {"firstName": "x"}}]}, "1002"),
        ({"formId": 1, "input": [{"leadFormFields": {"email": "a@example.test"}}] * 2}, "1003"),
        ({"formId": 1, "input": []}, "1003"),
        ({"formId": 1, "input": [{"leadFormFields": {"email": "a@example.test"}, "cookie": "x"}]}, "1012"),
    ],
)
def test_a_form_is_one_person_with_an_email(marketo: Caller, body: dict[str, Any], expected: str) -> None:
    """Section 6.3."""
    assert code(marketo.post(FORM, body)) == expected


def test_a_cookie_belongs_to_the_person_associated_last(marketo: Caller) -> None:
    """Section 6.3: only requestId and success."""
    first, second = marketo.create(), marketo.create()
    for person in (first, second):
        found = answer(marketo.send("POST", f"/rest/v1/leads/{person}/associate.json", {"cookie": COOKIE}))
        assert (set(found), found["success"]) == ({"requestId", "success"}, True)
        query = {"filterType": "cookies", "filterValues": COOKIE}
        assert ids(answer(marketo.send("GET", "/rest/v1/leads.json", query))["result"]) == [person]
    query = {"filterType": "cookie", "filterValues": COOKIE, "fields": "cookies"}
    (held,) = answer(marketo.send("GET", "/rest/v1/leads.json", query))["result"]
    assert held == {"id": second, "cookies": COOKIE}


def test_an_unencoded_cookie_in_a_filter_finds_nobody(marketo: Caller) -> None:
    """Section 13, trap 17."""
    person = marketo.create()
    marketo.post(f"/rest/v1/leads/{person}/associate.json", {}, cookie=COOKIE)
    found = answer(marketo.send("GET", "/rest/v1/leads.json", f"filterType=cookies&filterValues={COOKIE}"))
    assert found["result"] == []


def test_associating_needs_a_cookie_and_a_person(marketo: Caller) -> None:
    """Section 3.3: 1012 and 1004 at response level."""
    person = marketo.create()
    path = "/rest/v1/leads/{}/associate.json"
    assert code(marketo.post(path.format(person))) == "1002"
    bad = marketo.post(path.format(person), cookie="monster")
    assert bad["errors"] == [{"code": "1012", "message": "Invalid cookie value 'monster'"}]
    unknown = marketo.post(path.format(17), cookie=COOKIE)
    assert unknown["errors"] == [{"code": "1004", "message": "Lead '17' not found"}]
