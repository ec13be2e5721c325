"""What the emulators were asked: a capped log in memory, one entry per request that arrived.

An entry is made when a request arrives, not when it is answered, so that the positions of the log
enumerate every moment at which a client may be interrupted (DECISIONS 33). Secrets are never
stored: credentials in a query are masked, headers and bodies are not kept (P10).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode

from include.sandbox.service import Json, Request, Response

CAPACITY = 50_000
_LONGEST_QUERY = 2_000
_SECRET_NAMES = frozenset({"client_secret", "access_token", "password", "client_assertion", "refresh_token"})
_PART = re.compile(rb"^(GET|POST|PATCH|PUT|DELETE) \S+ HTTP/1\.[01]\r?$", re.MULTILINE)
_KNOWN_CLIENTS = 10_000


@dataclass(slots=True)
class Call:
    """One request as it went. `status` is null while it runs and when no status line was sent.

    `intent` is the method after Marketo's `_method` override (M: section 1); `parts` counts the
    methods inside a `$batch`; `outcome` is one of running, answered, dropped before, dropped after,
    truncated, abandoned (the sandbox ended); `faults` names the rules that fired; `ms` is the server's time.
    """

    sequence: int
    service: str
    at: str
    method: str
    intent: str
    path: str
    query: str
    client: str | None
    request_bytes: int
    status: int | None = None
    response_bytes: int = 0
    ms: float = 0.0
    outcome: str = "running"
    faults: list[str] = field(default_factory=list)
    parts: dict[str, int] = field(default_factory=dict)
    started: float = field(default=0.0, repr=False)

    def as_json(self) -> dict[str, Json]:
        """The entry as the control endpoint shows it."""
        shown = asdict(self)
        del shown["started"]
        return shown


class CallLog:
    """The ring of calls to both services, shared by all threads."""

    def __init__(self, capacity: int = CAPACITY, seconds: Callable[[], float] = time.perf_counter) -> None:
        self._seconds = seconds
        self._calls: deque[Call] = deque(maxlen=capacity)
        self._sequence = 0
        self._clients: dict[str, str] = {}
        self._lock = threading.Lock()

    def begin(self, service: str, request: Request) -> Call:
        """Note that a request has arrived."""
        intent, parts = _intent(request), _parts(request)
        with self._lock:
            self._sequence += 1
            call = Call(
                sequence=self._sequence,
                service=service,
                at=datetime.now(UTC).isoformat(timespec="milliseconds"),
                method=request.method,
                intent=intent,
                path=request.path,
                query=_masked(request.query),
                client=self._clients.get(_token_digest(request)),
                request_bytes=len(request.body),
                parts=parts,
                started=self._seconds(),
            )
            self._calls.append(call)
        return call

    def finish(self, call: Call, outcome: str, response: Response | None = None) -> None:
        """Note how a request ended."""
        call.ms = round((self._seconds() - call.started) * 1000, 3)
        call.outcome = outcome
        if response is not None:
            call.status = response.status
            call.response_bytes = response.size

    def learn(self, request: Request, response: Response) -> None:
        """Remember which client a token was given to; any path that ends in `token` counts."""
        if not request.target.endswith("/token") or response.status != 200:
            return
        try:
            token = json.loads(response.body)["access_token"]
        except (ValueError, KeyError, TypeError):
            return
        client = _client_of(request)
        if client is None:
            return
        with self._lock:
            if len(self._clients) >= _KNOWN_CLIENTS:
                self._clients.clear()
            self._clients[_digest(str(token))] = client

    def entries(
        self,
        *,
        service: str | None = None,
        since: int = 0,
        path: str | None = None,
        intent: str | None = None,
        client: str | None = None,
        limit: int | None = None,
    ) -> list[Call]:
        """Calls with a sequence above `since`, oldest first; `path` is a regular expression."""
        pattern = re.compile(path) if path else None
        with self._lock:
            calls = list(self._calls)
        chosen = (
            call
            for call in calls
            if call.sequence > since
            and service in (None, call.service)
            and intent in (None, call.intent)
            and client in (None, call.client)
            and (pattern is None or pattern.search(call.path))
        )
        return list(islice(chosen, limit))

    def counts(self, **filters: Any) -> dict[str, int]:
        """How many calls per `service intent path`."""
        calls = self.entries(**filters)
        return dict(sorted(Counter(f"{call.service} {call.intent} {call.path}" for call in calls).items()))

    def clear(self) -> int:
        """Forget the calls; the sequence goes on. Returns how many there were."""
        with self._lock:
            count = len(self._calls)
            self._calls.clear()
        return count

    @property
    def position(self) -> int:
        """The sequence of the last call that arrived."""
        with self._lock:
            return self._sequence


def _intent(request: Request) -> str:
    if request.method != "POST":
        return request.method
    for text in (request.query, _form(request)):
        if "_method=" in text:
            return parse_qs(text).get("_method", ["POST"])[0].upper()
    return "POST"


def _form(request: Request) -> str:
    is_form = request.header("content-type").startswith("application/x-www-form-urlencoded")
    return request.body.decode("latin-1") if is_form else ""


def _parts(request: Request) -> dict[str, int]:
    if not request.header("content-type").startswith("multipart/mixed"):
        return {}
    return dict(sorted(Counter(match.decode() for match in _PART.findall(request.body)).items()))


def _masked(query: str) -> str:
    if any(name in query for name in _SECRET_NAMES):
        pairs = parse_qsl(query, keep_blank_values=True)
        query = urlencode([(name, "***" if name in _SECRET_NAMES else value) for name, value in pairs], safe="*")
    return query if len(query) <= _LONGEST_QUERY else f"{query[:_LONGEST_QUERY]}…"


def _client_of(request: Request) -> str | None:
    for text in (_form(request), request.query):
        values = parse_qs(text).get("client_id")
        if values:
            return values[0]
    scheme, _, credentials = request.header("authorization").partition(" ")
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(credentials).decode().partition(":")[0] or None
        except (binascii.Error, UnicodeDecodeError):
            return None
    return None


def _token_digest(request: Request) -> str:
    return _digest(request.header("authorization").partition(" ")[2])


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
