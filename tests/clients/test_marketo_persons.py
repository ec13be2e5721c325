"""Persons and static lists: asked for within the limits, written without ever writing twice."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from include.leadsync.clients.budget import NullBudget
from include.leadsync.clients.exchange import WriteAnswerMalformed
from include.leadsync.clients.marketo import MarketoClient, RecordResult
from include.leadsync.clients.retry import RetryPolicy
from include.leadsync.clients.transport import HttpRequest, HttpResponse
from include.leadsync.clock import FakeClock
from include.leadsync.errors import AnswerMalformed, ConnectionBroken, RowFailed
from tests.clients.servers import MARKETO, Server, answer, good, playing, query, refused

SENT = ConnectionBroken("dropped", maybe_committed=True)
COLUMNS: dict[str, Any] = {"email": "text", "annualRevenue": "number", "unsubscribed": "boolean"}


def client(server: Server) -> MarketoClient:
    policy = RetryPolicy(attempts=3, jitter=lambda: 0.0)
    return MarketoClient(MARKETO, transport=server, budget=NullBudget(), clock=FakeClock(), retry=policy)


def person(number: int, **fields: object) -> dict[str, object]:
    return {"id": number, "email": f"p{number}@example.test", **fields}


def sent(request: HttpRequest) -> Any:
    return json.loads(request.body or b"null")


def test_any_number_of_values_is_asked_300_at_a_time_and_every_page_followed() -> None:
    def handler(request: HttpRequest) -> HttpResponse:
        asked = [int(value) for value in query(request)["filterValues"].split(",")]
        if query(request).get("nextPageToken"):
            return good([person(number) for number in asked[200:]])
        return good([person(number) for number in asked[:200]], nextPageToken=f"P{asked[0]}")

    server = Server(handler)
    table = client(server).persons("id", [str(number) for number in range(1, 701)], COLUMNS)
    assert sorted(table["id"].to_pylist()) == list(range(1, 701))
    assert [len(query(r)["filterValues"].split(",")) for r in server.requests] == [300, 300, 300, 300, 100, 100]


def test_columns_come_typed_with_id_first_and_missing_fields_null() -> None:
    table = client(playing(good([person(5, annualRevenue=34.66), {"id": 6}]))).persons("id", ["5", "6"], COLUMNS)
    assert table.column_names == ["id", "email", "annualRevenue", "unsubscribed"]
    assert table["annualRevenue"].to_pylist() == [Decimal("34.66"), None]
    assert table["unsubscribed"].to_pylist() == [None, None]


@pytest.mark.parametrize("values", [[], [""], ["a,b@example.test"], ["", "x,y"]])
def test_values_that_cannot_be_asked_for_find_nobody_without_a_call(values: list[str]) -> None:
    server = playing()
    assert client(server).persons("email", values, COLUMNS).num_rows == 0
    assert server.requests == []


def test_a_value_with_a_comma_does_not_spoil_its_neighbours() -> None:
    server = playing(good([person(1)]))
    client(server).persons("email", ["a,b@example.test", "p1@example.test", "p1@example.test"], COLUMNS)
    assert query(server.requests[0])["filterValues"] == "p1@example.test"


def test_several_persons_with_one_value_are_all_there_and_a_repeated_one_once() -> None:
    table = client(playing(good([person(1), person(2), person(1, email="later@example.test")]))).persons(
        "email", ["x@example.test"], COLUMNS
    )
    assert dict(zip(table["id"].to_pylist(), table["email"].to_pylist(), strict=True)) == {
        1: "later@example.test",
        2: "p2@example.test",
    }


def test_too_many_matches_are_asked_for_in_halves() -> None:
    def handler(request: HttpRequest) -> HttpResponse:
        asked = query(request)["filterValues"].split(",")
        if len(asked) > 2:
            return refused("1003", "Too many results match the filter")
        return good([person(int(each)) for each in asked])

    table = client(Server(handler)).persons("id", [str(number) for number in range(1, 11)], COLUMNS)
    assert sorted(table["id"].to_pylist()) == list(range(1, 11))


def test_one_value_with_too_many_matches_is_refused() -> None:
    with pytest.raises(RowFailed, match="1003"):
        client(playing(refused("1003", "Too many results match the filter"))).persons("email", ["x@y.test"], COLUMNS)


@pytest.mark.parametrize("row", [{"email": "x@example.test"}, {"id": None}])
def test_a_person_without_id_spoils_the_answer(row: dict[str, object]) -> None:
    with pytest.raises(AnswerMalformed):
        client(playing(good([row]))).persons("id", ["1"], COLUMNS)


def test_results_of_a_write_come_in_order_with_codes_of_the_refused() -> None:
    result = [
        {"id": 501, "status": "updated"},
        {"status": "skipped", "reasons": [{"code": "1003", "message": "Invalid value for field 'f' and value 'v'"}]},
        {"status": "skipped"},
    ]
    server = playing(good(result))
    records: list[dict[str, object]] = [
        {"id": 501, "annualRevenue": Decimal("34.660")},
        {"id": 502},
        {"id": 503, "email": None},
    ]
    answers = client(server).sync_persons(records, action="updateOnly", lookup_field="id")
    assert answers[0] == RecordResult(True, 501, "updated")
    assert (answers[1].ok, answers[1].code, answers[1].id) == (False, "1003", None)
    assert not answers[2].ok
    body = server.requests[0].body or b""
    assert b'"annualRevenue":34.660' in body
    assert b'"email":null' in body
    assert sent(server.requests[0])["lookupField"] == "id"


def test_a_creation_names_no_lookup_field() -> None:
    server = playing(good([{"id": 1, "status": "created"}]))
    client(server).sync_persons([{"email": "x@example.test"}], action="createOnly", lookup_field="email")
    assert "lookupField" not in sent(server.requests[0])


@pytest.mark.parametrize(
    ("action", "trouble", "attempts"),
    [
        ("updateOnly", SENT, 1),
        ("updateOnly", answer(502, b"<html>"), 1),
        ("updateOnly", refused("604"), 1),
        ("updateOnly", refused("606"), 2),
        ("createOrUpdate", refused("604"), 2),
        ("createOrUpdate", refused("608"), 2),
        ("createOrUpdate", refused("611"), 2),
        ("createOrUpdate", refused("713"), 2),
        ("createOrUpdate", refused("606"), 2),
        ("createOrUpdate", SENT, 1),
        ("createOrUpdate", answer(502, b"<html>"), 1),
        ("createOnly", SENT, 1),
        ("createOnly", refused("604"), 1),
        ("createOnly", refused("611"), 1),
        ("createOnly", refused("602"), 2),
        ("createOnly", refused("615"), 2),
    ],
)
def test_a_write_is_repeated_only_where_a_second_one_makes_no_second_person_and_runs_over_nobody(
    action: str, trouble: HttpResponse | Exception, attempts: int
) -> None:
    server = playing(trouble, good([{"id": 1, "status": "updated"}]))
    if attempts == 2:
        assert client(server).sync_persons([{"email": "x@y.test"}], action=action, lookup_field="email")[0].ok
    else:
        with pytest.raises(ConnectionBroken) as caught:
            client(server).sync_persons([{"email": "x@y.test"}], action=action, lookup_field="email")
        assert caught.value.maybe_committed
    assert len(server.requests) == attempts


@pytest.mark.parametrize("count", [0, 1, 3])
def test_more_or_fewer_results_than_records_may_have_been_committed_but_prove_nothing(count: int) -> None:
    server = playing(good([{"id": number, "status": "updated"} for number in range(count)]))
    with pytest.raises(WriteAnswerMalformed) as caught:
        client(server).sync_persons([{"id": 1}, {"id": 2}], action="updateOnly", lookup_field="id")
    assert caught.value.maybe_committed


def test_a_body_over_a_megabyte_is_sent_in_parts_with_results_in_order() -> None:
    def handler(request: HttpRequest) -> HttpResponse:
        assert len(request.body or b"") <= 1_000_000
        return good([{"id": each["id"], "status": "updated"} for each in sent(request)["input"]])

    records = [{"id": number, "notes": "x" * 100_000} for number in range(20)]
    results = client(Server(handler)).sync_persons(records, action="updateOnly", lookup_field="id")
    assert [result.id for result in results] == list(range(20))


def test_a_record_over_a_megabyte_is_refused_alone() -> None:
    server = Server(lambda _: good([{"id": 1, "status": "updated"}]))
    records: list[dict[str, object]] = [{"id": 1}, {"id": 2, "notes": "x" * 1_100_000}]
    first, second = client(server).sync_persons(records, action="updateOnly", lookup_field="id")
    assert (first.ok, second.ok, second.code) == (True, False, "413")


@pytest.mark.parametrize(("count", "action"), [(0, "updateOnly"), (301, "updateOnly"), (1, "upsert")])
def test_impossible_writes_are_not_sent(count: int, action: str) -> None:
    server = playing()
    with pytest.raises(ValueError, match="possible"):
        client(server).sync_persons([{"id": n} for n in range(count)], action=action, lookup_field="id")
    assert server.requests == []


def test_list_membership_and_deletion_are_sent_300_at_a_time_with_results_in_order() -> None:
    def handler(request: HttpRequest) -> HttpResponse:
        return good([{"id": each["id"], "status": request.method} for each in sent(request)["input"]])

    ids = list(range(1, 402))
    server = Server(handler)
    assert [result.id for result in client(server).remove_from_list(16, ids)] == ids
    assert [(r.method, r.path) for r in server.requests] == [("DELETE", "/rest/v1/lists/16/leads.json")] * 2
    assert {result.status for result in client(server).add_to_list(16, [1])} == {"POST"}
    assert [result.id for result in client(server).delete_persons(ids)] == ids
    assert server.requests[-1].path == "/rest/v1/leads/delete.json"


def test_who_is_not_on_a_list_is_reported_with_its_id() -> None:
    skipped = {"id": 502, "status": "skipped", "reasons": [{"code": "1015", "message": "Lead not in list"}]}
    (result,) = client(playing(good([skipped]))).remove_from_list(16, [502])
    assert (result.ok, result.id, result.code) == (False, 502, "1015")


def test_a_list_is_found_by_exactly_its_name() -> None:
    lists = [{"id": 9, "name": "To Microsoft"}, {"id": 4, "name": "To Microsoft"}, {"id": 1, "name": "to microsoft"}]
    assert client(playing(good(lists))).find_list("To Microsoft") == 4
    assert client(playing(good())).find_list("To Microsoft") is None


def test_members_are_paged_by_token_even_without_more_result() -> None:
    server = playing(good([person(1)], nextPageToken="P1"), good([person(2)], nextPageToken="P2"), good([]))
    tables = list(client(server).list_members(16, COLUMNS))
    assert [table["id"].to_pylist() for table in tables] == [[1], [2], []]


def test_paging_that_leads_in_a_circle_is_stopped() -> None:
    server = Server(lambda _: good([person(1)], nextPageToken="P1"))
    with pytest.raises(AnswerMalformed, match="already read"):
        list(client(server).list_members(16, COLUMNS))
