"""The outermost application: takes a request to its emulator in a worker thread and brings the answer back.

Here, and only here, faults happen. Waiting (delays, pauses) is done without a thread, so that a
slow answer takes nothing from the others and never holds up the end of the process.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
import traceback
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from http import HTTPStatus
from typing import Any, Protocol

from include.sandbox.call_log import Call, CallLog
from include.sandbox.fault_answers import error_answer, gateway_page
from include.sandbox.fault_rules import Command, Effect
from include.sandbox.faults import FaultBoard
from include.sandbox.service import Counting, Emulator, Hold, Json, Request, Response
from include.sandbox.wire import Receive, Refused, Room, Scope, Send, Wire

CONTROL_PREFIX = "/_sandbox/"
_THREADS = 80  # more than the 52 concurrent requests that Dynamics allows
_CONTROL_THREADS = 4
_PAUSE_POLL = 0.005
_ROOM = 1 << 30
# Marketo takes 10 MB in an import, less elsewhere; Dataverse messages end at 116.85 MB (dataverse-api.md 8).
_LARGEST_BODIES = {"marketo": 16 << 20, "dynamics": 122_527_744}

Wait = Callable[[float], Awaitable[object]]
"""Waits some seconds in the event loop."""


class Controller(Protocol):
    """Carries out control commands."""

    def run(self, service: str, command: str, arguments: Mapping[str, Json]) -> Json:
        """One command; raises what is wrong with it."""
        ...

    def answer(self, service: str, request: Request) -> Response:
        """One command as an HTTP request."""
        ...


class Gate:
    """Lets many calls through at once, or one that needs the emulators for itself."""

    def __init__(self) -> None:
        self._inside = 0
        self._closed = False
        self._condition = threading.Condition()

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Inside, the emulators stay open."""
        with self._condition:
            self._condition.wait_for(lambda: not self._closed)
            self._inside += 1
        try:
            yield
        finally:
            with self._condition:
                self._inside -= 1
                self._condition.notify_all()

    @contextmanager
    def alone(self, timeout: float | None = None) -> Iterator[bool]:
        """Inside, no call starts; yields whether none is under way (False only after `timeout` seconds)."""
        with self._condition:
            self._condition.wait_for(lambda: not self._closed, timeout)
            self._closed = True
            quiet = self._condition.wait_for(lambda: self._inside == 0, timeout)
        try:
            yield quiet
        finally:
            with self._condition:
                self._closed = False
                self._condition.notify_all()


