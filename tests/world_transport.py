"""How the engine of a test world meets the emulators: their clock, and calls without sockets."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

from include.leadsync.clients.transport import Headers, HttpRequest, HttpResponse
from include.leadsync.errors import ConnectionBroken
from include.sandbox.clock import MovableClock
from include.sandbox.dynamics import DynamicsEmulator
from include.sandbox.marketo import MarketoEmulator
from include.sandbox.service import Request

Json = Any


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


class WorldMarketo(MarketoEmulator):
    """Counts the commands it is given."""

    commands = 0

    def control(self, command: str, arguments: Json) -> Json:
        self.commands += 1
        return super().control(command, arguments)


class WorldDynamics(DynamicsEmulator):
    """Counts the commands it is given."""

    commands = 0

    def control(self, command: str, arguments: Json) -> Json:
        self.commands += 1
        return super().control(command, arguments)


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


def other_marketo(emulator: WorldMarketo) -> Callable[..., Json]:
    """Calls of another application to Marketo; each must succeed. Takes method, path, query and a body."""
    grant = "grant_type=client_credentials&client_id=other&client_secret=other"
    token = ""

    def call(method: str, path: str, query: str = "", body: Json = None) -> Json:
        nonlocal token
        if not token:
            given = emulator.handle(Request("GET", "/identity/oauth/token", grant))
            token = json.loads(given.body)["access_token"]
        headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        payload = json.dumps(body).encode() if body is not None else b""
        answer = json.loads(emulator.handle(Request(method, path, query, headers, payload)).body)
        if not answer["success"] and answer["errors"][0]["code"] in {"601", "602"}:
            token = ""
            return call(method, path, query, body)
        assert answer["success"], answer
        return answer

    return call


_JSON = {
    "accept": "application/json",
    "odata-version": "4.0",
    "odata-maxversion": "4.0",
    "content-type": "application/json",
}


def other_dynamics(emulator: WorldDynamics, host: str) -> Callable[..., tuple[int, Json]]:
    """Calls of another application to Dynamics: status and body. Takes method, path below the API, query, body."""
    login = {"grant_type": "client_credentials", "client_id": "other", "client_secret": "other"}
    form = urlencode({**login, "scope": f"{host}/.default"}).encode()
    token = ""

    def call(method: str, path: str, query: str = "", body: Json = None, prefer: str = "") -> tuple[int, Json]:
        nonlocal token
        if not token:
            kind = {"content-type": "application/x-www-form-urlencoded"}
            given = emulator.handle(Request("POST", "/sandbox/oauth2/v2.0/token", "", kind, form, host))
            token = json.loads(given.body)["access_token"]
        headers = {"authorization": f"Bearer {token}", **_JSON, **({"prefer": prefer} if prefer else {})}
        payload = json.dumps(body).encode() if body is not None else b""
        answer = emulator.handle(Request(method, f"/api/data/v9.2/{path}", query, headers, payload, host))
        if answer.status == 401:
            token = ""
            return call(method, path, query, body, prefer)
        return answer.status, json.loads(answer.body) if answer.body else None

    return call
