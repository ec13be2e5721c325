"""One token per client, renewed in time, and no secret in any text."""

from __future__ import annotations

from urllib.parse import parse_qs

import pytest

from include.leadsync.clients.retry import RetryPolicy
from include.leadsync.clients.tokens import ClientCredentials, DynamicsTokens, MarketoTokens
from include.leadsync.clients.transport import HttpRequest, HttpResponse
from include.leadsync.clock import FakeClock
from include.leadsync.errors import AccessRefused, AnswerMalformed, ConnectionBroken, ServiceUnavailable
from include.leadsync.model import Connection
from tests.clients.servers import DYNAMICS, MARKETO, answer

POLICY = RetryPolicy(attempts=3, total=60.0, jitter=lambda: 0.5)


class TokenServer:
    """Gives its answers in turn, the last one for ever."""

    def __init__(self, *answers: HttpResponse | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[HttpRequest] = []

    def send(self, request: HttpRequest) -> HttpResponse:
        self.requests.append(request)
        given = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(given, Exception):
            raise given
        return given


def token(text: str = "abc", expires_in: object = 3599) -> HttpResponse:
    return answer(200, {"access_token": text, "token_type": "bearer", "expires_in": expires_in})


def bearer(tokens: ClientCredentials, clock: FakeClock) -> str:
    return tokens.bearer(POLICY.start(clock))


def test_a_token_is_kept_until_shortly_before_it_ends() -> None:
    clock, server = FakeClock(), TokenServer(token("one"), token("two"))
    tokens = MarketoTokens(MARKETO, transport=server, clock=clock)
    assert [bearer(tokens, clock), bearer(tokens, clock)] == ["one", "one"]
    clock.advance(3599 - 59)
    assert bearer(tokens, clock) == "two"


def test_a_clock_that_jumps_does_not_age_a_token() -> None:
    clock, server = FakeClock(), TokenServer(token("one"), token("two"))
    tokens = MarketoTokens(MARKETO, transport=server, clock=clock)
    bearer(tokens, clock)
    clock.jump(clock.now().replace(year=2031))
    assert bearer(tokens, clock) == "one"


@pytest.mark.parametrize("left", [0, 2, "30", 59.5])
def test_a_token_with_seconds_left_is_used_and_asked_for_again(left: object) -> None:
    clock, server = FakeClock(), TokenServer(token("old", left), token("new"))
    tokens = MarketoTokens(MARKETO, transport=server, clock=clock)
    assert bearer(tokens, clock) == "old"
    clock.advance(31)
    assert bearer(tokens, clock) == "new"


def test_only_the_current_token_is_discarded() -> None:
    clock, server = FakeClock(), TokenServer(token("one"), token("two"), token("three"))
    tokens = MarketoTokens(MARKETO, transport=server, clock=clock)
    bearer(tokens, clock)
    tokens.discard("one")
    bearer(tokens, clock)
    tokens.discard("one")  # another thread still held the old one
    assert bearer(tokens, clock) == "two"


def test_marketo_gets_its_secret_in_a_form_not_in_the_address() -> None:
    clock, server = FakeClock(), TokenServer(token())
    bearer(MarketoTokens(MARKETO, transport=server, clock=clock), clock)
    (request,) = server.requests
    assert (request.method, request.url) == ("POST", f"{MARKETO.host}/identity/oauth/token")
    assert parse_qs((request.body or b"").decode()) == {
        "grant_type": ["client_credentials"],
        "client_id": ["client"],
        "client_secret": ["s3cr3t-value"],
    }


def test_dynamics_asks_the_tenant_for_the_organisation_default_scope() -> None:
    clock, server = FakeClock(), TokenServer(token(expires_in="3599"))
    bearer(DynamicsTokens(DYNAMICS, transport=server, clock=clock), clock)
    (request,) = server.requests
    assert request.url == "https://login.microsoftonline.com/tenant-1/oauth2/v2.0/token"
    assert parse_qs((request.body or b"").decode())["scope"] == ["https://org.crm.example/.default"]


def test_dynamics_honours_its_authority_and_quotes_the_tenant() -> None:
    clock, server = FakeClock(), TokenServer(token())
    connection = Connection("https://o.example/", "c", "s", tenant_id="a/../b", authority="http://127.0.0.1:8802/")
    bearer(DynamicsTokens(connection, transport=server, clock=clock), clock)
    assert server.requests[0].url == "http://127.0.0.1:8802/a%2F..%2Fb/oauth2/v2.0/token"
    assert b"scope=https%3A%2F%2Fo.example%2F.default" in (server.requests[0].body or b"")


def test_a_missing_tenant_is_named_before_anything_is_sent() -> None:
    server = TokenServer(token())
    tokens = DynamicsTokens(Connection("https://o.example", "c", "s"), transport=server, clock=FakeClock())
    with pytest.raises(AccessRefused, match="tenant_id"):
        bearer(tokens, FakeClock())
    assert server.requests == []


def test_a_wrong_marketo_secret_is_refused_with_a_remedy_and_without_the_secret() -> None:
    refusal = answer(401, {"error": "invalid_client", "error_description": "Bad client credentials s3cr3t-value"})
    tokens = MarketoTokens(MARKETO, transport=TokenServer(refusal), clock=FakeClock())
    with pytest.raises(AccessRefused, match=r"invalid_client.*LaunchPoint") as caught:
        bearer(tokens, FakeClock())
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "number", "remedy"),
    [(401, 7000215, "secret"), (401, 7000222, "expired"), (400, 700016, "client id"), (400, 90002, "tenant")],
)
def test_entra_error_numbers_say_what_to_check(status: int, number: int, remedy: str) -> None:
    body = {"error": "invalid_client", "error_description": f"AADSTS{number}: no.\r\nTrace ID: 3f"}
    tokens = DynamicsTokens(DYNAMICS, transport=TokenServer(answer(status, body)), clock=FakeClock())
    with pytest.raises(AccessRefused, match=remedy) as caught:
        bearer(tokens, FakeClock())
    assert caught.value.code == f"AADSTS{number}"