class Application:
    """The ASGI application in front of both emulators, told apart by the port."""

    def __init__(
        self,
        emulators: Mapping[str, Emulator],
        ports: Mapping[int, str],
        faults: FaultBoard,
        calls: CallLog,
        gate: Gate,
        controller: Controller,
        wait: Wait = asyncio.sleep,
    ) -> None:
        self._emulators = emulators
        self._ports = ports
        self._controller = controller
        self._faults = faults
        self._calls = calls
        self._gate = gate
        self._delay = wait
        self._room = Room(_ROOM)
        self._workers = ThreadPoolExecutor(_THREADS, thread_name_prefix="sandbox")
        self._controllers = ThreadPoolExecutor(_CONTROL_THREADS, thread_name_prefix="sandbox-control")

    def close(self) -> None:
        """Take no more work; what runs is not waited for."""
        self._workers.shutdown(wait=False, cancel_futures=True)
        self._controllers.shutdown(wait=False, cancel_futures=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        wire = Wire(scope, receive, send)
        try:
            await self._serve(wire, self._ports[wire.port])
        finally:
            wire.done()

    async def _serve(self, wire: Wire, service: str) -> None:
        try:
            request = await wire.request(_LARGEST_BODIES[service], self._room)
        except Refused as refused:
            await wire.refuse(_unread(service, refused.status))
            return
        if request is None:
            return
        if request.target.startswith(CONTROL_PREFIX) or request.target == CONTROL_PREFIX.rstrip("/"):
            await wire.answer(await _in_thread(self._controllers, self._controller.answer, service, request))
            return
        call = self._calls.begin(service, request)
        effect = self._faults.decide(service, request, call.client)
        try:
            if effect is None:
                response = await _in_thread(self._workers, self._handle, service, request)
                self._calls.finish(call, "answered", response)
                await wire.answer(response)
            else:
                call.faults = list(effect.rules)
                hold = self._hold(service, request)
                try:
                    await self._misbehave(effect, call, service, replace(request, hold=hold), wire)
                finally:
                    if hold is not None:
                        hold.release()
        finally:
            if call.outcome == "running":
                self._calls.finish(call, "abandoned")

    def _hold(self, service: str, request: Request) -> Hold | None:
        """The place among the running requests that a slow one takes from its arrival on."""
        emulator = self._emulators[service]
        return emulator.hold(request) if isinstance(emulator, Counting) else None

    async def _misbehave(self, effect: Effect, call: Call, service: str, request: Request, wire: Wire) -> None:
        await self._wait(effect, "before", effect.delay)
        if effect.drop == "before":
            await _in_thread(self._workers, self._carry_out, effect.then)
            self._calls.finish(call, "dropped before")
            await wire.drop()
            return
        response = await _in_thread(self._workers, self._produce, effect, service, request)
        await self._wait(effect, "after", effect.delay_after)
        if effect.drop == "after":
            self._calls.finish(call, "dropped after")
            await wire.drop()
            return
        response = shaped(effect, response)
        sent = None if effect.cut is None else _portion(effect.cut, response.size)
        self._calls.finish(call, "answered" if sent is None else "truncated", response)
        await wire.answer(response, sent)

    async def _wait(self, effect: Effect, stage: str, delay: float) -> None:
        if delay > 0:
            await self._delay(delay)
        if effect.pause != stage:
            return
        limit = time.monotonic() + effect.pause_limit
        tickets = [ticket for name in effect.rules if (ticket := self._faults.enter_pause(name))]
        while time.monotonic() < limit and not all(self._faults.is_released(ticket) for ticket in tickets):  # noqa: ASYNC110
            await asyncio.sleep(_PAUSE_POLL)  # released from any thread, so an asyncio.Event would not do

    def _produce(self, effect: Effect, service: str, request: Request) -> Response:
        try:
            self._carry_out(effect.then)
            if effect.makes_answer and effect.stage == "instead":
                response = made_answer(effect, service, None)
            else:
                response = self._handle(service, request)
                if effect.makes_answer:
                    response = made_answer(effect, service, response)
            self._carry_out(effect.afterwards)
        except Exception as error:  # noqa: BLE001 - the client must see which rule is wrong
            return _failure(f"fault rule {', '.join(effect.rules)}", error)
        return response

    def _handle(self, service: str, request: Request) -> Response:
        with self._gate.shared():
            try:
                response = self._emulators[service].handle(request)
            except Exception as error:  # noqa: BLE001 - a fault of the emulator must not look like one of the service
                return _failure(f"{service} emulator, {request.method} {request.path}", error)
        self._calls.learn(request, response)
        return response

    def _carry_out(self, commands: tuple[Command, ...]) -> None:
        for command in commands:
            self._controller.run(command.service, command.command, command.arguments)


def made_answer(effect: Effect, service: str, original: Response | None) -> Response:
    """The answer that a rule puts in place of the emulator's."""
    if effect.error is not None:
        response = error_answer(service, effect.error, effect.message, effect.status, effect.retry_after)
    elif effect.answer is not None:
        headers = list(original.headers) if original else [("Content-Type", "application/json;charset=UTF-8")]
        response = Response(effect.status or (original.status if original else 200), effect.answer, headers)
    else:
        response = gateway_page(effect.status or 500)
        if effect.retry_after is not None:
            response.headers.append(("Retry-After", str(effect.retry_after)))
    return response


def shaped(effect: Effect, response: Response) -> Response:
    """The answer with headers, replaced texts, garbage and a shortened body as the rule says."""
    body = response.body
    for pattern, text in effect.replace:
        body = pattern.sub(text, body)
    if effect.garble:
        body = garbled(body, effect.noise)
    if effect.truncate is not None:
        body = body[: _portion(effect.truncate, len(body))]
    if body is not response.body:
        response = Response(response.status, body, _without_length(response.headers))
    if effect.headers:
        names = {name.lower() for name, _ in effect.headers}
        kept = [(name, value) for name, value in response.headers if name.lower() not in names]
        response = Response(response.status, body, [*kept, *effect.headers])
    return response


def garbled(body: bytes, noise: int) -> bytes:
    """The same length, one byte in eight replaced by one that no UTF-8 text contains."""
    spoilt = bytearray(body)
    for position in range(noise % 8, len(spoilt), 8):
        spoilt[position] = 0xF8 | (noise + position) % 8
    return bytes(spoilt)


def _without_length(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in headers if name.lower() != "content-length"]


def _portion(amount: float, length: int) -> int:
    return int(amount * length) if amount < 1 else int(amount)


def _unread(service: str, status: int) -> Response:
    """The answer to a request that was not read to its end; the rest of it is in the way, so the connection ends."""
    too_large = service == "dynamics" and status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    response = error_answer(service, "0x8004418a", None, None, None) if too_large else gateway_page(status)
    response.headers.append(("Connection", "close"))
    return response


def _failure(where: str, error: Exception) -> Response:
    print(f"sandbox: {where}:", file=sys.stderr)  # noqa: T201 - the sandbox's own trouble, for the person who runs it
    traceback.print_exception(error, file=sys.stderr)
    text = f"sandbox: {where}: {type(error).__name__}: {error}\n"
    return Response(500, text.encode(), [("Content-Type", "text/plain; charset=utf-8")])


async def _in_thread(pool: ThreadPoolExecutor, function: Callable[..., Any], *arguments: Any) -> Any:
    return await asyncio.get_running_loop().run_in_executor(pool, function, *arguments)
