"""Answers that no documentation promises: each is read rightly or refused clearly, and none makes memory grow."""

from __future__ import annotations

import gzip
import json
import logging
import tracemalloc
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest

from include.leadsync.clients import marketo_feeds
from include.leadsync.clients.budget import NullBudget
from include.leadsync.clients.dynamics import DynamicsClient, RowWrite
from include.leadsync.clients.marketo import MarketoClient
from include.leadsync.clients.retry import RetryPolicy
from include.leadsync.clients.transport import HttpRequest, HttpResponse, RequestsTransport
from include.leadsync.clock import FakeClock
from include.leadsync.errors import AnswerMalformed, ConnectionBroken, FixConfiguration, LeadSyncError, RowFailed
from include.leadsync.model import Entity
from tests.clients.servers import DYNAMICS, MARKETO, Server, answer, good, odata_error, playing

KEY = "11111111-1111-4111-8111-111111111111"
EMAIL = "ada@example.test"
PEOPLE = good([{"id": 501, "email": EMAIL}]).body
ROWS = answer(200, {"value": [{"@odata.etag": 'W/"1"', "leadid": KEY, "lastname": "Ax"}]}).body


def marketo(server: Server) -> MarketoClient:
    return MarketoClient(
        MARKETO, transport=server, budget=NullBudget(), clock=FakeClock(), retry=RetryPolicy(attempts=2)
    )


def dynamics(server: Server) -> DynamicsClient:
    return DynamicsClient(
        DYNAMICS, transport=server, budget=NullBudget(), clock=FakeClock(), retry=RetryPolicy(attempts=2)
    )


def people(*responses: HttpResponse) -> Any:
    return marketo(playing(*responses)).persons("email", [EMAIL], {"email": "text"}).to_pylist()


def leads(*responses: HttpResponse) -> Any:
    return dynamics(playing(*responses)).rows(Entity.LEAD, [KEY], {"lastname": "text"}).to_pylist()


def test_success_without_a_result_does_not_say_that_persons_are_gone() -> None:
    with pytest.raises(AnswerMalformed, match="without a result"):
        people(answer(200, {"requestId": "1#2", "success": True}))
    assert people(answer(200, {"requestId": "1#2", "success": True, "result": []})) == []


READS = [(people, PEOPLE), (leads, ROWS)]
Read = Callable[..., Any]


@pytest.mark.parametrize(("read", "body"), READS, ids=["marketo", "dynamics"])
@pytest.mark.parametrize(
    "spoil",
    [
        lambda _: b"<html><title>Sign in</title></html>",
        lambda _: b"",
        lambda body: body[:-3],
        lambda body: body.replace(b"A", b"\xc4").replace(b"ada", b"\xe4da"),  # another charset than it says
        lambda body: body.decode().encode("utf-16"),
        lambda body: gzip.compress(body)[:-20],
        lambda body: body.replace(b"[{", b"[NaN,{"),
        lambda body: body + body,
        lambda _: b"[]",
        lambda _: b'"text"',
        lambda _: b"[" * 100_000,
    ],
    ids=["page", "empty", "cut", "charset", "utf-16", "gzip", "nan", "twice", "list", "text", "deep"],
)
def test_a_body_that_is_no_answer_is_malformed_and_shows_nobodys_data(
    read: Read, body: bytes, spoil: Callable[[bytes], bytes]
) -> None:
    spoilt = answer(200, spoil(body))
    with pytest.raises(AnswerMalformed) as caught:
        read(spoilt, spoilt)
    assert "example.test" not in str(caught.value)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(("read", "body"), READS, ids=["marketo", "dynamics"])
