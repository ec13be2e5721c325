"""One logical call: token, budget, HTTP attempts, and what may be repeated after which failure.

The rule for repeating a write (P4, DECISIONS 22): a refusal that the vendor documents as "not executed" may always be
repeated (601, 602, 606, 607, 615, 429, and the full queues 1016, 1019, 1020, 1029). An unknown outcome may be repeated
only as far as `Repeat` says, and is otherwise handed on as `ConnectionBroken(maybe_committed=True)`: the caller looks
before it sends again. Which call may be repeated, and why, is the table in `writes`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final, Protocol, TypeVar

from include.leadsync.clients.budget import Budget
from include.leadsync.clients.retry import Attempts, RetryPolicy
from include.leadsync.clients.transport import MAX_BODY, HttpRequest, HttpResponse, Transport
from include.leadsync.clients.vendor_codes import NotNow
from include.leadsync.clients.writes import Repeat
from include.leadsync.clock import Clock
from include.leadsync.errors import (
    AccessRefused,
    AnswerMalformed,
    ConnectionBroken,
    RetryLater,
    ServiceUnavailable,
    StateUnavailable,
    Throttled,
    redact,
)
from include.leadsync.logs import about, logger
from include.leadsync.model import System

log = logger("leadsync.http")

PENALTY: Final = 20.0
"""Seconds nobody calls when the service throttles without saying for how long (Marketo's window, §11)."""

_REQUEST_ID = re.compile(rb'"requestId"\s*:\s*"([0-9A-Za-z#-]{1,64})"')
_PLAIN = re.compile(r"[0-9A-Za-z-]{1,64}")

T = TypeVar("T")


class TokenRejected(Exception):
    """The service does not accept the token (601, 602, 401); caught by `Exchange`."""

    def __init__(self, code: str, message: str) -> None:
        self.code, self.message = code, redact(message)
        super().__init__(code, self.message)


class GatewayFailed(ServiceUnavailable):
    """A 5xx without an answer of the application behind it, which may still be at work."""


class WriteAnswerMalformed(AnswerMalformed):
    """The answer to a write cannot be read; the write may have happened."""

    maybe_committed = True


class Tokens(Protocol):
    """Where bearer tokens come from."""

    def bearer(self, attempts: Attempts) -> str:
        """A token that is valid now; fetched within the bound of `attempts`."""
        ...

    def discard(self, token: str) -> None:
        """Forget `token` if it is still the current one."""
        ...


@dataclass(frozen=True, slots=True)
class Call:
    """A request and what may be done with it.

    `rows` counts towards the entitlement (dataverse-api §12.2). `slow`: the service may take the request's whole time
    limit, so the bound over all attempts is no shorter than that.
    """

    request: HttpRequest
    repeat: Repeat
    rows: int = 1
    slow: bool = False


class Exchange:
    """Sends calls of one system until they are answered or the bound is reached."""

    def __init__(
        self,
        system: System,
        tokens: Tokens,
        *,
        transport: Transport,
        budget: Budget,
        clock: Clock,
        retry: RetryPolicy,
    ) -> None:
        self.system, self.clock = system, clock
        self._tokens, self._transport, self._budget, self._retry = tokens, transport, budget, retry

    def run(self, call: Call, read: Callable[[HttpResponse], T]) -> T:
        """Send until `read` accepts an answer.

        `read` raises `TokenRejected`, `Throttled`, `ServiceUnavailable` or `GatewayFailed` for answers that may be
        worth another attempt, `AnswerMalformed` for what cannot be read (a read is then asked again, once), and
        anything else for those that are final.

        Raises:
            RetryLater: the last failure, when attempts or time are used up, or our own budget is.
            ConnectionBroken: with `maybe_committed` if any attempt of a write had an unknown outcome.
            AccessRefused: the service rejects a fresh token too.
            WriteAnswerMalformed: the answer to a write cannot be read.
        """
        progress = _Progress(call.repeat)
        try:
            return self._until_answered(call, read, progress)
        except RetryLater as error:
            if progress.uncertain:
                where = f"{self.system} {call.request.method} {call.request.path}"
                raise ConnectionBroken(
                    f"{where}: the write may have happened; last failure: {error}",
                    maybe_committed=True,
                    after=error.after,
                ) from error
            if isinstance(error, ConnectionBroken) and error.maybe_committed:  # a read commits nothing
                raise ConnectionBroken(str(error), maybe_committed=False, after=error.after) from error
            raise
        except AnswerMalformed as error:
            if call.repeat is Repeat.READ:
                raise
            raise WriteAnswerMalformed(error.system, error.what, error.excerpt) from error

    def penalise(self, after: float | None) -> None:
        """Pass a complaint of the service on to everybody who calls it; an answer at hand matters more."""
        with suppress(StateUnavailable):
            self._budget.penalise(self.system, PENALTY if after is None else after)

    def _until_answered(self, call: Call, read: Callable[[HttpResponse], T], progress: _Progress) -> T:
        attempts = self._retry.start(self.clock, call.request.timeout if call.slow else 0.0)
        while True:
            token = self._tokens.bearer(attempts)
            failure: RetryLater
            try:
                response = self._send(call, token, attempts)
            except ConnectionBroken as error:
                failure = error
            else:
                try:
                    return read(response)
                except TokenRejected as error:
                    self._renew(token, error, progress)
                    continue
                except Throttled as error:
                    self.penalise(error.after)
                    failure = error
                except ServiceUnavailable as error:
                    failure = error
                except AnswerMalformed:
                    if not progress.may_ask_again():
                        raise
                    continue
            if not progress.may_repeat(failure):
                raise failure
            attempts.pause(failure)

    def _renew(self, token: str, error: TokenRejected, progress: _Progress) -> None:
        self._tokens.discard(token)
        if progress.renewed:
            raise AccessRefused(
                self.system,
                error.code,
                error.message,
                "A fresh token is refused too; check that the API user is enabled and belongs to this host",
            ) from error
        progress.renewed = True

    def _send(self, call: Call, token: str, attempts: Attempts) -> HttpResponse:
        request = call.request
        with self._budget.call(self.system, rows=call.rows, within=attempts.remaining):
            left = attempts.remaining
            if left <= 0:
                raise Throttled(f"waiting for leave to call {self.system} took all the time there was")
            request = replace(
                request,
                headers={**request.headers, "Authorization": f"Bearer {token}"},
                timeout=min(request.timeout, left),
            )
            return send_logged(self.system, self._transport, request, self.clock)


class _Progress:
    """What is known of one logical call so far."""

    def __init__(self, repeat: Repeat) -> None:
        self._repeat = repeat
        self.uncertain = False
        self.renewed = False
        self._asked_again = False

    def may_repeat(self, failure: RetryLater) -> bool:
        """Whether another attempt is safe; remembers if this one may have written."""
        if isinstance(failure, Throttled | NotNow) or self._repeat is Repeat.READ:
            return True
        if isinstance(failure, ConnectionBroken) and not failure.maybe_committed:
            return True
        self.uncertain = True
        if self._repeat is Repeat.ANSWERED:
            return isinstance(failure, ServiceUnavailable) and not isinstance(failure, GatewayFailed)
        return self._repeat is Repeat.ALWAYS

    def may_ask_again(self) -> bool:
        """Whether an answer that cannot be read is asked for again: that of a read is, once; gateways spoil some."""
        first, self._asked_again = not self._asked_again, True
        return first and self._repeat is Repeat.READ


def send_logged(system: System, transport: Transport, request: HttpRequest, clock: Clock) -> HttpResponse:
    """One HTTP attempt with its log line: ids and figures, never a query, header or body (P10)."""
    started = clock.monotonic()
    try:
        response = transport.send(request)
    except RetryLater as error:
        log.warning("%s %s %s: no answer: %s", system, request.method, request.path, error)
        raise
    took = (clock.monotonic() - started) * 1000
    call = request_id(response)
    with about(call=None if call == "-" else call):
        log.info(
            "%s %s %s: %d in %.0f ms, %d bytes, request %s",
            system,
            request.method,
            request.path,
            response.status,
            took,
            len(response.body),
            call,
        )
    if len(response.body) > MAX_BODY:
        raise AnswerMalformed(system, f"more than {MAX_BODY} bytes", "")
    return response


def request_id(response: HttpResponse) -> str:
    """The service's own id of the call, which its support asks for; "-" if there is none."""
    header = response.headers.get("x-ms-service-request-id", "")
    if _PLAIN.fullmatch(header):
        return header
    found = _REQUEST_ID.search(response.body, 0, 512)
    return found[1].decode() if found else "-"
