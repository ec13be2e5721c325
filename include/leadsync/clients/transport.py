"""The seam to the network: one request in, one complete response out.

Only `RequestsTransport` touches a socket, and only it imports requests. A test passes a function's
worth of `Transport` instead. A transport follows no redirect (the Authorization header must not travel
to another host), reads no .netrc, and never returns half a body.
"""

from __future__ import annotations

import logging
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol
from urllib.parse import urlsplit

import requests
import urllib3

from include.leadsync.clients.bounded_http import ACCEPTED, BoundedSession, unpacked
from include.leadsync.clock import Clock, SystemClock
from include.leadsync.errors import AnswerMalformed, ConnectionBroken, FixConfiguration, LeadSyncError

MAX_BODY: Final = 64 * 1024 * 1024
"""No answer we ask for is larger, so a larger one is a fault; bytes, after decompression."""


class _WithoutQueries(logging.Filter):
    """Cuts the queries out of the HTTP library's own messages: they carry e-mail addresses and feed tokens (P10)."""

    _QUERY: Final = re.compile(r"\?[^\s\"']+")

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass, changed."""
        record.msg, record.args = self._QUERY.sub("?…", record.getMessage()), None
        return True


for _name in ("urllib3.connectionpool", "urllib3.util.retry"):
    logging.getLogger(_name).addFilter(_WithoutQueries())


class Headers(Mapping[str, str]):
    """HTTP headers; names in any case (dataverse-api §1.4)."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        self._values = {name.lower(): value for name, value in (values or {}).items()}

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Headers({sorted(self._values)})"  # names only: values may be secrets (P10)


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request. `timeout` bounds the whole exchange in seconds, not just one read of the socket."""

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | None = field(default=None, repr=False)
    timeout: float = 60.0

    @property
    def path(self) -> str:
        """Path without query: queries carry people's data and tokens, so this is all that a log may show."""
        return urlsplit(self.url).path


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """One complete response; `body` is decompressed."""

    status: int
    headers: Headers = field(default_factory=Headers)
    body: bytes = field(default=b"", repr=False)


class Transport(Protocol):
    """One HTTP exchange."""

    def send(self, request: HttpRequest) -> HttpResponse:
        """Send and wait for the whole answer.

        Raises:
            ConnectionBroken: no complete answer; `maybe_committed` is False only if the request never left.
            FixConfiguration: the address or the certificate cannot be right.
            AnswerMalformed: the answer exceeds `MAX_BODY`.
        """
        ...


class Counted:
    """Another transport, whose requests are counted under a name; log-ins are not (no service counts them).

    `guards` are asked before each request, after whatever it had to wait for; one that raises keeps it from being sent.
    """

    def __init__(
        self, transport: Transport, counts: Counter[str], name: str, guards: Sequence[Callable[[], None]] = ()
    ) -> None:
        self._transport, self._counts, self._name, self._guards = transport, counts, name, guards

    def send(self, request: HttpRequest) -> HttpResponse:
        """Ask, count, then send; see `Transport`."""
        for guard in self._guards:
            guard()
        if not request.path.endswith("/token"):
            self._counts[self._name] += 1
        return self._transport.send(request)


class RequestsTransport:
    """HTTP by requests: pooled connections, a bound on time and size of every exchange."""

    def __init__(
        self,
        *,
        verify: str | bool = True,
        clock: Clock | None = None,
        connections: int = 16,
        connect_timeout: float = 10.0,
        max_body: int = MAX_BODY,
    ) -> None:
        self._verify = verify
        self._clock = clock or SystemClock()
        self._connections = connections
        self._connect_timeout = connect_timeout
        self._max_body = max_body
        self._local = threading.local()

    def send(self, request: HttpRequest) -> HttpResponse:
        """Send and wait for the whole answer (see `Transport`)."""
        deadline = self._clock.monotonic() + request.timeout
        try:
            with self._session().request(
                request.method,
                request.url,
                data=request.body,
                headers={"Accept-Encoding": ACCEPTED, **request.headers},
                timeout=(min(self._connect_timeout, request.timeout), request.timeout),
                allow_redirects=False,
                stream=True,
                verify=self._verify,
            ) as answer:
                body = self._read(answer.raw, deadline)
                return HttpResponse(answer.status_code, Headers(answer.headers), body)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            failure = translate(error, request)
        raise failure  # out here it does not carry the library's error, whose text repeats queries (P10)

    def close(self) -> None:
        """Close this thread's connections."""
        session = getattr(self._local, "session", None)
        if session is not None:
            session.close()
            del self._local.session

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = BoundedSession(self._connections)
        return session

    def _read(self, raw: urllib3.BaseHTTPResponse, deadline: float) -> bytes:
        body = bytearray()
        for piece in unpacked(raw):
            body += piece
            if len(body) > self._max_body:
                raise AnswerMalformed("the service", f"more than {self._max_body} bytes", "")
            if self._clock.monotonic() > deadline:
                raise TimeoutError("the answer dripped in too slowly")
        return bytes(body)


_WRONG_ADDRESS: Final = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
    requests.exceptions.InvalidHeader,
    requests.exceptions.InvalidProxyURL,
    urllib3.exceptions.LocationValueError,
)
_NEVER_SENT: Final = (requests.exceptions.ConnectTimeout, requests.exceptions.ProxyError)
_NOT_CONNECTED: Final = (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError)

# What OpenSSL says when it meets plain HTTP, and what the HTTP library says when it meets TLS.
_PLAIN_PORT: Final = re.compile(r"WRONG_VERSION_NUMBER|HTTP_REQUEST|RECORD_LAYER_FAILURE|UNKNOWN_PROTOCOL")
_NO_HTTP: Final = re.compile(r"RemoteDisconnected|BadStatusLine")


def _host_of(url: str) -> str | None:
    try:
        return urlsplit(url).netloc.rpartition("@")[2] or None
    except ValueError:
        return None


def translate(error: Exception, request: HttpRequest) -> LeadSyncError:
    """Map an error of requests, urllib3 or the socket to ours; texts name the host, never a query or header."""
    kind = type(error).__name__
    host = _host_of(request.url)
    theirs = error.args and isinstance(error.args[0], urllib3.exceptions.InvalidHeader)  # in the answer, not in ours
    if host is None or (isinstance(error, _WRONG_ADDRESS) and not theirs):
        place = host or "of the service"
        return FixConfiguration(f"the address {place} cannot be used ({kind}); check the connection's host")
    if "certificate" in str(error).lower():  # not trusted, expired, for another name, or no such CA file
        return FixConfiguration(
            f"the certificate of {host} is not trusted ({kind}); check the host name or give the connection its CA file"
        )
    if _PLAIN_PORT.search(str(error)):
        return FixConfiguration(
            f"{host} does not speak TLS ({kind}); write http:// instead of https:// in the connection's host, or name "
            "the port that does"
        )
    reason = error.args[0] if error.args else None
    cause = getattr(reason, "reason", None)
    sent = not (isinstance(error, _NEVER_SENT) or isinstance(cause, _NOT_CONNECTED))
    if sent:
        text = f"{host} gave no complete answer ({kind})"
        if urlsplit(request.url).scheme == "http" and _NO_HTTP.search(str(error)):
            text += "; if this port speaks TLS, write https:// in the connection's host"
        return ConnectionBroken(text, maybe_committed=True)
    advice = "check the host of its connection, and the network between"
    return ConnectionBroken(f"{host} cannot be reached ({kind}); {advice}", maybe_committed=False)
