"""What is repeated after which failure, who is told, and what is logged."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from include.leadsync.clients.exchange import (
    Call,
    Exchange,
    GatewayFailed,
    TokenRejected,
    WriteAnswerMalformed,
)
from include.leadsync.clients.retry import RetryPolicy
from include.leadsync.clients.tokens import MarketoTokens
from include.leadsync.clients.transport import HttpRequest, HttpResponse
from include.leadsync.clients.writes import Repeat
from include.leadsync.clock import FakeClock
from include.leadsync.errors import (
    AccessRefused,
    AnswerMalformed,
    ConnectionBroken,
    LeadSyncError,
    RetryLater,
    ServiceUnavailable,
    Throttled,
)
from include.leadsync.model import System
from tests.clients.servers import MARKETO, Server, answer, playing

GOOD, BUSY, GATEWAY, THROTTLED, EXPIRED, GARBAGE = (answer(200 + n) for n in range(6))
SENT = ConnectionBroken("dropped", maybe_committed=True)
UNSENT = ConnectionBroken("refused", maybe_committed=False)


def read(response: HttpResponse) -> str:
    """Stands for a client's reading of an answer."""
    errors: dict[int, Exception] = {
        BUSY.status: ServiceUnavailable("604"),
        GATEWAY.status: GatewayFailed("502"),
        THROTTLED.status: Throttled("606", after=20.0),
        EXPIRED.status: TokenRejected("602", "expired"),
        GARBAGE.status: AnswerMalformed("marketo", "garbage", ""),
    }
    if response.status in errors:
        raise errors[response.status]
    return "done"


class Ledger:
    """A budget that remembers, and can refuse or delay."""

    def __init__(self, clock: FakeClock, *, delay: float = 0.0, refuse: bool = False) -> None:
        self.clock, self.delay, self.refuse = clock, delay, refuse
        self.calls: list[tuple[System, int, float | None]] = []
        self.penalties: list[float] = []
        self.held = 0

    @contextmanager
    def call(self, system: System, rows: int = 1, *, within: float | None = None) -> Iterator[None]:
        if self.refuse:
            raise Throttled("our own share is used up", after=5.0)
        self.calls.append((system, rows, within))
        self.clock.sleep(self.delay)
        self.held += 1
        try:
            yield
        finally:
            self.held -= 1

    def penalise(self, system: System, seconds: float) -> None:
        self.penalties.append(seconds)


def run(
    server: Server, repeat: Repeat, *, clock: FakeClock | None = None, budget: Ledger | None = None, rows: int = 1
) -> str:
    clock = clock or FakeClock()
    exchange = Exchange(
        System.MARKETO,
        MarketoTokens(MARKETO, transport=server, clock=clock),
        transport=server,
        budget=budget or Ledger(clock),
        clock=clock,
        retry=RetryPolicy(attempts=4, total=100.0, jitter=lambda: 0.5),
    )
    request = HttpRequest("POST", f"{MARKETO.host}/rest/v1/leads.json?secret=query", {}, b"body", timeout=60.0)
    return exchange.run(Call(request, repeat, rows), read)


@pytest.mark.parametrize("trouble", [BUSY, GATEWAY, THROTTLED, EXPIRED, SENT, UNSENT])
def test_reads_are_repeated_after_anything_that_may_pass(trouble: HttpResponse | Exception) -> None:
    assert run(playing(trouble, GOOD), Repeat.READ) == "done"


@pytest.mark.parametrize("repeat", [Repeat.ALWAYS, Repeat.ANSWERED, Repeat.NEVER])
@pytest.mark.parametrize("refusal", [THROTTLED, EXPIRED, UNSENT])
def test_writes_that_surely_did_not_happen_are_repeated(repeat: Repeat, refusal: HttpResponse | Exception) -> None:
    assert run(playing(refusal, GOOD), repeat) == "done"


@pytest.mark.parametrize(
    ("repeat", "trouble", "repeated"),
    [
        (Repeat.ALWAYS, BUSY, True),
        (Repeat.ALWAYS, GATEWAY, True),
        (Repeat.ALWAYS, SENT, True),
        (Repeat.ANSWERED, BUSY, True),
        (Repeat.ANSWERED, GATEWAY, False),
        (Repeat.ANSWERED, SENT, False),
        (Repeat.NEVER, BUSY, False),
        (Repeat.NEVER, GATEWAY, False),
        (Repeat.NEVER, SENT, False),
    ],
)
def test_a_write_with_unknown_outcome_is_repeated_only_as_far_as_that_is_safe(
    repeat: Repeat, trouble: HttpResponse | Exception, repeated: bool
) -> None:
    server = playing(trouble, GOOD)
    if repeated:
        assert run(server, repeat) == "done"
    else:
        with pytest.raises(ConnectionBroken) as caught:
            run(server, repeat)
        assert caught.value.maybe_committed
        assert len(server.requests) == 1


def test_an_uncertain_attempt_is_remembered_when_a_later_one_fails_harmlessly() -> None:
    server = playing(SENT, UNSENT, UNSENT, UNSENT)
    with pytest.raises(ConnectionBroken) as caught:
        run(server, Repeat.ALWAYS)
    assert caught.value.maybe_committed


@pytest.mark.parametrize("trouble", [SENT, UNSENT])
def test_a_broken_read_commits_nothing(trouble: Exception) -> None:
    with pytest.raises(ConnectionBroken) as caught:
        run(Server(lambda _: trouble), Repeat.READ)
    assert not caught.value.maybe_committed


