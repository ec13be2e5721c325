"""Misbehaviour on request: each effect as a client sees it, on raw sockets where bytes matter."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.client import IncompleteRead, RemoteDisconnected
from pathlib import Path
from typing import Any

import pytest

from include.sandbox.listening import Address
from include.sandbox.server import SandboxServer
from tests.sandbox.conftest import Client, RecordedWaits
from tests.waiting import PATIENCE, wait_until

Start = Callable[..., SandboxServer]


def set_rules(sandbox: SandboxServer, *rules: Mapping[str, Any], seed: int = 0) -> None:
    sandbox.control("faults.set", {"rules": list(rules), "seed": seed})


def raw(client: Client, head: str = "GET /notes HTTP/1.1\r\nHost: x\r\n\r\n") -> bytes:
    """Everything the server sends until it ends the connection (or keeps still for a while)."""
    received = b""
    with socket.create_connection((client.host, client.port), timeout=PATIENCE) as connection:
        connection.sendall(head.encode())
        while True:
            try:
                piece = connection.recv(65536)
            except ConnectionResetError:
                return received
            if not piece:
                return received
            received += piece


def test_without_a_plan_answers_are_untouched(sandbox: SandboxServer, marketo: Client) -> None:
    set_rules(sandbox, {"effect": {"status": 503}})
    assert marketo.call("GET", "/notes")[0] == 503
    sandbox.control("faults.clear")
    status, body, headers = marketo.call("GET", "/nothing")
    assert (status, body, set(headers)) == (204, b"", {"date"})


def test_a_connection_dropped_before_leaves_nothing_behind(sandbox: SandboxServer, marketo: Client) -> None:
    set_rules(sandbox, {"method": "POST", "effect": {"drop": "before"}})
    with pytest.raises((RemoteDisconnected, ConnectionResetError)):
        marketo.call("POST", "/notes", b"lost")
    assert marketo.notes() == []


def test_a_connection_dropped_after_has_committed(sandbox: SandboxServer, marketo: Client) -> None:
    set_rules(sandbox, {"method": "POST", "effect": {"drop": "after"}})
    with pytest.raises((RemoteDisconnected, ConnectionResetError)):
        marketo.call("POST", "/notes", b"kept")
    assert marketo.notes() == ["kept"]


def test_a_dropped_connection_carries_not_one_byte(sandbox: SandboxServer, marketo: Client) -> None:
    for stage in ("before", "after"):
        set_rules(sandbox, {"effect": {"drop": stage}})
        assert raw(marketo) == b""


def test_a_dropped_connection_takes_no_other_along(sandbox: SandboxServer, marketo: Client) -> None:
    with socket.create_connection((marketo.host, marketo.port), timeout=PATIENCE) as bystander:
        bystander.sendall(b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n")
        assert bystander.recv(65536).startswith(b"HTTP/1.1 204")
        set_rules(sandbox, {"path": "/notes", "effect": {"drop": "before"}})
        assert raw(marketo) == b""
        bystander.sendall(b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n")
        assert bystander.recv(65536).startswith(b"HTTP/1.1 204")


def test_a_cut_body_announces_its_full_length_and_ends_early(sandbox: SandboxServer, marketo: Client) -> None:
    whole = marketo.call("GET", "/notes")[1]
    set_rules(sandbox, {"effect": {"cut": 10}})
    with pytest.raises(IncompleteRead) as caught:
        marketo.call("GET", "/notes")
    assert caught.value.partial == whole[:10]
    set_rules(sandbox, {"effect": {"cut": 0.5}})
    head, _, body = raw(marketo).partition(b"\r\n\r\n")
    assert f"content-length: {len(whole)}".encode() in head
    assert body == whole[: len(whole) // 2]


def test_a_truncated_body_is_a_whole_answer_of_a_part(sandbox: SandboxServer, marketo: Client) -> None:
    whole = marketo.call("GET", "/notes")[1]
    set_rules(sandbox, {"effect": {"truncate": 0.5}})
    status, body, headers = marketo.call("GET", "/notes")
    assert status == 200
    assert body == whole[: len(whole) // 2]
    assert headers["content-length"] == str(len(body))


def test_a_garbled_body_is_no_text_and_the_same_each_time(sandbox: SandboxServer, marketo: Client) -> None:
    bodies = []
    for _ in range(2):
        set_rules(sandbox, {"path": "/mirror", "effect": {"garble": True}}, seed=5)
        bodies.append(marketo.call("GET", "/mirror")[1])
    assert bodies[0] == bodies[1]
    with pytest.raises(UnicodeDecodeError):
        bodies[0].decode()


def test_texts_in_an_answer_can_be_replaced(sandbox: SandboxServer, marketo: Client) -> None:
    marketo.call("POST", "/notes", b"one")
    set_rules(sandbox, {"effect": {"replace": [['"(o)ne"', r'"tw\1"']], "headers": {"X-Extra": "1"}}})
    _, body, headers = marketo.call("GET", "/notes")
    assert json.loads(body)["notes"] == ["two"]
    assert headers["x-extra"] == "1"


@pytest.mark.parametrize("code", ["601", "602", "604", "606", "607", "608", "611", "615", "713"])
def test_marketo_errors_come_in_its_envelope(sandbox: SandboxServer, marketo: Client, code: str) -> None:
    set_rules(sandbox, {"service": "marketo", "effect": {"error": code}})
    status, body, headers = marketo.call("POST", "/notes", b"lost")
    answer = json.loads(body)
    assert status == 200
    assert headers["content-type"] == "application/json;charset=UTF-8"
    assert answer["success"] is False
    assert "result" not in answer
    assert answer["errors"][0]["code"] == code
    assert answer["errors"][0]["message"]
    assert "#" in answer["requestId"]
    sandbox.control("faults.clear")
    assert marketo.notes() == []  # a 6xx was not executed


@pytest.mark.parametrize(
    ("code", "status"), [("0x80072322", 429), ("0x80072321", 429), ("0x80072326", 429), ("0x80060882", 412)]
)
def test_dynamics_errors_come_in_its_envelope(sandbox: SandboxServer, dynamics: Client, code: str, status: int) -> None:
    set_rules(sandbox, {"service": "dynamics", "effect": {"error": code, "retry_after": 7}})
    found, body, headers = dynamics.call("GET", "/notes")
    assert found == status
    assert set(json.loads(body)["error"]) == {"code", "message"}
    assert json.loads(body)["error"]["code"] == code
    assert headers["odata-version"] == "4.0"
    assert headers["retry-after"] == "7"


def test_an_answer_can_be_taken_away_after_the_commit(sandbox: SandboxServer, marketo: Client) -> None:
    set_rules(sandbox, {"method": "POST", "effect": {"status": 502, "stage": "after"}})
    status, body, headers = marketo.call("POST", "/notes", b"kept")
    assert (status, headers["content-type"]) == (502, "text/html")
    assert b"502 Bad Gateway" in body
    assert marketo.notes() == ["kept"]


def test_any_answer_can_be_given(sandbox: SandboxServer, marketo: Client) -> None:
    effect = {"status": 418, "answer": {"short": "stout"}, "headers": {"Content-Type": "application/tea"}}
    set_rules(sandbox, {"effect": effect})
    status, body, headers = marketo.call("GET", "/notes")
    assert (status, json.loads(body), headers["content-type"]) == (418, {"short": "stout"}, "application/tea")


def test_a_delay_holds_back_only_the_requests_it_matches(start_sandbox: Start) -> None:
    waits = RecordedWaits()
    sandbox = start_sandbox(wait=waits)
    marketo = Client(sandbox.marketo_url)
    set_rules(sandbox, {"path": "/notes", "effect": {"delay": 300, "delay_after": 100}})
    marketo.call("GET", "/nothing")
    assert waits == []
    marketo.call("GET", "/notes")
    assert waits == [300, 100]


@pytest.mark.parametrize(("effect", "kept"), [("delay", []), ("delay_after", ["kept"])])
def test_a_delay_comes_before_the_emulator_or_between_it_and_the_answer(
    start_sandbox: Start, effect: str, kept: list[str]
) -> None:
    waiting, enough = threading.Event(), threading.Event()

    async def wait(_seconds: float) -> None:
        waiting.set()
        await asyncio.to_thread(enough.wait)

    sandbox = start_sandbox(wait=wait)
    marketo = Client(sandbox.marketo_url)
    set_rules(sandbox, {"method": "POST", "effect": {effect: 0.001}})
    answers: list[int] = []
    sender = threading.Thread(target=lambda: answers.append(marketo.call("POST", "/notes", b"kept")[0]))
    sender.start()
    try:
        assert waiting.wait(PATIENCE)
        assert marketo.notes() == kept
        assert answers == []
    finally:
        enough.set()
        sender.join()
    assert answers == [200]
    assert marketo.notes() == ["kept"]


def test_a_paused_request_waits_until_it_is_released(sandbox: SandboxServer, marketo: Client) -> None:
    set_rules(sandbox, {"name": "gate", "method": "POST", "effect": {"pause": "after", "pause_limit": 600}})
    answers: list[int] = []
    sender = threading.Thread(target=lambda: answers.append(marketo.call("POST", "/notes", b"kept")[0]))
    sender.start()
    wait_until(lambda: sandbox.control("faults.list")["rules"][0]["paused"] == 1)
    assert marketo.notes() == ["kept"]  # committed, and the client does not know
    assert answers == []
    assert sandbox.control("faults.release", {"rule": "gate"}) == {"released": 1}
    sender.join()
    assert answers == [200]


def test_a_command_is_carried_out_before_the_request_that_triggers_it(
    sandbox: SandboxServer, marketo: Client, dynamics: Client
) -> None:
    edit = {"service": "dynamics", "command": "write", "arguments": {"body": "edited under way"}}
    late = {"service": "marketo", "command": "write", "arguments": {"body": "edited after"}}
    effect = {"then": edit, "afterwards": late}
    set_rules(sandbox, {"service": "marketo", "method": "POST", "times": 1, "effect": effect})
    marketo.call("POST", "/notes", b"written by the run")
    marketo.call("POST", "/notes", b"written again")
    assert dynamics.notes() == ["edited under way"]
    assert marketo.notes() == ["written by the run", "edited after", "written again"]


def test_a_command_on_the_same_service_is_seen_by_the_request(sandbox: SandboxServer, marketo: Client) -> None:
    edit = {"service": "marketo", "command": "write", "arguments": {"body": "just in time"}}
    set_rules(sandbox, {"method": "GET", "times": 1, "effect": {"then": [edit]}})
    assert marketo.notes() == ["just in time"]


def test_a_command_of_the_host_can_come_first_too(sandbox: SandboxServer, marketo: Client) -> None:
    before = sandbox.clock.now()
    later = {"command": "clock.advance", "arguments": {"seconds": 4000}}
    set_rules(sandbox, {"times": 1, "effect": {"then": later}})
    marketo.call("GET", "/notes")
    assert (sandbox.clock.now() - before).total_seconds() >= 4000


def test_even_a_restore_can_come_first(sandbox: SandboxServer, marketo: Client) -> None:
    sandbox.control("snapshot.save")
    marketo.call("POST", "/notes", b"gone")
    set_rules(sandbox, {"times": 1, "effect": {"then": {"command": "snapshot.restore"}}})
    assert marketo.notes() == []


def test_a_command_that_fails_is_reported_to_the_client(
    sandbox: SandboxServer, marketo: Client, capfd: pytest.CaptureFixture[str]
) -> None:
    wrong = {"service": "marketo", "command": "no such", "arguments": {}}
    set_rules(sandbox, {"name": "typo", "effect": {"then": wrong}})
    status, body, _ = marketo.call("GET", "/notes")
    assert status == 500
    assert b"typo" in body
    assert b"no such" in body
    assert "UnknownCommand" in capfd.readouterr().err


def test_of_two_rules_that_fire_the_first_decides_and_the_second_adds(sandbox: SandboxServer, marketo: Client) -> None:
    write = {"service": "marketo", "command": "write", "arguments": {"body": "x"}}
    set_rules(
        sandbox,
        {"effect": {"status": 503, "then": write}},
        {"effect": {"status": 504, "then": write, "headers": {"X-Second": "yes"}}},
    )
    status, _, headers = marketo.call("GET", "/nothing")
    assert (status, headers["x-second"]) == (503, "yes")
    sandbox.control("faults.clear")
    assert marketo.notes() == ["x", "x"]


def test_a_refused_plan_leaves_the_old_one_in_force(sandbox: SandboxServer, marketo: Client) -> None:
    set_rules(sandbox, {"effect": {"status": 503}})
    with pytest.raises(ValueError, match="repeat"):
        set_rules(sandbox, {"name": "a"}, {"name": "a"})
    assert marketo.call("GET", "/notes")[0] == 503


def test_rules_can_be_added_to_a_plan(sandbox: SandboxServer, marketo: Client) -> None:
    set_rules(sandbox, {"path": "/a", "effect": {"status": 503}})
    sandbox.control("faults.add", {"rules": [{"path": "/b", "effect": {"status": 504}}]})
    assert [marketo.call("GET", path)[0] for path in ("/a", "/b")] == [503, 504]


def test_a_slow_answer_does_not_hold_up_the_end(sandbox: SandboxServer, marketo: Client) -> None:
    set_rules(sandbox, {"path": "/notes", "effect": {"delay": 3600}})
    with socket.create_connection((marketo.host, marketo.port), timeout=PATIENCE) as waiting:
        waiting.sendall(b"GET /notes HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until(lambda: sandbox.calls.position == 1)
        assert marketo.call("GET", "/nothing")[0] == 204  # time enough for an answer that is not held back
        (slow, _) = sandbox.calls.entries()
        assert slow.outcome == "running"
        assert sandbox.stop()
        with suppress(ConnectionResetError):
            assert waiting.recv(1) == b""
    wait_until(lambda: slow.outcome == "abandoned")


def test_faults_work_under_tls(start_sandbox: Start, certificate: tuple[Path, Path]) -> None:
    sandbox = start_sandbox(address=Address(tls_cert=certificate[0], tls_key=certificate[1]))
    assert sandbox.marketo_url.startswith("https://")
    port = int(sandbox.marketo_url.rpartition(":")[2])
    trust = ssl.create_default_context(cafile=certificate[0])

    def talk() -> bytes:
        received = b""
        with (
            socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as plain,
            trust.wrap_socket(plain, server_hostname="127.0.0.1", suppress_ragged_eofs=True) as connection,
        ):
            connection.sendall(b"POST /notes HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx")
            try:
                while piece := connection.recv(65536):
                    received += piece
            except (ConnectionResetError, ssl.SSLError):
                return received
        return received

    assert talk().startswith(b"HTTP/1.1 200 OK")
    for stage in ("before", "after"):
        set_rules(sandbox, {"effect": {"drop": stage}})
        assert talk() == b""
    assert len(sandbox.marketo.notes()) == 2  # type: ignore[attr-defined]
    set_rules(sandbox, {"effect": {"cut": 5}})
    assert talk().partition(b"\r\n\r\n")[2] == b'{"sto'
