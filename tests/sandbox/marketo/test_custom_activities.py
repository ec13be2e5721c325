from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.marketo.caller import Caller, attributes, code, reason

BASE = "/rest/v1/activities/external"
TYPE: dict[str, Any] = {
    "apiName": "orderPlaced", "name": "Order Placed", "triggerName": "Places Order", "filterName": "Placed Order",
    "description": "x", "primaryAttribute": {"apiName": "orderNo", "name": "Order No"},
}  # fmt: skip
AMOUNT = {"apiName": "amount", "name": "Amount", "dataType": "currency"}


def make_type(marketo: Caller) -> int:
    assert marketo.post(f"{BASE}/type.json", TYPE)["success"]
    more = {"attributes": [AMOUNT, {"apiName": "at", "name": "At", "dataType": "datetime"}]}
    assert marketo.post(f"{BASE}/type/orderPlaced/attributes/create.json", more)["success"]
    (approved,) = marketo.post(f"{BASE}/type/orderPlaced/approve.json")["result"]
    return int(approved["id"])


def activity(person: int, number: int, **more: Any) -> dict[str, Any]:
    return {
        "leadId": person, "activityDate": "2026-03-01T09:00:00Z", "activityTypeId": number,
        "primaryAttributeValue": "Order 77", "attributes": [], **more,
    }  # fmt: skip


def test_a_type_is_a_draft_without_an_id_until_it_is_approved(marketo: Caller) -> None:
    """M65, appendix A."""
    (draft,) = marketo.post(f"{BASE}/type.json", TYPE)["result"]
    assert draft["status"] == "draft"
    assert "id" not in draft
    assert draft["primaryAttribute"] == {"apiName": "orderNo", "name": "Order No", "dataType": "string"}
    types = marketo.get("/rest/v1/activities/types.json")["result"]
    assert "Order Placed" not in {one["name"] for one in types}
    (approved,) = marketo.post(f"{BASE}/type/orderPlaced/approve.json")["result"]
    assert (approved["status"], approved["id"]) == ("approved", 100_001)
    (listed,) = marketo.get(f"{BASE}/types.json")["result"]
    assert (listed["apiName"], listed["status"], listed["id"]) == ("orderPlaced", "approved", 100_001)


def test_records_of_types_have_the_documented_members(marketo: Caller) -> None:
    """M65, appendix A: dates and the id come with the approval, `attributes` only when there are some."""
    head = ["apiName", "name", "description", "triggerName", "filterName"]
    (draft,) = marketo.post(f"{BASE}/type.json", TYPE)["result"]
    assert list(draft) == [*head, "status", "primaryAttribute"]
    one = f"{BASE}/type/orderPlaced"
    (approved,) = marketo.post(f"{one}/approve.json")["result"]
    whole = ["id", *head, "createdAt", "updatedAt", "status"]
    assert list(approved) == [*whole, "primaryAttribute"]
    (edited,) = marketo.post(f"{one}/attributes/create.json", {"attributes": [AMOUNT]})["result"]
    assert list(edited) == [*whole, "primaryAttribute", "attributes"]
    assert (edited["status"], edited["attributes"]) == ("approved with draft", [AMOUNT])
    (emptied,) = marketo.post(f"{one}/attributes/delete.json", {"attributes": [{"apiName": "amount"}]})["result"]
    assert "attributes" not in emptied
    assert [list(each) for each in marketo.get(f"{BASE}/types.json")["result"]] == [whole]


def test_changes_of_a_type_wait_in_the_draft(marketo: Caller) -> None:
    """M65, section 8.7: update, describe with draft=true, approve; deleted types take no data and are not listed."""
    number, person = make_type(marketo), marketo.create()
    one = f"{BASE}/type/orderPlaced"
    (changed,) = marketo.post(f"{one}.json", {"name": "Order Paid", "triggerName": "Pays Order"})["result"]
    assert (changed["name"], changed["status"]) == ("Order Paid", "approved with draft")
    assert marketo.get(f"{one}/describe.json")["result"][0]["name"] == "Order Placed"
    assert marketo.get(f"{one}/describe.json", draft="true")["result"][0]["name"] == "Order Paid"
    marketo.clock.advance(60)
    (approved,) = marketo.post(f"{one}/approve.json")["result"]
    assert (approved["name"], approved["id"], approved["status"]) == ("Order Paid", number, "approved")
    assert (approved["createdAt"], approved["updatedAt"]) == ("2026-03-01T10:00:00Z", "2026-03-01T10:01:00Z")
    assert marketo.post(f"{one}/delete.json")["result"][0]["status"] == "deleted"
    assert marketo.get(f"{BASE}/types.json")["result"] == []
    (result,) = marketo.post(f"{BASE}.json", {"input": [activity(person, number)]})["result"]
    assert reason(result, "errors")[0] == "1003"
    assert code(marketo.get(f"{one}/describe.json")) == "1013"


def test_an_approved_type_is_among_all_types(marketo: Caller) -> None:
    """M64."""
    number = make_type(marketo)
    types = {one["id"]: one for one in marketo.get("/rest/v1/activities/types.json")["result"]}
    assert types[number] == {
        "id": number, "name": "Order Placed", "description": "x",
        "primaryAttribute": {"name": "Order No", "dataType": "string"},
        "attributes": [{"name": "Amount", "dataType": "currency"}, {"name": "At", "dataType": "datetime"}],
    }  # fmt: skip


