"""Marketo's envelope: sending, reading `success`, turning codes into errors (facts/marketo-api §1, §3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from include.leadsync.clients import vendor_codes
from include.leadsync.clients.budget import Budget
from include.leadsync.clients.decode import excerpt, read
from include.leadsync.clients.exchange import Call, Exchange, GatewayFailed, TokenRejected
from include.leadsync.clients.records import RecordResult
from include.leadsync.clients.retry import RetryPolicy, wait_asked
from include.leadsync.clients.tokens import MarketoTokens
from include.leadsync.clients.transport import HttpRequest, HttpResponse, Transport
from include.leadsync.clients.vendor_codes import Action
from include.leadsync.clients.writes import Repeat
from include.leadsync.clock import Clock
from include.leadsync.errors import AccessRefused, AnswerMalformed, FixConfiguration, ReadAgain, RowFailed, Throttled
from include.leadsync.model import Connection, System

PAGE: Final = 300
"""Records per call, everywhere (M35, M56)."""

_LONG_URI: Final = 7_500  # the limit is 8 KB (M13)
_SLOW: Final = 120.0  # what may take longer than this has a bound of its own
_RETRY: Final = RetryPolicy()
_REJECTED_CURSOR: Final = {"1001", "1003"}  # what a bad nextPageToken answers (facts/marketo-api §15)
_JSON: Final = msgspec.json.Encoder(decimal_format="number")

T = TypeVar("T")


class ErrorEntry(msgspec.Struct):
    """One entry of `errors` or `reasons`."""

    code: str | int = ""
    message: str = ""


_NO_RESULT: Final = msgspec.Raw(b"[]")


class Envelope(msgspec.Struct, rename="camel"):
    """One answer; `result` is still JSON. A missing `result` is an empty one (facts/marketo-api §8.2)."""

    success: bool | None = None
    result: msgspec.Raw = _NO_RESULT
    errors: list[ErrorEntry] | None = None
    next_page_token: str | None = None
    more_result: bool | None = None

    @property
    def has_result(self) -> bool:
        """Whether the answer had a `result` at all."""
        return self.result is not _NO_RESULT


class Outcome(msgspec.Struct):
    """One entry of `result` of a write."""

    status: str
    id: int | None = None
    name: str | None = None
    reasons: list[ErrorEntry] | None = None
    errors: list[ErrorEntry] | None = None


_envelope = msgspec.json.Decoder(Envelope, strict=False)  # digits in quotes are numbers
_outcomes = msgspec.json.Decoder(list[Outcome], strict=False)


class MarketoSession:
    """What all parts of the Marketo client stand on."""

    def __init__(
        self,
        connection: Connection,
        *,
        transport: Transport,
        budget: Budget,
        clock: Clock,
        retry: RetryPolicy = _RETRY,
    ) -> None:
        self._host = connection.host.rstrip("/")
        self._clock = clock
        tokens = MarketoTokens(connection, transport=transport, clock=clock)
        self._exchange = Exchange(System.MARKETO, tokens, transport=transport, budget=budget, clock=clock, retry=retry)

    def _read(
        self,
        path: str,
        parameters: Mapping[str, object] | None = None,
        *,
        cursor: str | None = None,
        timeout: float = 90.0,
    ) -> Envelope:
        """GET, or POST with `_method=GET` when the address would be too long (M13, M14).

        `cursor` names the stream whose paging token is among the parameters.

        Raises:
            ReadAgain: the service rejects that token.
            AccessRefused, FixConfiguration, RowFailed, RetryLater, AnswerMalformed: see `errors`.
        """
        query = urlencode({k: v for k, v in (parameters or {}).items() if v is not None}, quote_via=quote)
        url = f"{self._host}{path}?{query}" if query else f"{self._host}{path}"
        headers = {"Accept": "application/json"}
        if len(url) <= _LONG_URI:
            request = HttpRequest("GET", url, headers, timeout=timeout)
        else:
            form = headers | {"Content-Type": "application/x-www-form-urlencoded"}
            request = HttpRequest("POST", f"{self._host}{path}?_method=GET", form, query.encode(), timeout)
        call = Call(request, Repeat.READ, slow=timeout > _SLOW)
        return self._exchange.run(call, lambda response: self._open(response, cursor))

    def _write(
        self,
        path: str,
        body: Mapping[str, object] | None,
        read_answer: Callable[[Envelope], T],
        *,
        repeat: Repeat,
        method: str = "POST",
        timeout: float = 120.0,
    ) -> T:
        """Send JSON. `timeout` exceeds the service's own limits (90 s, marketo-api §12), so that it answers first."""
        return self._send(
            path, "application/json", b"" if body is None else encode(body), read_answer, repeat, method, timeout
        )

    def _write_form(
        self, path: str, form: Mapping[str, str], read_answer: Callable[[Envelope], T], repeat: Repeat
    ) -> T:
        """Send a form, as the asset API wants it."""
        kind = "application/x-www-form-urlencoded"
        return self._send(path, kind, urlencode(form).encode(), read_answer, repeat, "POST", 120.0)

    def _send(
        self,
        path: str,
        kind: str,
        content: bytes,
        read_answer: Callable[[Envelope], T],
        repeat: Repeat,
        method: str,
        timeout: float,
    ) -> T:
        headers = {"Accept": "application/json", "Content-Type": kind}
        request = HttpRequest(method, f"{self._host}{path}", headers, content, timeout)
        call = Call(request, repeat, slow=timeout > _SLOW)
        return self._exchange.run(call, lambda response: read_answer(self._open(response, None)))

    def _open(self, response: HttpResponse, cursor: str | None) -> Envelope:
        self._check_status(response)
        envelope = read(System.MARKETO, response.body, _envelope.decode)
        if envelope.success is True:
            return envelope
        if envelope.success is None or not envelope.errors:
            raise AnswerMalformed(System.MARKETO, "neither success nor errors", excerpt(response.body))
        raise self._failure(envelope.errors[0], cursor)

    def _check_status(self, response: HttpResponse) -> None:
        status = response.status
        if status in {200, 206}:
            return
        after = wait_asked(response.headers, self._clock.now())
        if status == 401:
            raise TokenRejected("401", "HTTP 401")
        if status == 403:
            raise AccessRefused(System.MARKETO, "403", "HTTP 403", vendor_codes.MARKETO["603"].text)
        if status == 429:
            raise Throttled("marketo answered HTTP 429", after=after)
        if status >= 500:
            raise GatewayFailed(f"marketo answered HTTP {status}", after=after)
        if status in {404, 413, 414}:
            raise RowFailed(str(status), f"marketo answered HTTP {status}")
        raise FixConfiguration(f"marketo answered HTTP {status}, which is no answer of its API; check the host")

    def _failure(self, entry: ErrorEntry, cursor: str | None) -> Exception:
        code, message = str(entry.code), entry.message
        meaning = vendor_codes.marketo(code)
        if meaning.action is Action.RENEW_TOKEN:
            return TokenRejected(code, message)
        if cursor is not None and code in _REJECTED_CURSOR:
            return ReadAgain(cursor, code, message)
        after = None
        if code == "607" or (code == "1029" and "quota" in message.lower()):
            after = until_midnight_central(self._clock.now())
        return vendor_codes.refusal(System.MARKETO, meaning, message, after=after)


