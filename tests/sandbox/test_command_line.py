"""`python -m include.sandbox serve` as a process: its one line, its end, its exit status."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.sandbox.conftest import Client
from tests.waiting import PATIENCE, wait_until

# The program itself around the tiny emulators; `/slow` and `--slow-load` make a request or a load take an hour.
PROGRAM = """
import sys, threading
from include.sandbox.__main__ import main
from tests.sandbox.conftest import NotebookEmulator

class Slow(NotebookEmulator):
    def __init__(self, name, folder, *more):
        super().__init__(name, folder, *more)
        self.folder = folder

    def handle(self, request):
        if request.path == "/slow":
            self.write("begun")
            threading.Event().wait(3600)
        return super().handle(request)

    def load(self, table, rows):
        if "--slow-load" in flags:
            (self.folder / "loading").touch()
            threading.Event().wait(3600)
        return super().load(table, rows)

flags = [word for word in sys.argv[1:] if word == "--slow-load"]
words = [word for word in sys.argv[1:] if word != "--slow-load"]
emulators = {
    name: lambda folder, clock, options, name=name: Slow(name, folder, clock, options)
    for name in ("marketo", "dynamics")
}
sys.exit(main(["serve", "--marketo-port", "0", "--dynamics-port", "0", *words], emulators))
"""
READY = re.compile(r"ready marketo=(http://127\.0\.0\.1:\d+) dynamics=(http://127\.0\.0\.1:\d+)\n")

Serve = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def serve(tmp_path: Path, project_root: Path) -> Iterator[Serve]:
    """Starts the program; whatever still runs at the end of the test is killed."""
    with ExitStack() as stack:

        def start(*words: str) -> subprocess.Popen[str]:
            process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, "--data-dir", str(tmp_path / "data"), *words],
                cwd=project_root,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            return process

        yield start


def ready(process: subprocess.Popen[str]) -> tuple[Client, Client]:
    assert process.stdout is not None
    match = READY.fullmatch(process.stdout.readline())
    assert match
    return Client(match[1]), Client(match[2])


def end(process: subprocess.Popen[str], number: int) -> int:
    """The exit status after a signal."""
    process.send_signal(number)
    return process.wait(PATIENCE)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_says_one_line_when_both_answer_and_ends_cleanly_on_a_signal(serve: Serve, number: int) -> None:
    process = serve()
    marketo, dynamics = ready(process)
    assert marketo.call("GET", "/notes")[0] == 200
    assert dynamics.call("GET", "/notes")[0] == 200
    assert end(process, number) == 0
    out, err = process.communicate()
    assert (out, err) == ("", "")


def test_what_was_answered_is_there_after_a_kill(serve: Serve) -> None:
    process = serve("--people", "3")
    marketo, _ = ready(process)
    marketo.call("POST", "/notes", b"kept")
    process.kill()
    process.wait(PATIENCE)
    assert ready(serve())[0].notes() == ["kept"]


def test_a_request_under_way_does_not_hold_up_the_end(serve: Serve) -> None:
    process = serve()
    marketo, _ = ready(process)
    with socket.create_connection((marketo.host, marketo.port)) as waiting:
        waiting.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until(lambda: marketo.notes() == ["begun"])
        assert end(process, signal.SIGTERM) == 0


def test_it_can_be_ended_while_people_are_loaded(serve: Serve, tmp_path: Path) -> None:
    process = serve("--slow-load", "--people", "5")
    wait_until((tmp_path / "data" / "loading").exists)
    assert end(process, signal.SIGTERM) == 0
    assert process.communicate()[0] == ""


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--tls-cert", "cert.pem"), "--tls-cert and --tls-key go together"),
        (("--tls-cert", "no.pem", "--tls-key", "no.pem"), "No such file"),
        (("--host", "203.0.113.7"), "assign"),
        (("--people", "-1"), "from 0 on"),
    ],
)
def test_what_cannot_be_served_is_refused_with_status_2(serve: Serve, words: tuple[str, ...], text: str) -> None:
    process = serve(*words)
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (2, "")
    assert text in err


def test_a_taken_port_or_folder_is_refused_with_status_2(serve: Serve, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        process = serve("--marketo-port", str(other.getsockname()[1]))
        assert "in use" in process.communicate(timeout=PATIENCE)[1]
        assert process.returncode == 2
    ready(serve())
    second = serve()
    assert "another sandbox uses" in second.communicate(timeout=PATIENCE)[1]
    assert second.returncode == 2
