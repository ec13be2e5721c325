"""Marketo's fields and activity types: read, made sure of, never made twice."""

from __future__ import annotations

import json
from typing import Any

import pytest

from include.leadsync.clients.budget import NullBudget
from include.leadsync.clients.marketo import ActivityType, MarketoClient
from include.leadsync.clients.retry import RetryPolicy
from include.leadsync.clients.transport import HttpRequest, HttpResponse
from include.leadsync.clock import FakeClock
from include.leadsync.errors import AccessRefused, AnswerMalformed, ConnectionBroken, RowFailed
from include.leadsync.model import MarketoField
from tests.clients.servers import MARKETO, Server, good, playing, query, refused

DEFINITION: dict[str, Any] = {
    "apiName": "leadSyncOutcome",
    "name": "Lead Sync Outcome",
    "triggerName": "Lead Sync Reports",
    "filterName": "Lead Sync Reported",
    "primaryAttribute": {"apiName": "operation", "name": "Operation"},
    "attributes": [
        {"apiName": "code", "name": "Code", "dataType": "string"},
        {"apiName": "value", "name": "Value", "dataType": "text"},
    ],
}


def client(server: Server) -> MarketoClient:
    policy = RetryPolicy(attempts=2, jitter=lambda: 0.0)
    return MarketoClient(MARKETO, transport=server, budget=NullBudget(), clock=FakeClock(), retry=policy)


class Types:
    """Plays the activity type endpoints; a type has an id once it is approved."""

    def __init__(self, status: str | None = None, attributes: tuple[str, ...] = ()) -> None:
        self.status = status
        self.attributes = [{"apiName": name} for name in attributes]
        self.written: list[str] = []

    def __call__(self, request: HttpRequest) -> HttpResponse:
        body = json.loads(request.body or b"{}")
        name = request.path.removeprefix("/rest/v1/activities/external/").removesuffix(".json")
        if request.method == "POST":
            self.written.append(name)
        if name == "types":
            listed = {"id": 100001, "apiName": "leadSyncOutcome", "name": "Lead Sync Outcome", "status": self.status}
            return good([listed] if self.status else [])
        if name == "type":
            assert "attributes" not in body
            self.status = "draft"
        elif name.endswith("attributes/create"):
            self.attributes += body["attributes"]
            self.status = "approved with draft" if self.status == "approved" else self.status
        elif name.endswith("approve"):
            self.status = "approved"
        elif name.endswith("describe"):
            assert query(request) == ({} if self.status == "approved" else {"draft": "true"})
        return good([{"apiName": "leadSyncOutcome", "status": self.status, "attributes": self.attributes}])


@pytest.mark.parametrize(
    ("types", "written"),
    [
        (Types(), ["type", "type/leadSyncOutcome/attributes/create", "type/leadSyncOutcome/approve"]),
        (Types("draft"), ["type/leadSyncOutcome/attributes/create", "type/leadSyncOutcome/approve"]),
        (Types("draft", ("code", "value")), ["type/leadSyncOutcome/approve"]),
        (Types("approved", ("code",)), ["type/leadSyncOutcome/attributes/create", "type/leadSyncOutcome/approve"]),
        (Types("approved with draft", ("code", "value")), ["type/leadSyncOutcome/approve"]),
        (Types("approved", ("code", "value", "more")), []),
    ],
    ids=["nothing", "empty draft", "full draft", "attribute missing", "changed draft", "all there"],
)
def test_an_activity_type_is_completed_from_wherever_a_broken_run_left_it(types: Types, written: list[str]) -> None:
    made = client(Server(types)).create_activity_type(DEFINITION)
    assert made == ActivityType(100001, "Lead Sync Outcome", "leadSyncOutcome", "approved", None, ("code", "value"))
    assert types.written == written
    assert {each["apiName"] for each in types.attributes} >= {"code", "value"}


def test_an_instance_whose_activity_types_are_used_up_says_so() -> None:
    with pytest.raises(AccessRefused, match="10 custom activity types"):
        client(playing(good([]), refused("1027"))).create_activity_type(DEFINITION)