def encode(body: object) -> bytes:
    """JSON bytes; decimals as numbers with their digits."""
    return _JSON.encode(body)


def typed(raw: msgspec.Raw, kind: type[T]) -> T:
    """Read a `result` as `kind`; raises `AnswerMalformed`."""
    decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(kind, strict=False)
    answer: T = read(System.MARKETO, raw, decoder.decode)
    return answer


def outcomes(envelope: Envelope, expected: int) -> list[RecordResult]:
    """One result per record, in the order of the input (M35).

    Raises:
        AnswerMalformed: more or fewer results than records: positions are the only link, so none can be trusted.
    """
    entries = read(System.MARKETO, envelope.result, _outcomes.decode)
    if len(entries) != expected:
        raise AnswerMalformed(System.MARKETO, f"{len(entries)} results for {expected} records", "")
    return [_outcome(entry) for entry in entries]


def _outcome(entry: Outcome) -> RecordResult:
    reasons = entry.reasons or entry.errors or []
    identity = entry.id if entry.id is not None else entry.name
    if entry.status != "skipped" and not reasons:
        return RecordResult(True, identity, entry.status)
    reason = reasons[0] if reasons else ErrorEntry(message="skipped without a reason")
    return RecordResult(False, identity, entry.status, str(reason.code) or None, reason.message)


def chunks(values: Sequence[T], size: int) -> list[Sequence[T]]:
    """Consecutive pieces of at most `size`."""
    return [values[start : start + size] for start in range(0, len(values), size)]


def until_midnight_central(now: datetime) -> float:
    """Seconds until Marketo's daily quota comes back (M20); 06:00 UTC on a machine without time zone data."""
    try:
        zone: ZoneInfo | None = ZoneInfo("America/Chicago")
    except ZoneInfoNotFoundError:
        zone = None
    local = now.astimezone(zone) if zone else now - timedelta(hours=6)
    midnight = datetime.combine(local.date() + timedelta(days=1), time(), tzinfo=zone or UTC)
    return (midnight.astimezone(UTC) - local.astimezone(UTC)).total_seconds()
