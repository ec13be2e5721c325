"""Marketo's envelope: what each kind of answer becomes."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfoNotFoundError

import pytest

from include.leadsync.clients.budget import NullBudget
from include.leadsync.clients.marketo import MarketoClient
from include.leadsync.clients.marketo_session import until_midnight_central
from include.leadsync.clients.retry import RetryPolicy
from include.leadsync.clients.transport import HttpResponse
from include.leadsync.clock import FakeClock
from include.leadsync.errors import (
    AccessRefused,
    AnswerMalformed,
    ConnectionBroken,
    FixConfiguration,
    LeadSyncError,
    NameUnknown,
    RowFailed,
    ServiceUnavailable,
    Throttled,
)
from tests.clients.servers import MARKETO, Server, answer, good, playing, query, refused

POLICY = RetryPolicy(attempts=3, total=100.0, jitter=lambda: 0.5)
DONE = good([{"date": "2026-03-01", "total": 12, "users": []}])


def client(server: Server, clock: FakeClock | None = None) -> MarketoClient:
    return MarketoClient(MARKETO, transport=server, budget=NullBudget(), clock=clock or FakeClock(), retry=POLICY)


@pytest.mark.parametrize("code", ["500", "502", "604", "608", "611", "614", "713", "719", 611])
def test_passing_codes_of_a_read_are_repeated(code: str | int) -> None:
    assert client(playing(refused(code), DONE)).usage() == 12


@pytest.mark.parametrize("code", ["606", "615"])
def test_throttling_codes_are_waited_out(code: str) -> None:
    clock = FakeClock()
    assert client(playing(refused(code), DONE), clock).usage() == 12
    assert sum(clock.slept) >= 2.0


@pytest.mark.parametrize("code", ["600", "601", "602"])
def test_token_codes_renew_the_token_once(code: str) -> None:
    server = playing(refused(code), DONE)
    assert client(server).usage() == 12
    assert len(server.logins) == 2


def test_http_statuses_that_marketo_does_not_document_are_understood_all_the_same() -> None:
    clock = FakeClock()
    server = playing(answer(401, b"<html>"), answer(429, b"", {"Retry-After": "4"}), DONE)
    assert client(server, clock).usage() == 12
    assert (len(server.logins), clock.slept) == (2, [4.25])


def test_midnight_without_time_zone_data_is_six_in_the_morning(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ZoneInfoNotFoundError(name)

    monkeypatch.setattr("include.leadsync.clients.marketo_session.ZoneInfo", missing)
    assert until_midnight_central(datetime(2026, 7, 15, 5, tzinfo=UTC)) == 3600
    assert until_midnight_central(datetime(2026, 7, 15, 7, tzinfo=UTC)) == 23 * 3600


def test_the_daily_quota_names_midnight_central_and_is_not_waited_for() -> None:
    clock = FakeClock(datetime(2026, 3, 1, 10, tzinfo=UTC))
    with pytest.raises(Throttled) as caught:
        client(playing(refused("607", "Daily quota reached")), clock).usage()
    assert (caught.value.after, clock.slept) == (20 * 3600.0, [])


@pytest.mark.parametrize(
    ("now", "hours"),
    [
        (datetime(2026, 1, 15, 5, 59, 59, tzinfo=UTC), 1 / 3600),
        (datetime(2026, 1, 15, 6, tzinfo=UTC), 24),
        (datetime(2026, 7, 15, 5, tzinfo=UTC), 24),
        (datetime(2026, 3, 8, 6, tzinfo=UTC), 23),  # the day that clocks go forward
        (datetime(2026, 11, 1, 5, tzinfo=UTC), 25),
    ],
)
def test_midnight_central_follows_daylight_saving(now: datetime, hours: float) -> None:
    assert until_midnight_central(now) == pytest.approx(hours * 3600)


@pytest.mark.parametrize(
    ("response", "error", "says"),
    [
        (refused("603", "Access denied"), AccessRefused, "permissions"),
        (refused("1006", "Field 'x' not found"), NameUnknown, "map"),
        (refused("1011", "Field 'x' not supported"), NameUnknown, "searched"),
        (refused("1035", "Unsupported filter type"), AccessRefused, "createdAt"),
        (refused("609", "Invalid JSON"), FixConfiguration, "report"),
        (refused("1003", "filterValues not specified"), RowFailed, "filterValues"),
        (refused("4711", "something new"), RowFailed, "something new"),
        (answer(404, b"not here"), RowFailed, "404"),
        (answer(302, b"", {"Location": "https://elsewhere.example"}), FixConfiguration, "host"),
        (answer(403, b""), AccessRefused, "403"),
    ],
)
def test_final_refusals_say_what_to_do(response: HttpResponse, error: type[LeadSyncError], says: str) -> None:
    with pytest.raises(error, match=says) as caught:
        client(playing(response)).usage()
    assert type(caught.value) is error


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_gateway_page_in_html_is_unavailability_not_garbage(status: int) -> None:
    page = answer(status, b"<html><h1>Bad Gateway</h1></html>", {"Content-Type": "text/html"})
    assert client(playing(page, DONE)).usage() == 12
    with pytest.raises(ServiceUnavailable, match=str(status)):
        client(Server(lambda _: page)).usage()


@pytest.mark.parametrize(
    "body",
    [
        b"<html>login</html>",
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"success":false}',
        b'{"success":false,"errors":[]}',
        b'{"success":"yes","result":[]}',
        b'{"success":true,"result":{"total":1}}',
        b'{"success":true,"result":[{"total":"many"}]}',
        b'{"success":true,"result":[',
        b'{"success":true,"result":[]} trailing',
    ],
)
def test_an_answer_of_another_shape_is_malformed(body: bytes) -> None:
    with pytest.raises(AnswerMalformed, match="marketo"):
        client(playing(*[answer(200, body)] * 2)).usage()


def test_a_read_whose_address_would_be_too_long_is_sent_as_a_form() -> None:
    server = playing(good([]))
    values = [f"person-{number:04d}-{'x' * 30}@example.test" for number in range(300)]
    client(server).persons("email", values, {"email": "text"})
    (request,) = server.requests
    assert (request.method, query(request)) == ("POST", {"_method": "GET"})
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert len(request.url) < 8192
    assert b"person-0299" in (request.body or b"")


def test_an_unreachable_host_ends_with_its_name() -> None:
    gone = ConnectionBroken("no-such.example cannot be reached", maybe_committed=False)
    with pytest.raises(ConnectionBroken, match=r"no-such\.example"):
        client(Server(lambda _: gone)).usage()
