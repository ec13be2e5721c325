"""Reading Dynamics: whole pages, links that stay at home, tokens that die."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest

from include.leadsync.clients.budget import NullBudget
from include.leadsync.clients.dynamics import DynamicsClient, TrackedPage
from include.leadsync.clients.retry import RetryPolicy
from include.leadsync.clients.transport import HttpRequest, HttpResponse
from include.leadsync.clock import FakeClock
from include.leadsync.errors import (
    AccessRefused,
    AnswerMalformed,
    FixConfiguration,
    LeadSyncError,
    NameUnknown,
    ReadAgain,
    RetryLater,
    RowFailed,
    ServiceUnavailable,
    Throttled,
)
from include.leadsync.model import Entity
from tests.clients.servers import DYNAMICS, Server, answer, odata_error, playing, query

BASE = f"{DYNAMICS.host}/api/data/v9.2"
ADA, BO = "11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-22222222222b"
COLUMNS: dict[str, Any] = {"lastname": "text", "revenue": "number"}
FORMATTED = "OData.Community.Display.V1.FormattedValue"
DELTA = f"{BASE}/leads?$select=leadid,lastname,revenue&$deltatoken=919042%2108%2f22%2f2017"


def client(server: Server) -> DynamicsClient:
    policy = RetryPolicy(attempts=3, total=100.0, jitter=lambda: 0.0)
    return DynamicsClient(DYNAMICS, transport=server, budget=NullBudget(), clock=FakeClock(), retry=policy)


def row(key: str, **values: object) -> dict[str, object]:
    return {"@odata.etag": 'W/"501097"', "leadid": key, **values}


def gone(key: str, reason: str = "deleted") -> dict[str, object]:
    return {"@odata.context": f"{BASE}/$metadata#leads/$deletedEntity", "id": key, "reason": reason}


def page(*rows: object, **links: str) -> HttpResponse:
    return answer(200, {"value": list(rows), **{f"@odata.{name}": link for name, link in links.items()}})


def track(server: Server, link: str | None = DELTA, columns: dict[str, Any] | None = None) -> list[TrackedPage]:
    return list(client(server).track(Entity.LEAD, columns or COLUMNS, link))


def test_every_request_carries_the_documented_headers() -> None:
    server = playing(page())
    client(server).rows(Entity.LEAD, [ADA], COLUMNS)
    headers = server.requests[0].headers
    assert headers["Authorization"] == "Bearer token-1"
    assert {headers[name] for name in ("OData-Version", "OData-MaxVersion")} == {"4.0"}
    assert (headers["Accept"], headers["If-None-Match"]) == ("application/json", "null")


def test_rows_come_with_key_etag_and_typed_columns() -> None:
    found = page(row(ADA.upper(), lastname="Ax", revenue=10000.0), row(BO, lastname=None))
    table = client(playing(found)).rows(Entity.LEAD, [ADA, BO], COLUMNS)
    assert table.to_pylist() == [
        {"id": ADA, "etag": 'W/"501097"', "lastname": "Ax", "revenue": Decimal(10000)},
        {"id": BO, "etag": 'W/"501097"', "lastname": None, "revenue": None},
    ]


def test_names_of_lookups_come_beside_them_and_are_asked_for_only_then() -> None:
    owned = row(ADA, _ownerid_value=BO.upper(), **{f"_ownerid_value@{FORMATTED}": "Ann Ax"})
    server = playing(page(owned), page())
    (found,) = client(server).rows(Entity.LEAD, [ADA], {"_ownerid_value": "text"}).to_pylist()
    client(server).rows(Entity.LEAD, [ADA], COLUMNS)
    assert (found["_ownerid_value"], found["_ownerid_value@name"]) == (BO, "Ann Ax")
    assert FORMATTED in server.requests[0].headers["Prefer"]
    assert "annotations" not in server.requests[1].headers["Prefer"]


def test_ids_are_asked_for_once_each_in_lower_case_and_what_is_no_guid_not_at_all() -> None:
    server = playing(page())
    client(server).rows(Entity.LEAD, [ADA.upper(), ADA, "{" + BO + "}", "x' or 1 eq 1", ""], COLUMNS)
    one_of = f'Microsoft.Dynamics.CRM.In(PropertyName=\'leadid\',PropertyValues=["{ADA}","{BO}"])'
    assert query(server.requests[0])["$filter"] == one_of


def test_the_key_may_be_named_among_the_columns() -> None:
    server = playing(page(row(ADA)))
    table = client(server).rows(Entity.LEAD, [ADA], {"leadid": "text", "lastname": "text"})
    assert table.column_names == ["id", "etag", "lastname"]
    assert query(server.requests[0])["$select"] == "leadid,lastname"


def test_nothing_to_ask_makes_no_call() -> None:
    server = playing()
    assert client(server).rows(Entity.CONTACT, ["nonsense"], COLUMNS).num_rows == 0
    assert server.requests == []


def test_many_ids_are_asked_for_in_parts_and_a_repeated_row_comes_once() -> None:
    ids = [f"00000000-0000-0000-0000-{number:012d}" for number in range(250)]

    def handler(request: HttpRequest) -> HttpResponse:
        asked = re.findall(r"[0-9a-f-]{36}", query(request)["$filter"])
        return page(*(row(key) for key in asked), row(asked[0]))

    server = Server(handler)
    table = client(server).rows(Entity.LEAD, ids, COLUMNS)
    assert sorted(table["id"].to_pylist()) == ids
    assert len(server.requests) == 3


@pytest.mark.parametrize("refusal", [odata_error(413, "0x8004418A"), answer(414, b"")])
def test_a_request_that_is_too_large_is_asked_in_halves(refusal: HttpResponse) -> None:
    ids = [f"00000000-0000-0000-0000-{number:012d}" for number in range(40)]

    def handler(request: HttpRequest) -> HttpResponse:
        asked = re.findall(r"[0-9a-f-]{36}", query(request)["$filter"])
        return refusal if len(asked) > 10 else page(*(row(key) for key in asked))

    assert sorted(client(Server(handler)).rows(Entity.LEAD, ids, COLUMNS)["id"].to_pylist()) == ids


def test_emails_are_quoted_and_those_no_row_can_hold_left_out() -> None:
    server = playing(page())
    client(server).rows_by_email(Entity.CONTACT, ["o'neil@example.test", "a@b.test\nX", "", "o'neil@example.test"], {})
    assert query(server.requests[0])["$filter"] == "emailaddress1 eq 'o''neil@example.test'"


def test_a_filter_is_encoded_and_its_pages_followed_though_they_are_short() -> None:
    link = f"{BASE}/leads?$skiptoken=%3Ccookie%20pagenumber=%222%22%20/%3E"
    server = playing(page(row(ADA), nextLink=link), page(row(BO)))
    tables = list(client(server).rows_where(Entity.LEAD, "statecode eq 0 and lastname eq 'A&B'", COLUMNS))
    assert [table["id"].to_pylist() for table in tables] == [[ADA], [BO]]
    assert query(server.requests[0])["$filter"] == "statecode eq 0 and lastname eq 'A&B'"
    assert server.requests[1].url == link
    assert server.requests[1].headers["Prefer"] == server.requests[0].headers["Prefer"]


@pytest.mark.parametrize(
    "link",
    [
        "https://evil.example/api/data/v9.2/leads?$skiptoken=x",
        "http://org.crm.example/api/data/v9.2/leads?$skiptoken=x",
        "https://org.crm.example:8443/api/data/v9.2/leads?$skiptoken=x",
        "https://org.crm.example@evil.example/api/data/v9.2/leads",
        "https://user@org.crm.example/api/data/v9.2/leads",
        "https://org.crm.example/other/path",
        "/api/data/v9.2/leads",
        "https://[",
    ],
)
def test_a_link_that_leads_away_from_our_host_is_not_followed(link: str) -> None:
    server = playing(page(row(ADA), nextLink=link))
    with pytest.raises(AnswerMalformed, match="another host"):
        list(client(server).rows_where(Entity.LEAD, "x", COLUMNS))
    with pytest.raises(AnswerMalformed, match="another host"):
        track(playing(page(deltaLink=link)))
    with pytest.raises(ReadAgain, match="another organisation"):
        track(playing(), link)


def test_a_port_that_goes_without_saying_is_the_same_host() -> None:
    link = DELTA.replace("crm.example", "CRM.example:443")
    (only,) = track(playing(page(deltaLink=link)), link)
    assert only.delta_link == link


def test_paging_in_a_circle_is_stopped() -> None:
    link = f"{BASE}/leads?$skiptoken=1"
    with pytest.raises(AnswerMalformed, match="already read"):
        list(client(playing(page(nextLink=link), page(nextLink=link))).rows_where(Entity.LEAD, "x", COLUMNS))


def test_a_first_tracked_read_is_fresh_and_gives_its_link_with_the_last_page() -> None:
    link = f"{BASE}/leads?$skiptoken=2"
    server = playing(page(row(ADA), nextLink=link), page(row(BO), deltaLink=DELTA))
    first, last = track(server, None)
    assert (first.delta_link, last.delta_link) == (None, DELTA)
    assert first.fresh
    assert last.fresh
    assert [p.rows["id"].to_pylist() for p in (first, last)] == [[ADA], [BO]]
    for request in server.requests:
        assert "odata.track-changes" in request.headers["Prefer"]
        assert "odata.maxpagesize=5000" in request.headers["Prefer"]
    assert query(server.requests[0]) == {"$select": "leadid,lastname,revenue"}


def test_changes_are_told_from_deletions() -> None:
    (only,) = track(playing(page(row(ADA, lastname="Ax"), gone(BO.upper()), deltaLink=DELTA)))
    assert only.rows.to_pylist() == [{"id": ADA, "etag": 'W/"501097"', "lastname": "Ax", "revenue": None}]
    assert (only.deleted, only.fresh) == ([BO], False)


def test_nothing_new_is_an_empty_page_with_a_new_link() -> None:
    (only,) = track(playing(page(deltaLink=DELTA)))
    assert (only.rows.num_rows, only.deleted, only.delta_link) == (0, [], DELTA)
    assert only.rows.column_names == ["id", "etag", "lastname", "revenue"]


def test_the_stored_link_is_used_as_it_is() -> None:
    server = playing(page(deltaLink=DELTA))
    track(server)
    assert server.requests[0].url == DELTA


@pytest.mark.parametrize(
    "refusal",
    [
        odata_error(400, "0x80044352", "Version stamp associated with the client has expired."),
        odata_error(410, ""),
        answer(410, b"<html>gone</html>"),
        odata_error(404, "0x80044352"),
        odata_error(400, "", "The token is garbage"),
        odata_error(400, "0x0", "The token is garbage"),
        odata_error(400, "0x80060888", "The delta token is not valid."),
    ],
)
def test_a_token_that_is_no_good_any_more_asks_for_a_full_read(refusal: HttpResponse) -> None:
    with pytest.raises(ReadAgain) as caught:
        track(playing(refusal))
    assert caught.value.stream == "dynamics.lead"


@pytest.mark.parametrize("refusal", [odata_error(400, "0x80044352"), odata_error(410, ""), answer(410, b"<html>")])
def test_a_full_read_that_expires_on_its_way_is_begun_again_by_the_next_run(refusal: HttpResponse) -> None:
    link = f"{BASE}/leads?$skiptoken=2"
    with pytest.raises(RetryLater, match="next run"):
        track(playing(page(row(ADA), nextLink=link), refusal), None)
    with pytest.raises(ReadAgain):
        track(playing(page(row(ADA), nextLink=link), refusal))


def test_a_link_made_for_fewer_columns_is_not_used_because_the_others_would_look_cleared() -> None:
    with pytest.raises(ReadAgain, match="fewer columns"):
        track(playing(), DELTA, {**COLUMNS, "jobtitle": "text"})


@pytest.mark.parametrize("link", [f"{BASE}/leads?$deltatoken=919042%21", f"{BASE}/leads?%24select=revenue,lastname,x"])
def test_a_link_with_all_columns_or_without_a_selection_is_used(link: str) -> None:
    assert len(track(playing(page(deltaLink=DELTA)), link)) == 1


@pytest.mark.parametrize(
    ("response", "says"),
    [
        (page(row(ADA)), "Switch on change tracking"),
        (odata_error(400, "0x80072491", "Entity lead is not enabled"), "Switch on change tracking"),
        (odata_error(403, "0x80040220", "missing prvReadLead"), "organisation-level"),
    ],
)
def test_missing_change_tracking_or_rights_are_named(response: HttpResponse, says: str) -> None:
    with pytest.raises(AccessRefused, match=says):
        track(playing(response), None)
    with pytest.raises(AccessRefused, match=says):
        track(playing(response))


@pytest.mark.parametrize(
    "entry",
    [
        {"lastname": "no key"},
        gone("not-a-guid"),
        gone(ADA, "changed"),
        {"@odata.context": "x", "reason": "deleted"},
        {"leadid": 5},
        None,
    ],
)
def test_an_entry_that_is_neither_row_nor_deletion_spoils_the_page(entry: object) -> None:
    with pytest.raises(AnswerMalformed):
        track(playing(page(entry, deltaLink=DELTA)))


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"value":null}', b'{"value":{}}', b'{"value":[{]}'])
def test_a_body_of_another_shape_is_malformed(body: bytes) -> None:
    with pytest.raises(AnswerMalformed, match="dynamics"):
        client(playing(*[answer(200, body)] * 2)).rows(Entity.LEAD, [ADA], COLUMNS)


@pytest.mark.parametrize(
    ("response", "error", "says"),
    [
        (odata_error(404, "0x80060888", "Resource not found for the segment 'leads'."), NameUnknown, "segment"),
        (odata_error(400, "0x80060888", "Could not find a property named 'x'"), NameUnknown, "field map"),
        (odata_error(400, "", "There is an unterminated literal"), FixConfiguration, "unterminated"),
        (odata_error(403, "0x80072560", "The user is not a member"), AccessRefused, "application user"),
        (answer(403, b"<html>forbidden</html>"), AccessRefused, "403"),
        (answer(404, b"not found"), RowFailed, "404"),
        (answer(302, b""), FixConfiguration, "302"),
    ],
)
def test_final_refusals_say_what_to_do(response: HttpResponse, error: type[LeadSyncError], says: str) -> None:
    with pytest.raises(error, match=says) as caught:
        client(playing(response)).rows(Entity.LEAD, [ADA], COLUMNS)
    assert type(caught.value) is error


@pytest.mark.parametrize("body", [b"", b"<html>Unauthorized</html>", b'{"error":{"code":"0x8004A101","message":"x"}}'])
def test_a_401_with_any_body_renews_the_token_once(body: bytes) -> None:
    server = playing(answer(401, body), page())
    client(server).rows(Entity.LEAD, [ADA], COLUMNS)
    assert [request.headers["Authorization"] for request in server.requests] == ["Bearer token-1", "Bearer token-2"]
    with pytest.raises(AccessRefused):
        client(playing(answer(401, body), answer(401, body))).rows(Entity.LEAD, [ADA], COLUMNS)


@pytest.mark.parametrize(
    "trouble",
    [
        odata_error(429, "0x80072322", "Number of requests exceeded", Retry_After="7"),
        odata_error(503, "", "unavailable", Retry_After="7"),
    ],
)
def test_a_retry_after_is_kept(trouble: HttpResponse) -> None:
    clock = FakeClock()
    policy = RetryPolicy(jitter=lambda: 0.0)
    server = playing(trouble, page())
    made = DynamicsClient(DYNAMICS, transport=server, budget=NullBudget(), clock=clock, retry=policy)
    made.rows(Entity.LEAD, [ADA], COLUMNS)
    assert clock.slept == [7.0]


@pytest.mark.parametrize(
    ("trouble", "error"),
    [
        (answer(502, b"<html>"), ServiceUnavailable),
        (odata_error(500, "0x80044151", "SQL timeout expired."), ServiceUnavailable),
        (odata_error(429, "0x80072321", "Combined execution time", Retry_After="3600"), Throttled),
    ],
)
def test_lasting_trouble_is_handed_on_as_such(trouble: HttpResponse, error: type[LeadSyncError]) -> None:
    with pytest.raises(error):
        client(Server(lambda _: trouble)).rows(Entity.LEAD, [ADA], COLUMNS)


def test_addresses_stay_below_the_limit_of_32_kilobytes() -> None:
    server = Server(lambda _: page())
    emails = [f"{'x' * 64}-{number}@{'y' * 60}.example.test" for number in range(120)]
    columns: dict[str, Any] = {f"column_with_a_long_name_{number}": "text" for number in range(60)}
    client(server).rows_by_email(Entity.LEAD, emails, columns)
    assert max(len(request.url) for request in server.requests) < 32_000
    assert quote(emails[-1]) in server.requests[-1].url
