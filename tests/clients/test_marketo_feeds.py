"""Marketo's feeds: every row once, whatever the pages look like."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from include.leadsync.clients.budget import NullBudget
from include.leadsync.clients.marketo import ACTIVITIES, CHANGES, FeedPage, MarketoClient
from include.leadsync.clients.retry import RetryPolicy
from include.leadsync.clock import FakeClock
from include.leadsync.errors import AnswerMalformed, FixConfiguration, ReadAgain
from tests.clients.servers import MARKETO, Server, answer, good, playing, query, refused

NEW = {
    "id": 9002,
    "marketoGUID": "9002",
    "leadId": 501,
    "activityDate": "2026-03-01T10:00:05Z",
    "activityTypeId": 12,
    "fields": [],
    "attributes": [
        {"name": "Source Type", "value": "Web service API"},
        {"name": "request id", "value": "31d0#18c2d41b222"},
    ],
}
CHANGED = {
    "id": 9003,
    "marketoGUID": "9003",
    "leadId": 501,
    "activityDate": "2026-03-01T10:05:00Z",
    "activityTypeId": 13,
    "fields": [{"id": 65, "name": "state", "newValue": "NC", "oldValue": None}],
    "attributes": [{"name": "Reason", "value": "x"}, {"name": "Source", "value": "Marketo Flow Action"}],
}
AT = datetime(2026, 3, 1, 10, 5, tzinfo=UTC)


def client(server: Server) -> MarketoClient:
    policy = RetryPolicy(attempts=2, jitter=lambda: 0.0)
    return MarketoClient(MARKETO, transport=server, budget=NullBudget(), clock=FakeClock(), retry=policy)


def changes(*pages: Any) -> list[FeedPage]:
    return list(client(playing(*pages)).lead_changes("T0", ["state", "email"]))


def rows(pages: list[FeedPage]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pa.concat_tables([page.rows for page in pages]).to_pylist()
    return found


def test_a_changed_value_and_a_new_person_are_one_row_each() -> None:
    pages = changes(good([NEW, CHANGED], nextPageToken="T1", moreResult=False))
    assert pages[0].rows.schema == CHANGES
    assert rows(pages)[1] == {
        "guid": "9003", "person_id": 501, "at": AT, "type_id": 13, "field": "state", "old": None, "new": "NC",
        "source": "Marketo Flow Action", "request_id": None,
    }  # fmt: skip
    new = rows(pages)[0]
    assert (new["type_id"], new["field"], new["source"]) == (12, None, "Web service API")
    assert new["request_id"] == "31d0#18c2d41b222"


def test_several_fields_of_one_activity_are_several_rows() -> None:
    both = {**CHANGED, "fields": [{"name": "a", "newValue": "1"}, {"name": "b", "oldValue": "2"}]}
    found = rows(changes(good([both], nextPageToken="T1", moreResult=False)))
    assert [(row["field"], row["old"], row["new"]) for row in found] == [("a", None, "1"), ("b", "2", None)]


def test_values_that_are_no_texts_are_spelled_like_the_feed_spells_them() -> None:
    typed = {**CHANGED, "fields": [{"name": "a", "newValue": True, "oldValue": 10}]}
    (row,) = rows(changes(good([typed], nextPageToken="T1", moreResult=False)))
    assert (row["new"], row["old"]) == ("True", "10")


def test_empty_pages_with_more_and_pages_without_result_are_passed_through_to_the_end() -> None:
    pages = changes(
        good([NEW], nextPageToken="T1", moreResult=True),
        good(nextPageToken="T2", moreResult=True),
        good([], nextPageToken="T3", moreResult=True),
        good([CHANGED], nextPageToken="T4", moreResult=False),
    )
    assert [page.next_token for page in pages] == ["T1", "T2", "T3", "T4"]
    assert [row["guid"] for row in rows(pages)] == ["9002", "9003"]


def test_repeated_rows_come_once() -> None:
    pages = changes(
        good([NEW, NEW], nextPageToken="T1", moreResult=True),
        good([NEW, CHANGED], nextPageToken="T2", moreResult=False),
    )
    assert [row["guid"] for row in rows(pages)] == ["9002", "9003"]


def test_each_page_is_asked_for_with_the_token_before_it_and_the_fields() -> None:
    server = playing(good(nextPageToken="T1====", moreResult=True), good(nextPageToken="T2", moreResult=False))
    list(client(server).lead_changes("T0", ["state", "email"]))
    assert [query(request)["nextPageToken"] for request in server.requests] == ["T0", "T1===="]
    assert query(server.requests[0])["fields"] == "state,email"


@pytest.mark.parametrize("code", ["1001", "1003"])
def test_a_rejected_token_asks_for_a_full_read(code: str) -> None:
    with pytest.raises(ReadAgain) as caught:
        changes(refused(code, "Invalid value for nextPageToken"))
    assert caught.value.stream == "marketo.leadchanges"


def test_a_field_that_does_not_exist_is_no_matter_of_the_token() -> None:
    with pytest.raises(FixConfiguration, match="map"):
        changes(refused("1006", "Field 'state' not found"))


def test_a_feed_that_leads_in_a_circle_is_stopped() -> None:
    page = good(nextPageToken="T1", moreResult=True)
    with pytest.raises(AnswerMalformed, match="already read"):
        changes(page, page)


@pytest.mark.parametrize(
    "broken",
    [
        {k: v for k, v in CHANGED.items() if k not in {"marketoGUID", "id"}},
        {**CHANGED, "leadId": "x"},
        {**CHANGED, "leadId": 10**30},
        {**CHANGED, "activityDate": "yesterday"},
        {**CHANGED, "activityTypeId": 2**40},
        {**CHANGED, "fields": {"name": "a"}},
        "text",
        None,
    ],
)
def test_a_row_that_cannot_be_read_spoils_the_page(broken: object) -> None:
    with pytest.raises(AnswerMalformed):
        changes(good([broken], nextPageToken="T1", moreResult=False))


def test_a_page_without_token_is_malformed_because_the_next_run_would_not_know_where_to_start() -> None:
    with pytest.raises(AnswerMalformed, match="nextPageToken"):
        changes(good([NEW], moreResult=False))


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-03-01T10:05:00Z", AT),
        ("2026-03-01T10:05:00+0000", AT),
        ("2026-03-01T02:05:00-08:00", AT),
        ("2026-03-01T10:05:00.750Z", AT),
        ("2026-03-01 10:05:00", AT),
    ],
)
def test_times_of_every_recorded_spelling_are_utc_seconds(text: str, at: datetime) -> None:
    (row,) = rows(changes(good([{**CHANGED, "activityDate": text}], nextPageToken="T1", moreResult=False)))
    assert row["at"] == at


def test_an_activity_without_guid_is_known_by_its_id() -> None:
    old = {k: v for k, v in CHANGED.items() if k != "marketoGUID"}
    assert rows(changes(good([old], nextPageToken="T1", moreResult=False)))[0]["guid"] == "9003"


def test_activities_bring_their_primary_attribute_and_attributes_as_json() -> None:
    merge = {
        "marketoGUID": "m1", "leadId": 7, "activityDate": "2026-03-01T10:05:00Z", "activityTypeId": 32,
        "primaryAttributeValueId": 7, "primaryAttributeValue": "Ada A",
        "attributes": [{"name": "Merge IDs", "value": [8, 9]}, {"name": "Master Updated", "value": True}],
    }  # fmt: skip
    server = playing(good([merge], nextPageToken="T1", moreResult=False))
    (page,) = client(server).activities("T0", [32, 13], lead_ids=[7])
    (row,) = page.rows.to_pylist()
    assert page.rows.schema == ACTIVITIES
    assert (row["primary_id"], row["primary"], row["person_id"]) == (7, "Ada A", 7)
    assert json.loads(row["attributes"]) == {"Merge IDs": [8, 9], "Master Updated": True}
    assert server.requests[0].path == "/rest/v1/activities.json"
    assert query(server.requests[0])["activityTypeIds"] == "32,13"


@pytest.mark.parametrize(("types", "persons"), [([], []), (list(range(11)), []), ([12], list(range(31)))])
def test_limits_of_the_activity_feed_are_kept_before_calling(types: list[int], persons: list[int]) -> None:
    server = playing()
    with pytest.raises(ValueError, match="at most 30"):
        list(client(server).activities("T0", types, persons))
    assert server.requests == []


def test_deleted_persons_are_read_from_their_own_feed() -> None:
    gone = {**NEW, "activityTypeId": 37, "primaryAttributeValueId": 501, "primaryAttributeValue": "Max Test"}
    server = playing(good([gone], nextPageToken="T1", moreResult=False))
    (page,) = client(server).deleted_leads("T0")
    assert page.rows["person_id"].to_pylist() == [501]
    assert server.requests[0].path == "/rest/v1/activities/deletedleads.json"


def test_a_paging_token_is_asked_for_in_utc_seconds() -> None:
    server = playing(good(nextPageToken="GIYDA===="))
    assert client(server).paging_token(AT) == "GIYDA===="
    assert query(server.requests[0]) == {"sinceDatetime": "2026-03-01T10:05:00Z"}


def test_a_missing_paging_token_is_malformed() -> None:
    with pytest.raises(AnswerMalformed):
        client(playing(answer(200, {"success": True}))).paging_token(AT)