def test_a_page_that_a_gateway_spoilt_is_asked_for_once_more(read: Read, body: bytes) -> None:
    for spoilt in (b"<html>busy</html>", body[: len(body) // 2], b""):
        assert read(answer(200, spoilt), answer(200, body)) == read(answer(200, body))


@pytest.mark.parametrize(("read", "body"), READS, ids=["marketo", "dynamics"])
@pytest.mark.parametrize(
    "dress",
    [
        lambda body: b"\xef\xbb\xbf" + body,
        lambda body: b" \r\n\t" + body + b"\n",
        lambda body: body.replace(b"{", b'{"brandNew":{"deep":[1,{"x":null}]},', 1),
        lambda body: body.replace(b'"id": 501', b'"id": "501"'),
        lambda body: body.replace(b'"id": 501', b'"id": 7, "id": 501'),
    ],
    ids=["bom", "blanks", "more", "quoted", "doubled"],
)
def test_what_differs_without_meaning_anything_is_read_all_the_same(
    read: Read, body: bytes, dress: Callable[[bytes], bytes]
) -> None:
    assert read(answer(200, dress(body))) == read(answer(200, body))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(("read", "body"), READS, ids=["marketo", "dynamics"])
def test_a_redirect_is_refused_and_nothing_goes_to_where_it_points(read: Read, body: bytes, status: int) -> None:
    with pytest.raises(FixConfiguration, match=f"HTTP {status}"):
        read(answer(status, b"", {"Location": "https://elsewhere.example/"}))


def test_an_unreadable_answer_to_a_write_may_have_happened() -> None:
    page = answer(200, b"<html>busy</html>")
    with pytest.raises(LeadSyncError) as caught:
        marketo(playing(page)).sync_persons([{"email": EMAIL}], action="createOrUpdate", lookup_field="email")
    assert getattr(caught.value, "maybe_committed", False)
    (result,) = dynamics(playing(page)).batch([RowWrite(Entity.LEAD, KEY, "update", {"lastname": "Ax"})])
    assert not result.answered


def test_ids_in_quotes_are_ids_in_feeds_and_results_too() -> None:
    (result,) = marketo(playing(good([{"id": "501", "status": "updated"}]))).sync_persons(
        [{"id": 501}], action="updateOnly", lookup_field="id"
    )
    assert (result.ok, result.id) == (True, 501)
    row = {"marketoGUID": 9, "leadId": "501", "activityDate": "2026-03-01T10:00:00Z", "activityTypeId": "37"}
    (page,) = marketo(playing(good([row], nextPageToken="t", moreResult=False))).deleted_leads("s")
    assert page.rows.select(["guid", "person_id", "type_id"]).to_pylist() == [
        {"guid": "9", "person_id": 501, "type_id": 37}
    ]


@pytest.mark.parametrize("code", ["0x80040216", "0x80040224"])
def test_an_unexpected_error_is_tried_again_after_500_and_not_after_400(code: str) -> None:  # O10
    assert dynamics(playing(odata_error(500, code), answer(200, ROWS))).rows(Entity.LEAD, [KEY], {}).num_rows == 1
    with pytest.raises(RowFailed):
        dynamics(playing(odata_error(400, code))).rows(Entity.LEAD, [KEY], {})


def endless(page: Callable[[int], HttpResponse]) -> Server:
    numbers = count()
    return Server(lambda _request: page(next(numbers)))


def test_a_feed_whose_token_does_not_move_is_stopped_at_once() -> None:
    server = endless(lambda _: good(nextPageToken="same", moreResult=True))
    with pytest.raises(AnswerMalformed, match="already read"):
        list(marketo(server).deleted_leads("same"))
    assert len(server.requests) == 1


def _feed_page(number: int, last: int) -> HttpResponse:
    rows = [
        {"marketoGUID": f"{number}-{row}", "leadId": row, "activityDate": "2026-03-01T10:00:00Z",
         "activityTypeId": 13, "fields": [{"name": "city", "newValue": "x" * 200, "oldValue": None}], "attributes": []}
        for row in range(40)
    ]  # fmt: skip
    return good(rows, nextPageToken=f"t{number}", moreResult=number < last)


def _row_page(number: int, last: int) -> HttpResponse:
    rows = [{"leadid": f"{number:08x}-1111-4111-8111-{row:012x}", "lastname": "x" * 200} for row in range(40)]
    link = {} if number == last else {"@odata.nextLink": f"{DYNAMICS.host}/api/data/v9.2/leads?$skiptoken={number}"}
    return answer(200, {"value": rows, **link})


def _peak(pages: Iterator[object]) -> int:
    tracemalloc.start()
    try:
        for _ in pages:
            pass
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("stream", ["feed", "rows"])
def test_memory_does_not_grow_with_the_number_of_pages(stream: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(marketo_feeds, "_REMEMBERED", 100)

    def read(last: int) -> Iterator[object]:
        if stream == "feed":
            return marketo(endless(lambda number: _feed_page(number, last))).lead_changes("t", ["city"])
        return dynamics(endless(lambda number: _row_page(number, last))).rows_where("lead", "x", {"lastname": "text"})

    _peak(read(5))  # caches fill
    short, long = _peak(read(20)), _peak(read(200))
    # What a page leaves behind: its number in the loop guard, and the request that the fake server keeps.
    assert (long - short) / 180 < 2_500


def test_the_http_librarys_own_log_shows_no_query(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    transport = RequestsTransport(connect_timeout=0.2)
    request = HttpRequest(
        "GET", f"http://127.0.0.1:1/rest/v1/leads.json?filterValues={EMAIL}", {"Authorization": "Bearer hidden"}
    )
    with pytest.raises(ConnectionBroken) as caught:
        transport.send(request)
    transport.close()
    error: BaseException | None = caught.value
    shown = [caplog.text, repr(request)]
    while error is not None:
        shown.append(repr(error))
        error = error.__cause__ or error.__context__
    assert not [text for text in shown if EMAIL in text or "hidden" in text]


def test_answers_whose_ids_repeat_or_go_backwards_belong_to_nobody() -> None:
    def batch(*ids: int) -> HttpResponse:
        part = "--b\r\nContent-Type: application/http\r\nContent-ID: {}\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n\r\n"
        body = "".join(part.format(number) for number in ids) + "--b--\r\n"
        return answer(200, body.encode(), {"Content-Type": "multipart/mixed; boundary=b"})

    writes = [RowWrite(Entity.LEAD, KEY, "update", {"lastname": "Ax"})] * 3
    answered = {ids: {each.answered for each in dynamics(playing(batch(*ids))).batch(writes)}
                for ids in ((1, 2, 3), (2, 1, 3), (1, 1, 3))}  # fmt: skip
    assert answered == {(1, 2, 3): {True}, (2, 1, 3): {False}, (1, 1, 3): {False}}


def test_a_part_without_any_header_is_an_answer_like_any_other() -> None:
    body = b"--b\n\nHTTP/1.1 204 No Content\n\n--b--\n"
    (result,) = dynamics(playing(answer(200, body, {"Content-Type": "multipart/mixed; boundary=b"}))).batch(
        [RowWrite(Entity.LEAD, KEY, "delete")]
    )
    assert (result.answered, result.status) == (True, 204)


def test_json_of_the_page_tests_is_what_they_think() -> None:
    assert json.loads(PEOPLE)["result"][0]["id"] == 501
    assert b'"id": 501' in PEOPLE
