"""Two client processes against a server process that is killed again and again: no answered write is ever lost.

It takes some seconds: processes have to start, and the point is that they are real ones.
"""

from __future__ import annotations

import json
import queue
import re
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from include.sandbox.clock import MovableClock
from include.sandbox.dynamics import DynamicsEmulator
from include.sandbox.marketo import MarketoEmulator
from tests.waiting import PATIENCE

READY = re.compile(r"ready marketo=http://127\.0\.0\.1:(\d+) dynamics=http://127\.0\.0\.1:(\d+)\n")
SHARED = "00000000-0000-4000-8000-00000000c0de"

# Writes to both services in turn and says what was answered, one line each, until the connection breaks.
CLIENT = """
import http.client, json, sys, urllib.parse, uuid
name, marketo, dynamics, shared = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
links = {port: http.client.HTTPConnection("127.0.0.1", port, timeout=60) for port in (marketo, dynamics)}
def call(port, method, path, body, headers):
    links[port].request(method, path, body, headers)
    answer = links[port].getresponse()
    content = answer.read()
    assert answer.status < 300, (answer.status, content)
    return json.loads(content) if content else None
try:
    login = {"grant_type": "client_credentials", "client_id": "sandbox", "client_secret": "sandbox"}
    token = call(marketo, "GET", "/identity/oauth/token?" + urllib.parse.urlencode(login), None, {})["access_token"]
    one = {"Authorization": "Bearer " + token, "Content-Type": "application/json"}
    form = urllib.parse.urlencode({**login, "scope": f"http://127.0.0.1:{dynamics}/.default"})
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    token = call(dynamics, "POST", "/sandbox/oauth2/v2.0/token", form, kind)["access_token"]
    two = {"Authorization": "Bearer " + token, "Content-Type": "application/json"}
    for turn in range(100_000):
        people = [{"email": f"{name}-{turn}-{n}@example.test", "title": "x" * 200} for n in range(3)]
        result = call(marketo, "POST", "/rest/v1/leads.json", json.dumps({"input": people}), one)["result"]
        print(json.dumps(["person", [entry["id"] for entry in result]]), flush=True)
        row = str(uuid.uuid4())
        lead = json.dumps({"leadid": row, "lastname": name, "jobtitle": str(turn), "description": "y" * 500})
        call(dynamics, "POST", "/api/data/v9.2/leads", lead, two)
        print(json.dumps(["lead", [row]]), flush=True)
        number = json.dumps({"telephone1": f"{name}-{turn}"})
        call(dynamics, "PATCH", f"/api/data/v9.2/contacts({shared})", number, two)
        print(json.dumps(["shared", [f"{name}-{turn}"]]), flush=True)
except (ConnectionError, http.client.HTTPException):
    pass
"""


class Round:
    """One life of the server with two clients; `said` are the writes that were answered."""

    def __init__(self, stack: ExitStack, folder: Path, root: Path, name: str) -> None:
        self.said: list[tuple[str, Any]] = []
        self._lines: queue.Queue[str] = queue.Queue()
        command = [sys.executable, "-m", "include.sandbox", "serve", "--data-dir", str(folder)]
        self._server = self._start(stack, root, [*command, "--marketo-port", "0", "--dynamics-port", "0"])
        assert self._server.stdout is not None
        ready = READY.fullmatch(self._server.stdout.readline())
        assert ready
        clients = [f"{name}{number}" for number in range(2)]
        self._clients = [
            self._start(stack, root, [sys.executable, "-c", CLIENT, one, ready[1], ready[2], SHARED]) for one in clients
        ]
        self._readers = [threading.Thread(target=self._read, args=(client,), daemon=True) for client in self._clients]
        for reader in self._readers:
            reader.start()

    @staticmethod
    def _start(stack: ExitStack, root: Path, command: list[str]) -> subprocess.Popen[str]:
        process = subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        stack.enter_context(process)
        stack.callback(process.kill)
        return process

    def _read(self, client: subprocess.Popen[str]) -> None:
        assert client.stdout is not None
        for line in client.stdout:
            self._lines.put(line)

    def kill_after(self, answers: int) -> None:
        """Let so many writes be answered, kill the server, wait for the clients to give up."""
        for _ in range(answers):
            self._keep(self._lines.get(timeout=PATIENCE))
        self._server.send_signal(signal.SIGKILL)
        self._server.wait(PATIENCE)
        for client, reader in zip(self._clients, self._readers, strict=True):
            assert client.wait(PATIENCE) == 0, client.communicate()[1]
            reader.join(PATIENCE)
        while not self._lines.empty():
            self._keep(self._lines.get())

    def _keep(self, line: str) -> None:
        table, values = json.loads(line)
        self.said += [(table, value) for value in values]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder without limits in which the row that both clients fight for exists."""
    data = tmp_path / "data"
    data.mkdir()
    clock = MovableClock()
    MarketoEmulator(data, clock).close()
    dynamics = DynamicsEmulator(data, clock)
    dynamics.load("contact", [{"contactid": SHARED, "lastname": "Shared", "telephone1": "nobody-0"}])
    for emulator in (dynamics, MarketoEmulator(data, clock)):
        emulator.control("set_options", {"limits": False})
        emulator.close()
    (data / "people.json").write_text('{"people": 0, "seed": 1, "complete": true}')
    return data


def check(folder: Path, said: list[tuple[str, Any]]) -> None:
    """The files are sound and hold every answered write, whole."""
    for name in ("marketo", "dynamics"):
        with closing(sqlite3.connect(folder / f"{name}.sqlite")) as file:
            assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    marketo, dynamics = MarketoEmulator(folder, MovableClock()), DynamicsEmulator(folder, MovableClock())
    try:
        for person in [value for table, value in said if table == "person"]:
            assert marketo.control("read_person", {"id": person})["values"]["title"] == "x" * 200
            (born,) = marketo.control("person_activities", {"id": person})
            assert born["type"] == "New Lead"
        for row in [value for table, value in said if table == "lead"]:
            stored = dynamics.control("read_row", {"entity": "lead", "id": row})
            assert stored["description"] == "y" * 500
        kept = dynamics.control("read_row", {"entity": "contact", "id": SHARED})["telephone1"]
        # Whoever wrote last, its later writes were not answered and its earlier ones are not back.
        client, _, turn = kept.rpartition("-")
        told = [value.rpartition("-") for table, value in said if table == "shared"]
        assert int(turn) >= max((int(later) for name, _, later in told if name == client), default=0)
    finally:
        marketo.close()
        dynamics.close()
    with closing(sqlite3.connect(folder / "dynamics.sqlite")) as file:
        rows = file.execute("SELECT version FROM r_lead UNION ALL SELECT version FROM r_contact").fetchall()
    assert len(set(rows)) == len(rows)


def test_no_answered_write_of_two_processes_is_lost_however_often_the_server_is_killed(
    folder: Path, project_root: Path
) -> None:
    said: list[tuple[str, Any]] = []
    with ExitStack() as stack:
        for number, answers in enumerate((1, 9, 60)):
            life = Round(stack, folder, project_root, f"round{number}-")
            life.kill_after(answers)
            said += life.said
            check(folder, said)
    assert len({value for table, value in said if table == "person"}) > 60
    assert len({value for _, value in said}) == len(said)
