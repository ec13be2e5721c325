"""What clients do wrong, slowly or all at once: the emulator answers as a web server would, and serves the others."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any

import psutil
import pytest

from include.sandbox import connection, hosting, listening, wire
from include.sandbox.connection import PlainProtocol
from include.sandbox.listening import Address
from include.sandbox.server import SandboxServer
from include.sandbox.service import Response
from tests.sandbox.conftest import Client
from tests.waiting import PATIENCE, wait_until

Start = Callable[..., SandboxServer]
HOST = b"Host: x\r\n"


@pytest.fixture(params=["fast", "plain"])
def either_protocol(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "plain":
        monkeypatch.setattr(listening, "protocol_class", lambda: PlainProtocol)
    return str(request.param)


class HeadDeadlines:
    """The time that connections have for a head: it is over when the test says so."""

    def __init__(self) -> None:
        self.running: list[tuple[connection.Guarded, Any]] = []

    def received(self) -> list[int]:
        """Bytes that belong to no request yet, of each connection whose time runs."""
        return [protocol._head_bytes for protocol, _ in self.running]

    def pass_by(self) -> None:
        """Let the time of every connection be over."""
        over, self.running[:] = list(self.running), []
        for protocol, cycle in over:
            looked = threading.Event()
            protocol.loop.call_soon_threadsafe(self._end, protocol, cycle, looked)
            assert looked.wait(PATIENCE)

    @staticmethod
    def _end(protocol: connection.Guarded, cycle: Any, looked: threading.Event) -> None:
        if protocol._deadline is not None:
            protocol._deadline.cancel()
        protocol._look(cycle)
        looked.set()


@pytest.fixture
def deadlines(monkeypatch: pytest.MonkeyPatch) -> HeadDeadlines:
    made, expect_head = HeadDeadlines(), connection.Guarded._expect_head

    def noted(protocol: connection.Guarded) -> None:
        runs = protocol._deadline is not None
        expect_head(protocol)
        if not runs:
            made.running.append((protocol, protocol.cycle))

    monkeypatch.setattr(connection, "HEAD_SECONDS", 3600.0)
    monkeypatch.setattr(connection.Guarded, "_expect_head", noted)
    return made


@pytest.fixture
def peer(marketo: Client) -> Iterator[Callable[[bytes], socket.socket]]:
    """Opens connections to the Marketo port and sends something; all are closed at the end."""
    with ExitStack() as stack:

        def open_one(sent: bytes = b"") -> socket.socket:
            one = stack.enter_context(socket.create_connection((marketo.host, marketo.port), timeout=PATIENCE))
            if sent:
                one.sendall(sent)
            return one

        yield open_one


def rest(one: socket.socket) -> bytes:
    """Everything until the other side ends."""
    received = b""
    try:
        while piece := one.recv(65536):
            received += piece
    except ConnectionResetError:
        pass
    return received


def served(marketo: Client) -> bool:
    return marketo.call("GET", "/mirror")[0] == 200


WRONG = {
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),
    "text": b"hello there\r\n\r\n",
    "half a version": b"GET /notes HTTP/1\r\n" + HOST + b"\r\n",
    "no host": b"GET /notes HTTP/1.1\r\n\r\n",
    "no name": b"GET /notes HTTP/1.1\r\n: value\r\n\r\n",
    "a blank before the colon": b"GET /notes HTTP/1.1\r\nHost : x\r\n\r\n",
    "a null in a header": b"GET /notes HTTP/1.1\r\nHost: x\r\nA: \x00\r\n\r\n",
    "two lengths": b"POST /notes HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "a negative length": b"POST /notes HTTP/1.1\r\n" + HOST + b"Content-Length: -1\r\n\r\n",
    "no number as length": b"POST /notes HTTP/1.1\r\n" + HOST + b"Content-Length: many\r\n\r\n",
}  # fmt: skip


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_no_http_is_refused_and_nothing_is_done(
    either_protocol: str, marketo: Client, peer: Callable[..., socket.socket], kind: str
) -> None:
    answer = rest(peer(WRONG[kind]))
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"connection: close" in answer.lower()
    assert answer.count(b"HTTP/1.1") == 1
    assert marketo.notes() == []


def test_a_chunk_that_is_none_ends_the_connection_and_nothing_is_done(
    either_protocol: str, marketo: Client, peer: Callable[..., socket.socket]
) -> None:
    head = b"POST /notes HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
    answer = rest(peer(head + b"zz\r\nabc\r\n"))
    assert answer == b"" or answer.startswith(b"HTTP/1.1 400 ")
    assert marketo.notes() == []


@pytest.mark.parametrize("end", [b"", b"\r\n\r\n"])
def test_a_head_without_end_is_refused(
    either_protocol: str, marketo: Client, peer: Callable[..., socket.socket], end: bytes
) -> None:
    one = peer(b"GET /notes HTTP/1.1\r\n" + HOST)
    line = b"X-Filler: " + b"f" * 8_000 + b"\r\n"
    answer = b""
    try:
        for _ in range(200):
            one.sendall(line)
        one.sendall(end)
        answer = rest(one)
    except (BrokenPipeError, ConnectionResetError):
        pass  # it was closed while this side still wrote; the answer may be lost then
    assert answer == b"" or answer.startswith((b"HTTP/1.1 431 ", b"HTTP/1.1 400 "))
    assert served(marketo)


@pytest.mark.parametrize("length", [62_000, 70_000, 200_000])
def test_an_address_beyond_all_measure_is_refused(
    either_protocol: str, marketo: Client, peer: Callable[..., socket.socket], length: int
) -> None:
    answer = rest(peer(b"GET /mirror?" + b"x" * length + b" HTTP/1.1\r\n" + HOST + b"\r\n"))
    assert answer.startswith(b"HTTP/1.1 414 ")
    assert served(marketo)


def test_a_long_address_that_comes_in_pieces_is_served(
    either_protocol: str, peer: Callable[..., socket.socket]
) -> None:
    one = peer(b"GET /mirror?" + b"x" * 50_000)
    one.sendall(b"y HTTP/1.1\r\n" + b"A: " + b"z" * 50_000 + b"\r\n")
    one.sendall(HOST + b"Connection: close\r\n\r\n")
    assert b'xxy"' in rest(one)


@pytest.mark.parametrize("method", [b"BREW", b"get", b"X-2"])
def test_any_word_is_a_method_that_the_service_may_refuse(
    either_protocol: str, peer: Callable[..., socket.socket], method: bytes
) -> None:
    odd = method + b" /mirror HTTP/1.1\r\n" + HOST + b"\r\n"
    answer = rest(peer(odd + b"GET /mirror HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"))
    assert [b'"method": "%s"' % word in answer for word in (method, b"GET", b"OPTIONS")] == [True, True, False]


@pytest.mark.parametrize("sent", [b"", b"GET", b"GET /notes HTTP/1.1\r\nHos"], ids=["nothing", "a word", "half a head"])
def test_a_head_that_does_not_come_ends_the_connection(
    deadlines: HeadDeadlines, either_protocol: str, marketo: Client, peer: Callable[..., socket.socket], sent: bytes
) -> None:
    one = peer(sent)
    wait_until(lambda: deadlines.received() == [len(sent)])
    deadlines.pass_by()
    assert rest(one) == b""
    assert served(marketo)


def test_a_second_head_that_does_not_come_ends_the_connection(
    deadlines: HeadDeadlines, either_protocol: str, peer: Callable[..., socket.socket]
) -> None:
    one = peer(b"GET /nothing HTTP/1.1\r\n" + HOST + b"\r\n")
    assert one.recv(1000).startswith(b"HTTP/1.1 204 ")
    one.sendall(b"GET /no")
    wait_until(lambda: deadlines.received() == [len(b"GET /no")])
    deadlines.pass_by()  # of the first head, which came: now the time of the second begins
    assert deadlines.received() == [len(b"GET /no")]
    deadlines.pass_by()
    assert rest(one) == b""


def test_an_answer_that_takes_long_is_not_cut_by_the_deadline_of_heads(
    deadlines: HeadDeadlines, either_protocol: str, sandbox: SandboxServer, peer: Callable[..., socket.socket]
) -> None:
    sandbox.control("faults.set", {"rules": [{"path": "mirror", "effect": {"pause": "before", "pause_limit": 600}}]})
    one = peer(b"GET /mirror HTTP/1.1\r\n" + HOST + b"\r\n")
    wait_until(lambda: sandbox.control("faults.list")["rules"][0]["paused"] == 1)
    deadlines.pass_by()
    one.sendall(b"GET /no")
    for _ in range(3):
        wait_until(lambda: deadlines.received() == [len(b"GET /no")])
        deadlines.pass_by()
    sandbox.control("faults.release")
    assert one.recv(1000).startswith(b"HTTP/1.1 200 ")


def test_a_body_that_stands_still_is_refused(
    monkeypatch: pytest.MonkeyPatch, either_protocol: str, marketo: Client, peer: Callable[..., socket.socket]
) -> None:
    monkeypatch.setattr(wire, "STALL_SECONDS", 0.05)
    answer = rest(peer(b"POST /notes HTTP/1.1\r\n" + HOST + b"Content-Length: 9\r\n\r\nhalf"))
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert marketo.notes() == []


class Pipe:
    """A transport under a Wire: `rates` are the bytes that the client reads between two looks."""

    def __init__(self, size: int, rates: list[int]) -> None:
        self.left, self.rates = size, rates
        self.aborted = False
        self.free = asyncio.Event()

    def get_write_buffer_size(self) -> int:
        self.left -= self.rates.pop(0) if self.rates else 0
        if self.left <= 0:
            self.free.set()
        return self.left

    def abort(self) -> None:
        self.aborted = True
        self.free.set()


@pytest.mark.parametrize(("rates", "given_up"), [([], True), ([10, 10, 0], True), ([1] * 30, False)])
def test_an_answer_that_nobody_reads_is_given_up_and_one_read_slowly_is_not(
    monkeypatch: pytest.MonkeyPatch, rates: list[int], given_up: bool
) -> None:
    monkeypatch.setattr(wire, "STALL_SECONDS", 0.001)

    async def answer() -> bool:
        pipe = Pipe(30, rates)

        async def send(message: wire.Message) -> None:
            if message["type"] == "http.response.body":
                await pipe.free.wait()

        scope: wire.Scope = {"state": {connection.TRANSPORT: pipe}}
        await wire.Wire(scope, asyncio.Queue().get, send).answer(Response(200, b"x" * 30))
        return pipe.aborted

    assert asyncio.run(answer()) is given_up


LARGE = {
    "announced": b"Content-Length: 99999999999\r\n\r\n",
    "announced, asking first": b"Content-Length: 99999999999\r\nExpect: 100-continue\r\n\r\n",
}


@pytest.mark.parametrize("kind", LARGE)
def test_a_body_that_is_announced_too_large_is_refused_before_it_is_sent(
    either_protocol: str, peer: Callable[..., socket.socket], kind: str
) -> None:
    answer = rest(peer(b"POST /notes HTTP/1.1\r\n" + HOST + LARGE[kind]))
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert answer.count(b"HTTP/1.1") == 1


def test_a_body_of_chunks_without_end_is_refused(
    monkeypatch: pytest.MonkeyPatch, either_protocol: str, marketo: Client, peer: Callable[..., socket.socket]
) -> None:
    monkeypatch.setitem(hosting._LARGEST_BODIES, "marketo", 200_000)
    one = peer(b"POST /notes HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n")
    answer = b""
    try:
        for _ in range(20):
            one.sendall(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
        answer = rest(one)
    except (BrokenPipeError, ConnectionResetError):
        pass
    assert answer == b"" or answer.startswith(b"HTTP/1.1 413 ")
    assert marketo.notes() == []


def test_dynamics_says_in_its_own_words_that_a_body_is_too_large(dynamics: Client) -> None:
    with socket.create_connection((dynamics.host, dynamics.port), timeout=PATIENCE) as one:
        one.sendall(b"POST /api HTTP/1.1\r\n" + HOST + b"Content-Length: 122527745\r\n\r\n")
        answer = rest(one)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'"code": "0x8004418a"' in answer


def test_bodies_under_way_never_take_more_than_their_room(
    monkeypatch: pytest.MonkeyPatch, start_sandbox: Start
) -> None:
    monkeypatch.setattr(hosting, "_ROOM", 100_000)
    sandbox = start_sandbox()
    marketo = Client(sandbox.marketo_url)
    half = b"POST /notes HTTP/1.1\r\n" + HOST + b"Content-Length: 60000\r\n\r\n" + b"x" * 59_999
    with socket.create_connection((marketo.host, marketo.port), timeout=PATIENCE) as one:
        one.sendall(half)
        assert sandbox._app is not None
        room = sandbox._app._room
        wait_until(lambda: room.left <= 40_001)
        assert marketo.call("POST", "/notes", b"y" * 50_000)[0] == 503
        one.sendall(b"x")
        assert one.recv(100).startswith(b"HTTP/1.1 200 ")
    wait_until(lambda: room.left == 100_000)  # given back just after the answer
    assert marketo.call("POST", "/notes", b"y" * 90_000)[0] == 200


def test_a_client_that_asks_first_is_told_to_go_on(either_protocol: str, peer: Callable[..., socket.socket]) -> None:
    asking = b"Connection: close\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
    one = peer(b"POST /notes HTTP/1.1\r\n" + HOST + asking)
    assert one.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
    one.sendall(b"abc")
    assert b"200 OK" in rest(one)


def test_chunks_with_extensions_and_trailers_are_one_body(
    either_protocol: str, marketo: Client, peer: Callable[..., socket.socket]
) -> None:
    head = b"POST /notes HTTP/1.1\r\n" + HOST + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert b"200 OK" in rest(peer(head + b"3;a=b\r\nabc\r\n1\r\nd\r\n0\r\nX-Trailer: t\r\n\r\n"))
    assert marketo.notes() == ["abcd"]


def test_a_hundred_requests_sent_ahead_are_answered_in_order(
    either_protocol: str, peer: Callable[..., socket.socket]
) -> None:
    asked = b"".join(b"GET /mirror?n=%03d HTTP/1.1\r\n%s\r\n" % (number, HOST) for number in range(100))
    text = rest(peer(asked + b"GET /nothing HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"))
    found = [text.find(b'"query": "n=%03d"' % number) for number in range(100)]
    assert -1 not in found
    assert found == sorted(found)
    assert b"HTTP/1.1 204 " in text


@pytest.mark.parametrize("protocol", [b"websocket", b"h2c"])
def test_an_upgrade_is_not_followed(peer: Callable[..., socket.socket], protocol: bytes) -> None:
    one = peer(b"GET /mirror HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: " + protocol + b"\r\n\r\n")
    assert one.recv(1000).startswith(b"HTTP/1.1 200 ")


def test_http_1_0_is_answered_and_the_connection_ends(either_protocol: str, peer: Callable[..., socket.socket]) -> None:
    assert b"200 OK" in rest(peer(b"GET /mirror HTTP/1.0\r\n\r\n"))


def test_a_thousand_idle_connections_are_in_nobodys_way(marketo: Client, peer: Callable[..., socket.socket]) -> None:
    before = psutil.Process().memory_info().rss
    idle = [peer() for _ in range(400)]
    half = [peer(b"POST /notes HTTP/1.1\r\n" + HOST + b"Content-Length: 9\r\n\r\nhalf") for _ in range(300)]
    mute = [peer(b"GET /no") for _ in range(300)]
    assert all(served(marketo) for _ in range(20))
    assert psutil.Process().memory_info().rss - before < 100 * 2**20
    half[7].sendall(b"-body")
    assert half[7].recv(1000).startswith(b"HTTP/1.1 200 ")
    assert marketo.notes() == ["half-body"]
    assert len(idle) + len(mute) == 700


@pytest.mark.parametrize("sent", [b"GET /mirror HTTP/1.1\r\nHost: x\r\n\r\n", b"hello", bytes(300)])
def test_clear_text_at_a_tls_port_ends_the_connection_and_others_are_served(
    start_sandbox: Start, certificate: tuple[Path, Path], capfd: pytest.CaptureFixture[str], sent: bytes
) -> None:
    address = Address(tls_cert=certificate[0], tls_key=certificate[1])
    port = int(start_sandbox(address=address).marketo_url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as one:
        one.sendall(sent)
        assert not rest(one).startswith(b"HTTP/")
    trust = ssl.create_default_context(cafile=certificate[0])
    secure = HTTPSConnection("127.0.0.1", port, timeout=PATIENCE, context=trust)
    secure.request("GET", "/mirror")
    assert secure.getresponse().status == 200
    secure.close()
    assert capfd.readouterr().err == ""
