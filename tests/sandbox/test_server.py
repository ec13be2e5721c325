"""The host: sockets, life cycle, the state that outlives it."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable

import pytest

from include.sandbox import listening, server
from include.sandbox.connection import PlainProtocol, protocol_class
from include.sandbox.folder import FolderInUse
from include.sandbox.listening import Address
from include.sandbox.server import SandboxServer
from include.sandbox.service import Request, Response
from tests.sandbox.conftest import Client
from tests.waiting import PATIENCE

Start = Callable[..., SandboxServer]


def test_sandboxes_start_on_free_ports_and_answer_at_once(start_sandbox: Start) -> None:
    clients = []
    for number in range(2):
        sandbox = start_sandbox(folder=f"folder-{number}")
        clients += [Client(sandbox.marketo_url), Client(sandbox.dynamics_url)]
        assert [client.call("GET", "/notes")[0] for client in clients[-2:]] == [200, 200]
    assert len({client.port for client in clients}) == 4


def test_each_port_leads_to_its_own_emulator(marketo: Client, dynamics: Client) -> None:
    marketo.call("POST", "/notes", b"for marketo")
    dynamics.call("POST", "/notes", b"for dynamics")
    assert marketo.notes() == ["for marketo"]
    assert dynamics.notes() == ["for dynamics"]


def test_a_request_arrives_as_it_was_sent(dynamics: Client) -> None:
    path = "/rest/../bulk/v1//leads(%27a%20b%27)/x?$select=a,b&q=%C3%A5&empty="
    connection = socket.create_connection((dynamics.host, dynamics.port))
    head = f"GET /mirror?{path} HTTP/1.1\r\nHost: crm.example:99\r\nPrefer: a\r\nPREFER: b\r\nConnection: close\r\n\r\n"
    connection.sendall(head.encode())
    with connection:
        text = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
    shown = json.loads(text.partition("\r\n\r\n")[2])
    assert shown["query"] == path
    assert shown["headers"]["prefer"] == "a, b"
    assert shown["base_url"] == "http://crm.example:99"


@pytest.mark.parametrize("target", ["/rest/../bulk/x.json", "//rest/v1/x.json", "/api/data(a%2Fb)/%7Bx%7D", "/a;b=c/d"])
def test_the_path_reaches_the_emulator_undecoded_and_unnormalised(
    sandbox: SandboxServer, marketo: Client, target: str
) -> None:
    seen: list[str] = []

    def handle(request: Request) -> Response:
        seen.append(request.target)
        return Response()

    sandbox.marketo.handle = handle  # type: ignore[method-assign]
    marketo.call("GET", target)
    assert seen == [target]


def test_an_answer_without_body_has_no_length_and_keeps_the_connection(marketo: Client) -> None:
    status, body, headers = marketo.call("GET", "/nothing")
    assert (status, body) == (204, b"")
    assert "content-length" not in headers


def test_an_error_inside_an_emulator_is_an_answer_that_names_it(
    marketo: Client, capfd: pytest.CaptureFixture[str]
) -> None:
    status, body, _ = marketo.call("GET", "/crash")
    assert status == 500
    assert b"marketo emulator" in body
    assert b"planted" in body
    assert "ZeroDivisionError" in capfd.readouterr().err


def test_a_hundred_requests_at_once_are_all_answered(sandbox: SandboxServer, marketo: Client) -> None:
    threads = [threading.Thread(target=marketo.call, args=("POST", "/notes", b"x")) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(marketo.notes()) == 100


def test_state_is_there_again_after_a_restart(start_sandbox: Start) -> None:
    first = start_sandbox()
    Client(first.marketo_url).call("POST", "/notes", b"kept")
    first.stop()
    assert Client(start_sandbox().marketo_url).notes() == ["kept"]


def test_two_sandboxes_never_share_a_folder(start_sandbox: Start) -> None:
    start_sandbox()
    with pytest.raises(FolderInUse, match="another sandbox"):
        start_sandbox()


def test_a_taken_port_is_an_error_and_frees_the_folder(start_sandbox: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(OSError, match="in use"):
        start_sandbox(address=Address(dynamics_port=other.getsockname()[1]))
    assert Client(start_sandbox().marketo_url).notes() == []


def test_all_that_stopping_waits_for_adds_up_to_less_than_two_seconds() -> None:
    assert listening._GRACE_SECONDS < listening._STOP_SECONDS
    assert listening._STOP_SECONDS + 2 * server._CLOSE_SECONDS < 2  # the gate waits twice: to be alone, then for quiet


def test_stopping_closes_the_emulators_and_waits_for_no_connection_that_is_idle(
    start_sandbox: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A shutdown that waits for this connection would wait until its keep-alive ends, after a minute.
    monkeypatch.setattr(listening, "_GRACE_SECONDS", 3600.0)
    monkeypatch.setattr(listening, "_STOP_SECONDS", PATIENCE / 2)
    sandbox = start_sandbox()
    assert sandbox._listener is not None
    thread = sandbox._listener._thread
    emulator = sandbox.marketo
    client = Client(sandbox.marketo_url)
    with socket.create_connection((client.host, client.port), timeout=PATIENCE) as idle:
        idle.sendall(b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n")
        assert idle.recv(65536).startswith(b"HTTP/1.1 204")
        assert sandbox.stop()
        assert thread is not None
        assert not thread.is_alive()
        assert idle.recv(1) == b""
    assert emulator.closed  # type: ignore[attr-defined]


@pytest.fixture(params=["fast", "plain"])
def either_protocol(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "plain":
        monkeypatch.setattr(listening, "protocol_class", lambda: PlainProtocol)
    else:
        assert protocol_class() is not PlainProtocol
    return str(request.param)


def exchange(client: Client, sent: bytes) -> bytes:
    with socket.create_connection((client.host, client.port), timeout=PATIENCE) as connection:
        connection.sendall(sent)
        received = b""
        while piece := connection.recv(65536):
            received += piece
    return received


def test_both_http_parsers_serve_drop_and_cut(either_protocol: str, start_sandbox: Start) -> None:
    sandbox = start_sandbox()
    client = Client(sandbox.marketo_url)
    ask = b"POST /notes HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx"
    bodies = []
    for effect in (
        {"drop": "before"},
        {"drop": "after"},
        {"cut": 4},
        {"status": 503, "headers": {"Connection": "close"}},
    ):
        sandbox.control("faults.set", {"rules": [{"effect": effect}]})
        bodies.append(exchange(client, ask).partition(b"\r\n\r\n"))
    assert bodies[0][0] == bodies[1][0] == b""
    assert bodies[2][2] == b'{"st'
    assert bodies[3][0].startswith(b"HTTP/1.1 503 ")
    sandbox.control("faults.clear")
    assert client.notes() == ["x", "x"]


def test_bodies_of_unknown_length_and_of_many_megabytes_arrive_whole(
    either_protocol: str, sandbox: SandboxServer, marketo: Client
) -> None:
    head = b"POST /notes HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert b"200 OK" in exchange(marketo, head + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    marketo.call("POST", "/notes", b"m" * 12_000_000)
    first, second = marketo.notes()
    assert (first, len(second)) == ("abcde", 12_000_000)


@pytest.mark.parametrize("length", [9_000, 33_000, 60_000])
def test_a_long_address_reaches_the_emulator_that_has_to_refuse_it(
    either_protocol: str, marketo: Client, length: int
) -> None:
    shown = json.loads(marketo.call("GET", "/mirror?" + "q" * length)[1])
    assert len(shown["query"]) == length


def test_requests_sent_ahead_on_one_connection_are_answered_in_order(either_protocol: str, marketo: Client) -> None:
    ask = b"GET /mirror?%d HTTP/1.1\r\nHost: x\r\n%s\r\n"
    text = exchange(marketo, ask % (1, b"") + ask % (2, b"") + ask % (3, b"Connection: close\r\n")).decode()
    assert [text.index(f'"query": "{number}"') for number in (1, 2, 3)] == sorted(
        text.index(f'"query": "{number}"') for number in (1, 2, 3)
    )


def test_head_has_the_length_but_no_body(either_protocol: str, marketo: Client) -> None:
    head, _, body = exchange(marketo, b"HEAD /notes HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").partition(
        b"\r\n\r\n"
    )
    assert head.startswith(b"HTTP/1.1 200 OK")
    assert body == b""


def test_a_client_that_leaves_in_the_middle_of_its_request_harms_nobody(marketo: Client) -> None:
    with socket.create_connection((marketo.host, marketo.port)) as connection:
        connection.sendall(b"POST /notes HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
    assert marketo.notes() == []