def test_a_refusal_inside_a_good_envelope_is_no_success() -> None:
    skipped = good([{"status": "skipped", "errors": [{"code": "1003", "message": "bad name"}]}])
    with pytest.raises(RowFailed, match="bad name"):
        client(playing(good([]), skipped)).create_activity_type(DEFINITION)


def test_a_type_that_is_approved_but_not_listed_is_malformed() -> None:
    with pytest.raises(AnswerMalformed):
        client(Server(lambda _: good([]))).create_activity_type(DEFINITION)


def test_activity_types_tell_custom_ones_by_their_api_name() -> None:
    every = [
        {"id": 13, "name": "Change Data Value", "primaryAttribute": {"name": "Attribute Name"},
         "attributes": [{"name": "New Value"}]},
        {"id": 100001, "name": "Lead Sync Outcome", "attributes": [{"name": "Code"}]},
    ]  # fmt: skip
    custom = [
        {"id": 100001, "apiName": "leadSyncOutcome", "name": "Lead Sync Outcome", "status": "approved"},
        {"id": 100002, "apiName": "draftOnly", "name": "Draft", "status": "draft"},
    ]
    found = client(playing(good(every), good(custom))).activity_types()
    assert [(each.id, each.api_name, each.status) for each in found] == [
        (13, None, None),
        (100001, "leadSyncOutcome", "approved"),
        (100002, "draftOnly", "draft"),
    ]
    assert (found[0].primary, found[0].attributes) == ("Attribute Name", ("New Value",))


def test_described_fields_are_those_that_rest_knows_with_the_searchable_marked() -> None:
    described = [
        {"id": 56, "displayName": "Email Address", "dataType": "email", "length": 255,
         "rest": {"name": "email", "readOnly": False}},
        {"id": 131, "displayName": "Updated At", "dataType": "datetime",
         "rest": {"name": "updatedAt", "readOnly": True}},
        {"id": 7, "displayName": "Old", "dataType": "string", "soap": {"name": "Old", "readOnly": False}},
    ]  # fmt: skip
    second = [{"name": "API Lead", "searchableFields": [["email"], ["id"]], "fields": []}]
    assert client(playing(good(described), good(second))).describe() == [
        MarketoField(56, "email", "Email Address", "email", 255, read_only=False, searchable=True),
        MarketoField(131, "updatedAt", "Updated At", "datetime", None, read_only=True, searchable=False),
    ]


def test_fields_are_created_with_a_result_each() -> None:
    result = [
        {"name": "microsoftId", "status": "created"},
        {"status": "skipped", "reasons": [{"code": "1017", "message": "Object already exists"}]},
    ]
    made = client(playing(good(result))).create_fields([{"name": "microsoftId"}, {"name": "microsoftType"}])
    assert [(each.ok, each.id, each.code) for each in made] == [(True, "microsoftId", None), (False, None, "1017")]
    assert client(playing()).create_fields([]) == []


def test_custom_activities_have_results_in_order_with_errors_of_their_own() -> None:
    result = [
        {"id": 50, "marketoGUID": "50", "status": "added"},
        {"status": "skipped", "errors": [{"code": "1004", "message": "Lead not found"}]},
    ]
    first, second = client(playing(good(result))).add_activities([{"leadId": 1}, {"leadId": 2}])
    assert (first.ok, first.id) == (True, 50)
    assert (second.ok, second.code) == (False, "1004")
    assert client(playing()).add_activities([]) == []


@pytest.mark.parametrize(
    "trouble", [refused("604"), refused("611"), refused("713"), ConnectionBroken("x", maybe_committed=True)]
)
def test_custom_activities_are_never_sent_again_after_an_unknown_outcome(trouble: HttpResponse | Exception) -> None:
    server = playing(trouble)
    with pytest.raises(ConnectionBroken) as caught:
        client(server).add_activities([{"leadId": 1}])
    assert caught.value.maybe_committed
    assert len(server.requests) == 1


def test_more_custom_activities_than_a_call_may_have_are_not_sent() -> None:
    with pytest.raises(ValueError, match="300"):
        client(playing()).add_activities([{"leadId": 1}] * 301)
