"""Bulk extract of activities (M66-M70): the same life as for persons, filters and columns of its own."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest

from tests.sandbox.marketo.caller import Caller, code

BASE = "/bulk/v1/activities/export"
MARCH = {"startAt": "2026-03-01T00:00:00Z", "endAt": "2026-03-31T00:00:00Z"}
COLUMNS = [
    "marketoGUID", "leadId", "activityDate", "activityTypeId", "campaignId", "primaryAttributeValueId",
    "primaryAttributeValue", "attributes",
]  # fmt: skip


def text_of(marketo: Caller, **request: Any) -> str:
    marketo.option(extract_status_interval=0)
    made = marketo.post(f"{BASE}/create.json", {"filter": {"createdAt": MARCH}, **request})
    assert made["success"], made
    job = made["result"][0]["exportId"]
    assert marketo.post(f"{BASE}/{job}/enqueue.json")["result"][0]["status"] == "Queued"
    response = marketo.send("GET", f"{BASE}/{job}/file.json")
    assert response.status == 200
    return response.body.decode()


def rows_of(marketo: Caller, **request: Any) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text_of(marketo, **request), newline="")))


def rename(marketo: Caller, person: int, **values: Any) -> None:
    marketo.sync({"id": person, **values}, action="updateOnly", lookupField="id")


def test_a_job_has_the_members_of_its_state_and_lives_among_activities_only(marketo: Caller) -> None:
    """M66."""
    (made,) = marketo.post(f"{BASE}/create.json", {"filter": {"createdAt": MARCH}})["result"]
    job = made["exportId"]
    assert list(made) == ["exportId", "format", "status", "createdAt"]
    (queued,) = marketo.post(f"{BASE}/{job}/enqueue.json", {"data": {"_method": "POST"}})["result"]
    assert list(queued) == [*made, "queuedAt"]
    assert [one["exportId"] for one in marketo.get(f"{BASE}.json")["result"]] == [job]
    assert marketo.get("/bulk/v1/leads/export.json")["result"] == []
    assert code(marketo.get(f"/bulk/v1/leads/export/{job}/status.json")) == "1013"
    assert marketo.send("GET", f"/bulk/v1/leads/export/{job}/file.json").status == 404
    (cancelled,) = marketo.post(f"{BASE}/{job}/cancel.json")["result"]
    assert (cancelled["status"], "queuedAt" in cancelled) == ("Cancelled", True)


def test_both_kinds_share_the_queue_and_the_quota(marketo: Caller) -> None:
    """M67."""
    marketo.option(extract_seconds=1000)
    last: dict[str, Any] = {}
    for number in range(11):
        kind = BASE if number % 2 else "/bulk/v1/leads/export"
        body = {"fields": ["id"]} if number % 2 == 0 else {}
        job = marketo.post(f"{kind}/create.json", {**body, "filter": {"createdAt": MARCH}})["result"][0]["exportId"]
        last = marketo.post(f"{kind}/{job}/enqueue.json")
    assert last["errors"] == [{"code": "1029", "message": "Too many jobs in queue"}]


def test_the_right_to_read_activities_is_needed(marketo: Caller) -> None:
    """M6, appendix B."""
    names = ["Read-Only Activity", "Read-Write Activity"]
    marketo.emulator.control("revoke", {"user": "sync-api@example.test", "permissions": names})
    assert code(marketo.post(f"{BASE}/create.json", {"filter": {"createdAt": MARCH}})) == "603"
    persons = {"fields": ["id"], "filter": {"createdAt": MARCH}}
    assert marketo.post("/bulk/v1/leads/export/create.json", persons)["success"]


def test_the_file_has_the_recorded_columns_and_a_json_object_of_attributes(marketo: Caller) -> None:
    """M69: null for empty, values typed, the text of a value quoted by RFC 4180."""
    person = marketo.create(firstName='Ada "A"', email="ada@example.test")
    rename(marketo, person, leadScore=10, unsubscribed=True)
    born, scored, *changed = rows_of(marketo)
    assert list(born) == COLUMNS
    assert (born["leadId"], born["activityDate"], born["activityTypeId"]) == (str(person), "2026-03-01T10:00:00Z", "12")
    assert (born["campaignId"], born["primaryAttributeValueId"]) == ("null", str(person))
    assert born["primaryAttributeValue"] == 'Ada "A"'
    told = json.loads(born["attributes"])
    assert (told["Created Date"], told["modifying user"]) == ("2026-03-01", "sync-api@example.test")
    assert json.loads(scored["attributes"]) == {"Change Value": "+10", "New Value": 10, "Reason": "Web service API"}
    values = {row["primaryAttributeValue"]: json.loads(row["attributes"])["New Value"] for row in changed}
    assert values == {"Lead Score": "10", "Unsubscribed": "True"}


@pytest.mark.parametrize("fields", [None, []])
def test_no_fields_mean_the_default_columns(marketo: Caller, fields: list[str] | None) -> None:
    """Section 9.3: clients send null and an empty list."""
    assert text_of(marketo, fields=fields) == ",".join(COLUMNS) + "\n"


def test_columns_can_be_chosen_named_and_separated(marketo: Caller) -> None:
    """M69, section 9.3: actionResult comes on top of the default columns."""
    person = marketo.create()
    request = {"fields": ["leadId", "actionResult"], "columnHeaderNames": {"leadId": "Person"}, "format": "TSV"}
    assert text_of(marketo, **request) == f"Person\tactionResult\n{person}\tsucceeded\n"


def test_types_and_primary_attributes_narrow_the_extract(marketo: Caller) -> None:
    """M68, section 9.3."""
    person, number = marketo.create(), marketo.make_list("Fair")
    rename(marketo, person, city="Ulm", state="BW")
    marketo.post(f"/rest/v1/lists/{number}/leads.json", {"input": [{"id": person}]})

    def found(**more: Any) -> list[tuple[str, str]]:
        rows = rows_of(marketo, filter={"createdAt": MARCH, **more})
        return [(row["activityTypeId"], row["primaryAttributeValue"]) for row in rows]

    assert [one for one, _ in found(activityTypeIds=[12, 24])] == ["12", "24"]
    assert found(activityTypeIds=[13], primaryAttributeValueIds=[64]) == [("13", "City")]
    assert found(activityTypeIds=[13, 22], primaryAttributeValues=["State"]) == [("13", "State")]
    assert found(activityTypeIds=[24, 25], primaryAttributeValues=["Fair"]) == [("24", "Fair")]
    assert len(found(activityTypeIds=[])) == 4


def test_both_ends_of_the_window_belong_to_it_and_deletions_never_do(marketo: Caller) -> None:
    """M68; type 37 is not part of the extract (8.5)."""
    people = []
    for _ in range(4):
        people.append(marketo.create())
        marketo.clock.advance(1)
    marketo.post("/rest/v1/leads/delete.json", {"input": [{"id": people[1]}]})
    window = {"startAt": "2026-03-01T10:00:01Z", "endAt": "2026-03-01T10:00:02Z"}
    rows = rows_of(marketo, filter={"createdAt": window})
    assert [row["leadId"] for row in rows] == [str(one) for one in people[1:3]]
    assert "37" not in {row["activityTypeId"] for row in rows_of(marketo)}
    assert rows_of(marketo, filter={"createdAt": MARCH, "activityTypeIds": [37]}) == []


ONE_TYPE = {"createdAt": MARCH, "activityTypeIds": [13]}
LONG = {"startAt": MARCH["startAt"], "endAt": "2026-04-01T00:00:01Z"}
BAD: list[dict[str, Any]] = [
    {}, {"filter": None}, {"filter": {"activityTypeIds": [13]}}, {"filter": {"createdAt": LONG}},
    {"filter": {"createdAt": MARCH, "nope": 1}},
    *({"filter": {"createdAt": MARCH, "activityTypeIds": types}} for types in (["x"], [2**70], [12.5], 13)),
    {"filter": {**ONE_TYPE, "primaryAttributeValueIds": [1], "primaryAttributeValues": ["x"]}},
    {"filter": {**ONE_TYPE, "primaryAttributeValueIds": list(range(51))}},
    {"filter": {"createdAt": MARCH, "primaryAttributeValueIds": [1]}},
    {"filter": {**ONE_TYPE, "activityTypeIds": [13, 24], "primaryAttributeValueIds": [1]}},
    {"filter": {"createdAt": MARCH}, "format": "XLS"},
]  # fmt: skip


@pytest.mark.parametrize("request_body", BAD)
def test_a_wrong_request_is_refused_at_create(marketo: Caller, request_body: dict[str, Any]) -> None:
    """M68, sections 9.3 and 15."""
    assert code(marketo.post(f"{BASE}/create.json", request_body)) == "1003"


def test_unknown_columns_are_named(marketo: Caller) -> None:
    """M68."""
    refused = marketo.post(f"{BASE}/create.json", {"filter": {"createdAt": MARCH}, "fields": ["leadId", "a", "b"]})
    assert refused["errors"] == [{"code": "1003", "message": "Invalid fields [a, b]"}]


def test_late_rows_are_absent_until_they_are_published(marketo: Caller) -> None:
    """Assumption beside the code, section 8.6."""
    marketo.option(late_every=2, late_seconds=60)
    people = [str(marketo.create()) for _ in range(2)]
    assert [row["leadId"] for row in rows_of(marketo)] == people[:1]
    marketo.clock.advance(60)
    assert [row["leadId"] for row in rows_of(marketo)] == people
