"""How the engine of a test world meets the emulators: their clock, and calls without sockets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from include.leadsync.clients.transport import Headers, HttpRequest, HttpResponse
from include.leadsync.errors import ConnectionBroken
from include.sandbox.clock import MovableClock
from include.sandbox.service import Request


class WorldClock:
    """The engine's view of the sandbox's clock; sleeping moves both. `skew`: how far our machine is off."""

    def __init__(self, movable: MovableClock) -> None:
        self._movable = movable
        self.skew = timedelta()
        self.slept: list[float] = []

    def now(self) -> datetime:
        return self._movable.now() + self.skew

    def monotonic(self) -> float:
        return self._movable.now().timestamp()

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self._movable.advance(seconds)


class ConnectionDropped(Exception):
    """Raised by an interceptor: the answer never arrives."""


@dataclass
class WorldTransport:
    """Hands requests straight to the emulators, and shows them to `before` and `after` on the way."""

    emulators: Mapping[str, Any]
    # What the engine logs in with; the emulators know one secret only.
    secret: str = field(default="sandbox", repr=False)
    log: list[tuple[str, str]] = field(default_factory=list, repr=False)
    before: list[Callable[[HttpRequest], HttpResponse | None]] = field(default_factory=list, repr=False)
    after: list[Callable[[HttpRequest, HttpResponse], HttpResponse]] = field(default_factory=list, repr=False)

    def send(self, request: HttpRequest) -> HttpResponse:
        self.log.append((request.method, request.url))
        try:
            for hook in self.before:
                answer = hook(request)
                if answer is not None:
                    return answer
            response = self._pass_on(request)
            for change in self.after:
                response = change(request, response)
        except ConnectionDropped as dropped:
            raise ConnectionBroken("the connection was dropped", maybe_committed=True) from dropped
        return response

    def _pass_on(self, request: HttpRequest) -> HttpResponse:
        parts = urlsplit(request.url)
        host = f"{parts.scheme}://{parts.netloc}"
        headers = {name.lower(): value for name, value in request.headers.items()}
        body = (request.body or b"").replace(f"client_secret={self.secret}".encode(), b"client_secret=sandbox")
        response = self.emulators[host].handle(Request(request.method, parts.path, parts.query, headers, body, host))
        return HttpResponse(response.status, Headers(dict(response.headers)), response.body)