def test_draft_types_refuse_data(marketo: Caller) -> None:
    """M65."""
    person = marketo.create()
    marketo.post(f"{BASE}/type.json", TYPE)
    (result,) = marketo.post(f"{BASE}.json", {"input": [activity(person, 100_001)]})["result"]
    assert reason(result, "errors")[0] == "1003"


def test_data_are_added_and_readable(marketo: Caller) -> None:
    """M65: attributes by apiName or by name."""
    number, person, token = make_type(marketo), marketo.create(), marketo.since()
    sent = [{"apiName": "amount", "value": 12.5}, {"name": "At", "value": "2026-03-01T10:00:00+01:00"}]
    added, skipped = marketo.post(
        f"{BASE}.json", {"input": [activity(person, number, attributes=sent), activity(999, number)]}
    )["result"]
    assert (added["status"], added["marketoGUID"]) == ("added", str(added["id"]))
    assert reason(skipped, "errors") == ("1004", "Lead not found")
    assert set(skipped) == {"status", "errors"}
    (row,) = marketo.activities(token, str(number))
    assert row["marketoGUID"] == added["marketoGUID"]
    assert (row["primaryAttributeValue"], row["activityDate"]) == ("Order 77", "2026-03-01T09:00:00Z")
    assert attributes(row) == {"Amount": 12.5, "At": "2026-03-01T09:00:00Z"}


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"attributes": [{"apiName": "amount", "value": "a lot"}]}, "1003"),
        ({"attributes": [{"apiName": "nope", "value": 1}]}, "1006"),
        ({"attributes": [{"apiName": "amount", "value": "9" * 65_536}]}, "1049"),
        ({"attributes": None}, "1002"), ({"primaryAttributeValue": None}, "1002"), ({"activityDate": "soon"}, "704"),
        ({"activityTypeId": 13}, "1003"), ({"leadId": "x"}, "1004"),
    ],
)  # fmt: skip
def test_bad_data_are_skipped_with_errors(marketo: Caller, more: dict[str, Any], expected: str) -> None:
    """M65."""
    number, person, token = make_type(marketo), marketo.create(), marketo.since()
    results = marketo.post(f"{BASE}.json", {"input": [activity(person, number, **more), activity(person, number)]})
    bad, good = results["result"]
    assert reason(bad, "errors")[0] == expected
    assert good["status"] == "added"
    assert len(marketo.activities(token, str(number))) == 1


def test_numbers_may_be_sent_as_text(marketo: Caller) -> None:
    """M65: assumption, as everywhere else; many clients have their ids as text."""
    person, number = marketo.create(), make_type(marketo)
    record = activity(person, number) | {"leadId": str(person), "activityTypeId": str(number)}
    (added,) = marketo.post(f"{BASE}.json", {"input": [record]})["result"]
    assert added["status"] == "added"


def test_three_hundred_activities_fit_a_call(marketo: Caller) -> None:
    """M65."""
    number, person = make_type(marketo), marketo.create()
    full = [activity(person, number)] * 300
    assert len(marketo.post(f"{BASE}.json", {"input": full})["result"]) == 300
    assert code(marketo.post(f"{BASE}.json", {"input": [*full, full[0]]})) == "1003"


def test_attributes_are_created_updated_and_deleted_in_the_draft(marketo: Caller) -> None:
    """Section 8.7."""
    make_type(marketo)
    one = f"{BASE}/type/orderPlaced"
    changed = {"attributes": [{"apiName": "amount", "name": "Sum", "dataType": "string"}]}
    assert marketo.post(f"{one}/attributes/update.json", changed)["success"]
    assert marketo.post(f"{one}/attributes/delete.json", {"attributes": [{"apiName": "at"}]})["success"]
    (draft,) = marketo.get(f"{one}/describe.json", draft="true")["result"]
    assert draft["status"] == "approved with draft"
    assert draft["attributes"] == [{**AMOUNT, "name": "Sum"}]
    (approved,) = marketo.get(f"{one}/describe.json")["result"]
    assert [each["name"] for each in approved["attributes"]] == ["Amount", "At"]
    assert marketo.post(f"{one}/discardDraft.json")["result"][0]["status"] == "approved"
    assert code(marketo.post(f"{one}/discardDraft.json")) == "1048"


def test_type_limits_and_names_are_checked(marketo: Caller) -> None:
    """Sections 3.3 and 8.7: 1027, 1028, 1017, 1013."""
    for number in range(10):
        assert marketo.post(f"{BASE}/type.json", {**TYPE, "apiName": f"t{number}"})["success"]
    assert code(marketo.post(f"{BASE}/type.json", TYPE)) == "1027"
    assert code(marketo.post(f"{BASE}/type.json", {**TYPE, "apiName": "t1"})) == "1017"
    many = [{"apiName": f"a{n}", "name": f"A{n}"} for n in range(21)]
    assert code(marketo.post(f"{BASE}/type/t1/attributes/create.json", {"attributes": many})) == "1028"
    assert code(marketo.post(f"{BASE}/type/nope/approve.json")) == "1013"
    assert marketo.post(f"{BASE}/type/t1/delete.json")["result"][0]["status"] == "deleted"
    assert marketo.post(f"{BASE}/type.json", TYPE)["success"]


def test_types_survive_a_restart(marketo: Caller) -> None:
    number, person = make_type(marketo), marketo.create()
    marketo.restart()
    assert marketo.post(f"{BASE}.json", {"input": [activity(person, number)]})["result"][0]["status"] == "added"