def test_an_unreadable_answer_to_a_write_says_that_it_may_have_happened() -> None:
    with pytest.raises(WriteAnswerMalformed) as caught:
        run(playing(GARBAGE), Repeat.ALWAYS)
    assert caught.value.maybe_committed
    with pytest.raises(AnswerMalformed) as read_error:
        run(playing(GARBAGE, GARBAGE), Repeat.READ)
    assert not isinstance(read_error.value, WriteAnswerMalformed)


def test_an_unreadable_answer_to_a_read_is_asked_for_once_more() -> None:
    assert run(playing(GARBAGE, GOOD), Repeat.READ) == "done"
    assert run(playing(GARBAGE, EXPIRED, GOOD), Repeat.READ) == "done"
    with pytest.raises(AnswerMalformed):
        run(playing(GARBAGE, EXPIRED, GARBAGE), Repeat.READ)


def test_a_rejected_token_is_renewed_once_and_the_call_repeated_with_the_new_one() -> None:
    server = playing(EXPIRED, GOOD)
    assert run(server, Repeat.NEVER) == "done"
    assert [request.headers["Authorization"] for request in server.requests] == ["Bearer token-1", "Bearer token-2"]


def test_a_fresh_token_that_is_rejected_too_is_a_matter_of_access() -> None:
    server = playing(EXPIRED, EXPIRED)
    with pytest.raises(AccessRefused, match="602"):
        run(server, Repeat.READ)
    assert len(server.logins) == 2


def test_throttling_is_passed_on_to_everybody_and_waited_for() -> None:
    clock = FakeClock()
    budget = Ledger(clock)
    run(playing(THROTTLED, GOOD), Repeat.READ, clock=clock, budget=budget)
    assert budget.penalties == [20.0]
    assert sum(clock.slept) >= 20.0


def test_our_own_empty_budget_ends_the_call_without_a_request_or_a_penalty() -> None:
    clock, server = FakeClock(), playing()
    budget = Ledger(clock, refuse=True)
    with pytest.raises(Throttled, match="our own"):
        run(server, Repeat.READ, clock=clock, budget=budget)
    assert (server.requests, budget.penalties) == ([], [])


def test_every_attempt_asks_the_budget_with_its_rows_and_gives_the_slot_back() -> None:
    clock = FakeClock()
    budget = Ledger(clock)
    run(playing(BUSY, GOOD), Repeat.READ, clock=clock, budget=budget, rows=7)
    assert [(system, rows) for system, rows, _ in budget.calls] == [(System.MARKETO, 7)] * 2
    assert budget.held == 0


def test_identity_calls_ask_no_budget() -> None:
    clock, server = FakeClock(), playing(GOOD)
    budget = Ledger(clock)
    run(server, Repeat.READ, clock=clock, budget=budget)
    assert (len(server.logins), len(budget.calls)) == (1, 1)


def test_waiting_for_the_budget_counts_towards_the_bound() -> None:
    clock, server = FakeClock(), playing()
    with pytest.raises(Throttled, match="all the time"):
        run(server, Repeat.READ, clock=clock, budget=Ledger(clock, delay=100.0))
    assert server.requests == []


def test_no_call_may_take_longer_than_what_is_left() -> None:
    clock, server = FakeClock(), playing(GOOD)
    run(server, Repeat.READ, clock=clock, budget=Ledger(clock, delay=70.0))
    assert server.requests[0].timeout == pytest.approx(30.0)


def test_all_calls_and_waits_together_stay_within_the_bound() -> None:
    clock = FakeClock()

    def slow(request: HttpRequest) -> HttpResponse:
        clock.advance(min(30.0, request.timeout))
        return BUSY

    with pytest.raises(RetryLater):
        run(Server(slow), Repeat.READ, clock=clock)
    assert clock.monotonic() <= 100.0


def test_a_body_beyond_the_cap_is_malformed_whatever_the_transport(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("include.leadsync.clients.exchange.MAX_BODY", 10)
    with pytest.raises(AnswerMalformed, match="10 bytes"):
        run(playing(answer(200, b"x" * 11)), Repeat.READ)


def test_a_log_line_per_call_has_ids_and_figures_but_no_query_header_body_or_token(
    caplog: pytest.LogCaptureFixture,
) -> None:
    first = answer(200, {"requestId": "9f1c#18c2d41a7e0", "result": ["ada@example.test"]})
    second = answer(200, b"", {"x-ms-service-request-id": "11111111-2222-3333-4444-555555555555"})
    forged = answer(200, b"", {"x-ms-service-request-id": "a\nINFO forged line"})
    with caplog.at_level(logging.INFO, logger="leadsync.http"):
        for each in (first, second, forged):
            run(playing(each), Repeat.READ)
        with pytest.raises(LeadSyncError):
            run(playing(SENT), Repeat.NEVER)
    lines = [record.getMessage() for record in caplog.records if "leads.json" in record.getMessage()]
    assert len(lines) == 4
    assert "9f1c#18c2d41a7e0" in lines[0]
    assert "11111111-2222-3333-4444-555555555555" in lines[1]
    everything = caplog.text
    for secret in ("token-1", "s3cr3t-value", "secret=query", "ada@example.test", "forged"):
        assert secret not in everything
