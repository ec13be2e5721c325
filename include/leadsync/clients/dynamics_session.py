"""Dataverse conventions: addresses, headers, errors, links that stay on their host (facts/dataverse-api §2, §11)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeVar
from urllib.parse import SplitResult, urlsplit

import msgspec

from include.leadsync.clients import batch_format, vendor_codes
from include.leadsync.clients.batch_format import Part, PartAnswer
from include.leadsync.clients.budget import Budget
from include.leadsync.clients.decode import Column, Wire, excerpt, read
from include.leadsync.clients.dynamics_owners import OwnerEmails, is_email
from include.leadsync.clients.exchange import Call, Exchange, GatewayFailed, TokenRejected
from include.leadsync.clients.retry import RetryPolicy, wait_asked
from include.leadsync.clients.tokens import DynamicsTokens
from include.leadsync.clients.transport import HttpRequest, HttpResponse, Transport
from include.leadsync.clients.vendor_codes import WRONG_NAMES, Action
from include.leadsync.clients.writes import Repeat
from include.leadsync.clock import Clock
from include.leadsync.errors import (
    AccessRefused,
    AnswerMalformed,
    FixConfiguration,
    LeadSyncError,
    ReadAgain,
    RetryLater,
    RowFailed,
    ServiceUnavailable,
    Throttled,
)
from include.leadsync.model import Connection, System

ROOT: Final = "/api/data/v9.2/"
FORMATTED: Final = "OData.Community.Display.V1.FormattedValue"
TOO_LARGE: Final = "413"
"""Code of the `RowFailed` for a request that must be cut into smaller ones, address or body."""


_RETRY: Final = RetryPolicy()
_TOO_LARGE_CODE: Final = "0x8004418a"
GUID: Final = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_GUID = re.compile(GUID)
_PORTS: Final = {"https": 443, "http": 80}
_ACTIVITIES: Final = frozenset({"activitypointer", "appointment", "email", "fax", "letter", "phonecall", "task"})
_JSON: Final = msgspec.json.Encoder(decimal_format="number")
_RIGHTS: Final = "Give the application user a security role with the rights listed in docs"

T = TypeVar("T")


class _Error(msgspec.Struct):
    code: str = ""
    message: str = ""


class _ErrorBody(msgspec.Struct):
    error: _Error = msgspec.field(default_factory=_Error)


_error_body = msgspec.json.Decoder(_ErrorBody)


def _as_they_are(answers: list[PartAnswer | None]) -> None:
    """Writes are judged one by one."""


class DynamicsSession:
    """What all parts of the Dynamics client stand on."""

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
        self._owners = OwnerEmails(clock)
        tokens = DynamicsTokens(connection, transport=transport, clock=clock)
        self._exchange = Exchange(System.DYNAMICS, tokens, transport=transport, budget=budget, clock=clock, retry=retry)

    def _get(self, address: str, read_answer: Callable[[HttpResponse], T], *, prefer: str = "", cursor: str = "") -> T:
        """GET an address below the service root, or a link of the service as it is.

        `cursor` names the stream whose token is in the address; its rejection is `ReadAgain`.
        """
        url = address if "://" in address else f"{self._host}{ROOT}{address}"
        headers = base_headers() | ({"Prefer": prefer} if prefer else {})

        def checked(response: HttpResponse) -> T:
            self._check(response, cursor)
            return read_answer(response)

        return self._exchange.run(Call(HttpRequest("GET", url, headers, timeout=120.0), Repeat.READ), checked)

    def _batch(
        self, parts: Sequence[Part], repeat: Repeat, inspect: Callable[[list[PartAnswer | None]], None] = _as_they_are
    ) -> list[PartAnswer | None]:
        """Send one `$batch` with continue-on-error; None where a part has no answer.

        The outer status says nothing of the parts (§9.2): a multipart body is read whatever it is. `inspect` may raise
        for answers that make the whole batch worth another attempt.
        """
        boundary = batch_format.new_boundary()
        headers = base_headers() | {
            "Content-Type": batch_format.content_type(boundary),
            "Prefer": "odata.continue-on-error",
        }
        body = batch_format.build(parts, boundary)
        request = HttpRequest("POST", f"{self._host}{ROOT}$batch", headers, body, timeout=300.0)

        def answers(response: HttpResponse) -> list[PartAnswer | None]:
            content = response.headers.get("content-type", "")
            if not batch_format.is_batch_answer(content):
                self._check(response, "")
                raise AnswerMalformed(System.DYNAMICS, "no batch answer", excerpt(response.body))
            found = batch_format.parse(response.body, content, len(parts))
            inspect(found)
            return found

        return self._exchange.run(Call(request, repeat, rows=len(parts)), answers)

    def _check(self, response: HttpResponse | PartAnswer, cursor: str) -> None:
        """Raise what an error answer means; return for a good one."""
        status = response.status
        if status < 300 or status == 304:
            return
        code, message = error_of(response)
        if status == 401:
            raise TokenRejected(code or "401", message)
        meaning = vendor_codes.dynamics(code)
        if cursor and _rejects_cursor(status, meaning):
            raise ReadAgain(cursor, code or str(status), message)
        if status in {413, 414} or code == _TOO_LARGE_CODE:
            raise RowFailed(TOO_LARGE, message or f"HTTP {status}")
        after = self._wait_asked(response)
        if status == 429:
            default = meaning.wait if meaning else None
            raise Throttled(f"dynamics answered 429 ({code}): {message}", after=default if after is None else after)
        if meaning is not None and status < 500 and meaning.code in vendor_codes.ANSWERED_ONCE:
            raise RowFailed(meaning.code, message or meaning.text)
        if _is_expired(status, meaning):  # no cursor of ours: a link between two pages
            raise RetryLater(f"dynamics answered {code}: this full read took too long; the next run begins it again")
        if meaning is not None:
            raise vendor_codes.refusal(System.DYNAMICS, meaning, message, after=after)
        raise self._by_status(status, code, message, after)

    def _by_status(self, status: int, code: str, message: str, after: float | None) -> LeadSyncError:
        if status == 501:
            return FixConfiguration(f"dynamics cannot do this (HTTP 501 {code}): {message or 'no text'}")
        if status >= 500:
            kind = ServiceUnavailable if code else GatewayFailed
            return kind(f"dynamics answered HTTP {status} {code} {message}".rstrip(), after=after)
        if status == 403:
            return AccessRefused(System.DYNAMICS, code or "403", message or "HTTP 403", _RIGHTS)
        if status in {404, 412}:
            return RowFailed(code or str(status), message or f"HTTP {status}")
        return FixConfiguration(
            f"dynamics refused the call with HTTP {status} {code}: {message or 'no text'}. Nothing was done;"
            " check the connection's host and the columns of the field map"
        )

    def _wait_asked(self, response: HttpResponse | PartAnswer) -> float | None:
        return wait_asked(response.headers, self._clock.now())

    def _same_host(self, link: str) -> bool:
        """Whether a link leads to our organisation's API, where alone the token may go."""
        try:
            ours, theirs = urlsplit(self._host), urlsplit(link)
            return _origin(ours) == _origin(theirs) and theirs.path.startswith("/api/data/")
        except ValueError:
            return False

    def _followed(self, link: str, seen: set[int]) -> str:
        """A `nextLink` or `deltaLink` of an answer, used as it is (§3.5).

        Raises:
            AnswerMalformed: it leads to another host, or back to a page already read.
        """
        if not self._same_host(link):
            raise AnswerMalformed(System.DYNAMICS, "a link that leads to another host", link)
        if hash(link) in seen:
            raise AnswerMalformed(System.DYNAMICS, "a link that leads back to a page already read", link)
        seen.add(hash(link))  # links are long, and there may be thousands
        return link


