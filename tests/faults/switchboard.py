"""The sandbox's fault plans in a world without sockets: the same rules, the same answers, time that is moved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from urllib.parse import urlsplit

from include.leadsync.clients.transport import Headers, HttpRequest, HttpResponse
from include.sandbox.fault_rules import Command, Effect
from include.sandbox.faults import FaultBoard
from include.sandbox.hosting import made_answer, shaped
from include.sandbox.service import Json, Request, Response
from tests.world import DYNAMICS, MARKETO, World
from tests.world_transport import ConnectionDropped

_SERVICES = {MARKETO: "marketo", DYNAMICS: "dynamics"}


@contextmanager
def misbehaving(world: World, rules: Sequence[Mapping[str, Json]], seed: int = 0) -> Iterator[FaultBoard]:
    """While the block runs, both services misbehave by this plan; the board tells what fired.

    `pause` is not played: it needs somebody beside who lets go (tests/cli/test_two_cycles.py).
    """
    board = FaultBoard()
    board.set(rules, seed)

    def between(request: HttpRequest) -> HttpResponse | None:
        parts = urlsplit(request.url)
        service = _SERVICES[f"{parts.scheme}://{parts.netloc}"]
        effect = board.decide(service, Request(request.method, parts.path, parts.query, {}, request.body or b""))
        return None if effect is None else _answer(world, effect, service, request)

    world.transport.before.append(between)
    try:
        yield board
    finally:
        world.transport.before.remove(between)


def _answer(world: World, effect: Effect, service: str, request: HttpRequest) -> HttpResponse:
    _pass_time(world, effect.delay, request)
    _carry_out(world, effect.then)
    if effect.drop == "before":
        raise ConnectionDropped
    if effect.makes_answer and effect.stage == "instead":
        response = made_answer(effect, service, None)
    else:
        answer = world.transport._pass_on(request)
        response = Response(answer.status, answer.body, list(answer.headers.items()))
        if effect.makes_answer:
            response = made_answer(effect, service, response)
    _carry_out(world, effect.afterwards)
    _pass_time(world, effect.delay_after, request)
    too_late = max(effect.delay, effect.delay_after) > request.timeout
    if too_late or effect.drop == "after" or effect.cut is not None:  # half an answer is none to our transport
        raise ConnectionDropped
    response = shaped(effect, response)
    return HttpResponse(response.status, Headers(dict(response.headers)), response.body)


def _pass_time(world: World, seconds: float, request: HttpRequest) -> None:
    """The client waits no longer than it said it would; what the service does later it never sees."""
    world.movable.advance(min(seconds, request.timeout))


def _carry_out(world: World, commands: Sequence[Command]) -> None:
    for command in commands:
        emulator = world.marketo if command.service == "marketo" else world.dynamics
        emulator.control(command.command, command.arguments)
