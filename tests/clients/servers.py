"""Servers for the client tests: a function that plays one, and an emulator in this process."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from urllib.parse import parse_qsl, urlsplit

from include.leadsync.clients.transport import Headers, HttpRequest, HttpResponse
from include.leadsync.model import Connection
from include.sandbox.clock import MovableClock
from include.sandbox.service import Emulator, Request

MARKETO = Connection("https://123-abc-456.mktorest.example", "client", "s3cr3t-value")
DYNAMICS = Connection("https://org.crm.example", "client", "s3cr3t-value", tenant_id="tenant-1")

Handler = Callable[[HttpRequest], "HttpResponse | Exception"]


def answer(status: int = 200, body: object = b"", headers: Mapping[str, str] | None = None) -> HttpResponse:
    """A response; anything but bytes becomes JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpResponse(status, Headers({"Content-Type": "application/json", **(headers or {})}), content)


def good(result: object = None, **more: object) -> HttpResponse:
    """A successful Marketo envelope; without `result` that member is missing."""
    body = {"requestId": "9f1c#18c2d41a7e0", "success": True, **more}
    return answer(200, body if result is None else {**body, "result": result})


def refused(code: str | int, message: str = "no") -> HttpResponse:
    """A Marketo envelope with an error."""
    errors = [{"code": code, "message": message}]
    return answer(200, {"requestId": "9f1c#18c2d41a7e0", "success": False, "errors": errors})


def odata_error(status: int, code: str, message: str = "no", **headers: str) -> HttpResponse:
    """A Dataverse error."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return answer(status, {"error": {"code": code, "message": message}}, named)


class Server:
    """A transport whose server is a function. Token calls are answered by itself and kept apart in `logins`."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self.requests: list[HttpRequest] = []
        self.logins: list[HttpRequest] = []

    def send(self, request: HttpRequest) -> HttpResponse:
        if request.path.endswith("/token"):
            self.logins.append(request)
            return answer(200, {"access_token": f"token-{len(self.logins)}", "expires_in": 3599})
        self.requests.append(request)
        response = self._handler(request)
        if isinstance(response, Exception):
            raise response
        return response


def playing(*answers: HttpResponse | Exception) -> Server:
    """A server that gives these answers in turn and fails the test when asked once more."""
    waiting = list(answers)

    def handler(request: HttpRequest) -> HttpResponse | Exception:
        assert waiting, f"one call too many: {request.method} {request.path}"
        return waiting.pop(0)

    return Server(handler)


def query(request: HttpRequest) -> dict[str, str]:
    """The parameters of the address."""
    return dict(parse_qsl(urlsplit(request.url).query, keep_blank_values=True))


class EmulatorTransport:
    """Carries requests to an emulator in this process."""

    def __init__(self, emulator: Emulator, base_url: str) -> None:
        self._emulator, self._base_url = emulator, base_url
        self.requests: list[HttpRequest] = []

    def send(self, request: HttpRequest) -> HttpResponse:
        self.requests.append(request)
        url = urlsplit(request.url)
        response = self._emulator.handle(
            Request(
                request.method,
                url.path,
                url.query,
                {name.lower(): value for name, value in request.headers.items()},
                request.body or b"",
                self._base_url,
            )
        )
        return HttpResponse(response.status, Headers(dict(response.headers)), response.body)


class SandboxClock:
    """A client's clock that is the emulator's: waiting moves the sandbox's time, nobody sleeps."""

    def __init__(self, clock: MovableClock) -> None:
        self._clock = clock
        self._start = clock.now()

    def now(self) -> datetime:
        return self._clock.now()

    def monotonic(self) -> float:
        return (self._clock.now() - self._start).total_seconds()

    def sleep(self, seconds: float) -> None:
        self._clock.advance(seconds)