def _origin(url: SplitResult) -> tuple[str, str | None, int | None, str | None]:
    return url.scheme, url.hostname, url.port or _PORTS.get(url.scheme), url.username


def _rejects_cursor(status: int, meaning: vendor_codes.VendorCode | None) -> bool:
    """An expired token by code or as 410 (O1); any 400 about the address may be the token in it (V29).

    If it is not, the full read that follows fails with the same error, and then it is told as it is.
    """
    if _is_expired(status, meaning):
        return True
    return status == 400 and (meaning is None or meaning.action is Action.BUG or meaning.code in WRONG_NAMES)


def _is_expired(status: int, meaning: vendor_codes.VendorCode | None) -> bool:
    return status == 410 or (meaning is not None and meaning.action is Action.RESYNC)


def base_headers() -> dict[str, str]:
    """The headers of every request (§2.1)."""
    return {
        "Accept": "application/json",
        "OData-Version": "4.0",
        "OData-MaxVersion": "4.0",
        "If-None-Match": "null",
    }


def error_of(response: HttpResponse | PartAnswer) -> tuple[str, str]:
    """Code (lower case) and first line of the message; both empty when the body is none of the API's (§2.4)."""
    try:
        error = _error_body.decode(response.body).error
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return "", ""
    lines = error.message.strip().splitlines() or [""]
    return error.code.lower(), lines[0][:500]


def encode(body: Mapping[str, object]) -> bytes:
    """JSON bytes; decimals as numbers with their digits."""
    return _JSON.encode(body)


def guid(text: str) -> str | None:
    """A GUID in lower case without braces; None if it is none."""
    bare = text.strip().removeprefix("{").removesuffix("}").lower()
    return bare if _GUID.fullmatch(bare) else None


def entity_set(table: str) -> str:
    """The entity set's name (§14). Assumption: other tables follow the same English rule."""
    if table.endswith("y") and not table.endswith(("ay", "ey", "oy", "uy")):
        return f"{table[:-1]}ies"
    return f"{table}es" if table.endswith(("s", "x", "z", "ch", "sh")) else f"{table}s"


def key_column(table: str) -> str:
    """The primary key's name: `<table>id`, for all activities `activityid`."""
    return "activityid" if table in _ACTIVITIES else f"{table}id"


def row_columns(table: str, columns: Mapping[str, Wire]) -> tuple[Column, ...]:
    """`id` and `etag`, then the columns, each lookup followed by its name as `<column>@name`."""
    result = [Column(key_column(table), "id", "text"), Column("@odata.etag", "etag", "text")]
    for name, wire in columns.items():
        if name == key_column(table) or is_email(name):
            continue
        result.append(Column(name, name, wire))
        if is_lookup(name):
            result.append(Column(f"{name}@{FORMATTED}", f"{name}@name", "text"))
    return tuple(result)


def is_lookup(column: str) -> bool:
    """Whether a column is a lookup as read (V14)."""
    return column.startswith("_") and column.endswith("_value")


def select(table: str, columns: Mapping[str, Wire]) -> str:
    """The `$select` option."""
    of_the_table = (name for name in columns if not is_email(name))
    return "$select=" + ",".join(dict.fromkeys((key_column(table), *of_the_table)))


def name_preference(columns: Mapping[str, Wire]) -> list[str]:
    """The preference for names of lookups, if there is a lookup."""
    return [f'odata.include-annotations="{FORMATTED}"'] if any(map(is_lookup, columns)) else []


def decoded(system_body: bytes, kind: type[T]) -> T:
    """Read a whole body as `kind`; raises `AnswerMalformed`."""
    decoder: msgspec.json.Decoder[T] = msgspec.json.Decoder(kind, strict=False)
    return read(System.DYNAMICS, system_body, decoder.decode)