@pytest.mark.parametrize(
    "trouble",
    [
        answer(503, b"<html>busy</html>"),
        answer(429, b"", {"Retry-After": "3"}),
        answer(400, {"error": "temporarily_unavailable", "error_description": "AADSTS90033: transient"}),
        ConnectionBroken("dropped", maybe_committed=True),
    ],
)
def test_passing_trouble_at_the_token_endpoint_is_waited_out(trouble: HttpResponse | Exception) -> None:
    clock = FakeClock()
    tokens = DynamicsTokens(DYNAMICS, transport=TokenServer(trouble, token("late")), clock=clock)
    assert bearer(tokens, clock) == "late"
    assert clock.slept


def test_lasting_trouble_ends_within_the_bound() -> None:
    tokens = DynamicsTokens(DYNAMICS, transport=TokenServer(answer(503)), clock=FakeClock())
    with pytest.raises(ServiceUnavailable):
        bearer(tokens, FakeClock())


@pytest.mark.parametrize(
    "body",
    [
        b"<html>login</html>",
        b"{}",
        b'{"access_token":5,"expires_in":1}',
        b'{"access_token":"","expires_in":1}',
        b'{"access_token":"abc\\r\\nX: y","expires_in":1}',
        b'{"access_token":"abc-secret","expires_in":"soon"}',
        b'{"access_token":"abc-secret","expires_in":',
        b"[" * 200_000,
    ],
)
def test_an_answer_without_a_usable_token_shows_nothing_of_it(body: bytes) -> None:
    tokens = MarketoTokens(MARKETO, transport=TokenServer(answer(200, body)), clock=FakeClock())
    with pytest.raises(AnswerMalformed) as caught:
        bearer(tokens, FakeClock())
    assert "abc" not in str(caught.value)
