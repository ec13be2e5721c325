"""The control endpoint: `POST /_sandbox/COMMAND` with a JSON object, and the pages for people at `/_sandbox/`.

Commands with a dot (or a slash in the URL) belong to the host and act on both services; every
other command goes to the emulator whose port was asked. All are described in docs/sandbox.md.
"""

from __future__ import annotations

import hmac
import json
import os
import re
import sys
import traceback
from collections.abc import Callable, Mapping
from typing import Protocol

from include.sandbox.call_log import CallLog
from include.sandbox.clock_state import ClockState
from include.sandbox.faults import FaultBoard
from include.sandbox.pages import Pages
from include.sandbox.service import Json, Request, Response

TOKEN_VARIABLE = "LEADSYNC_SANDBOX_TOKEN"
TOKEN_HEADER = "x-sandbox-token"
DEFAULT_TOKEN = "sandbox"

_OBJECTS = ("values", "changes")

Arguments = Mapping[str, Json]


class UnknownCommand(LookupError):
    """Neither the host nor the emulator knows this command."""


class Host(Protocol):
    """What the commands need of the server."""

    @property
    def urls(self) -> Mapping[str, str]:
        """Address per service."""
        ...

    def emulator_command(self, service: str, command: str, arguments: Arguments) -> Json:
        """Carry out a command of an emulator."""
        ...

    def save(self, name: str) -> Json:
        """Keep a copy of the data folder."""
        ...

    def restore(self, name: str) -> Json:
        """Bring a copy back."""
        ...

    def snapshots(self) -> Json:
        """Names of the copies."""
        ...

    def add_people(self, arguments: Arguments) -> Json:
        """Generate people into both services."""
        ...


class Switchboard:
    """Takes commands from the HTTP endpoint and from tests in this process."""

    def __init__(self, host: Host, faults: FaultBoard, calls: CallLog, clock: ClockState) -> None:
        self._host = host
        self._calls = calls
        self._pages = Pages(self.run, calls, lambda: host.urls)
        self._commands: dict[str, Callable[[Arguments], Json]] = {
            "faults.set": lambda a: {"rules": faults.set(a["rules"], int(a.get("seed", 0)))},
            "faults.add": lambda a: {"rules": faults.add(a["rules"])},
            "faults.clear": lambda _: {"cleared": faults.clear()},
            "faults.list": lambda _: faults.listing(),
            "faults.release": lambda a: {"released": faults.release(a.get("rule"))},
            "clock.show": lambda _: clock.show(),
            "clock.advance": lambda a: clock.advance(float(a["seconds"])),
            "clock.freeze": lambda a: clock.freeze(a.get("at")),
            "clock.run": lambda _: clock.run(),
            "clock.reset": lambda _: clock.reset(),
            "calls.list": self._list_calls,
            "calls.count": lambda a: {"position": calls.position, "counts": calls.counts(**_filters(a))},
            "calls.clear": lambda _: {"cleared": calls.clear()},
            "snapshot.save": lambda a: host.save(a.get("name", "default")),
            "snapshot.restore": lambda a: host.restore(a.get("name", "default")),
            "snapshot.list": lambda _: host.snapshots(),
            "people.add": host.add_people,
            "host.show": lambda _: self._show(),
        }

    def run(self, service: str, command: str, arguments: Arguments) -> Json:
        """Carry out one command; raises `UnknownCommand`, or what the command raises for its arguments."""
        for name in _OBJECTS:
            if not isinstance(arguments.get(name) or {}, Mapping):
                message = f"{name} must be an object"
                raise TypeError(message)
        own = self._commands.get(command)
        if own is not None:
            return own(arguments)
        try:
            return self._host.emulator_command(service, command, arguments)
        except KeyError as error:
            if error.args and error.args[0] == command:
                message = f"unknown command {command!r}"
                raise UnknownCommand(message) from error
            raise

    def answer(self, service: str, request: Request) -> Response:
        """A page, or `run` over HTTP: 200 `{"result"}`, 400 bad arguments, 401 token, 404 unknown, 405 no POST."""
        token = os.environ.get(TOKEN_VARIABLE) or DEFAULT_TOKEN
        if self._pages.wants(request):
            return self._page(service, request, token)
        if not hmac.compare_digest(request.header(TOKEN_HEADER).encode(), token.encode()):
            return _refusal(401, f"header X-Sandbox-Token is missing or wrong (environment: {TOKEN_VARIABLE})")
        if request.method != "POST":
            return _refusal(405, "commands are POST requests with a JSON object as body")
        command = request.path.strip("/").partition("/")[2].replace("/", ".")
        try:
            arguments = json.loads(request.body or b"{}")
            if not isinstance(arguments, dict):
                return _refusal(400, "the body must be a JSON object")
            return _json(200, {"result": self.run(service, command, arguments)})
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller must see it
            return self._explained(service, command, error)

    def _page(self, service: str, request: Request, token: str) -> Response:
        chosen = f"The environment variable {TOKEN_VARIABLE} of the sandbox holds it."
        hint = chosen if os.environ.get(TOKEN_VARIABLE) else f"It is “{DEFAULT_TOKEN}” unless {TOKEN_VARIABLE} is set."
        try:
            return self._pages.answer(service, request, token, hint)
        except Exception as error:  # noqa: BLE001 - whatever it is, the person must see it
            traceback.print_exception(error, file=sys.stderr)
            text = f"This page failed inside the sandbox: {type(error).__name__}: {error}\n"
            return Response(500, text.encode("utf-8", "replace"), [("Content-Type", "text/plain; charset=utf-8")])

    def _explained(self, service: str, command: str, error: Exception) -> Response:
        if isinstance(error, UnknownCommand):
            return _refusal(404, f"{error} for {service}; the host's own: {', '.join(sorted(self._commands))}")
        if isinstance(error, KeyError):
            return _refusal(400, f"{command}: missing or unknown: {error}")
        if isinstance(error, ValueError | TypeError | LookupError | OverflowError | RecursionError | re.error):
            return _refusal(400, f"{command}: {error}")
        traceback.print_exception(error, file=sys.stderr)
        return _refusal(500, f"{command}: {type(error).__name__}: {error}")

    def _list_calls(self, arguments: Arguments) -> Json:
        filters = _filters(arguments)
        limit = arguments.get("limit", 1000)
        calls = self._calls.entries(**filters, limit=None if limit is None else int(limit))
        return {"position": self._calls.position, "calls": [call.as_json() for call in calls]}

    def _show(self) -> Json:
        return {"urls": dict(self._host.urls), "position": self._calls.position, "commands": sorted(self._commands)}


def _filters(arguments: Arguments) -> dict[str, Json]:
    return {key: arguments[key] for key in ("service", "since", "path", "intent", "client") if key in arguments}


def _refusal(status: int, text: str) -> Response:
    return _json(status, {"error": text})


def _json(status: int, content: Json) -> Response:
    body = json.dumps(content, ensure_ascii=False, default=str).encode()
    return Response(status, body, [("Content-Type", "application/json")])
