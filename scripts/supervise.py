"""Run some commands side by side until standard input closes or one of them ends; then stop them all.

`python -m scripts.supervise GRACE LOGDIR NAME=COMMAND…`; another module may begin them its own way (`main`). The parent
holds the other end of standard input, so whatever becomes of it – Ctrl-C, an error, SIGKILL – nothing stays behind: the
pipe closes, every process gets TERM, and what is left after GRACE seconds gets KILL, with all it started. Airflow puts
tasks into process groups of their own, hence descendants are found through the process table, not by group.
"""

from __future__ import annotations

import os
import select
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import psutil

ROOT = Path(__file__).resolve().parent.parent
_CHECK_EVERY = 0.5  # seconds
_KILLED = 5.0  # seconds within which the system ends what it kills


class Begun(Protocol):
    """A process that was begun."""

    def poll(self) -> int | None:
        """Its status; None while it is at work."""


def start(command: Sequence[str], log: Path) -> Begun:
    """Start one command with its output in a file."""
    with log.open("wb") as output:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)


def wait(processes: Mapping[str, Begun]) -> str | None:
    """Until the parent lets go (None) or one process ends (its name)."""
    while True:
        readable, _, _ = select.select([sys.stdin], [], [], _CHECK_EVERY)
        if readable and not os.read(sys.stdin.fileno(), 4096):
            return None
        for name, process in processes.items():
            if process.poll() is not None:
                return name


def stop(grace: float) -> int:
    """End every descendant; the number that had to be killed."""
    mine = psutil.Process()
    family = mine.children(recursive=True)
    for child in mine.children():
        with suppress(psutil.NoSuchProcess):
            child.terminate()
    psutil.wait_procs(mine.children(), timeout=grace)
    # Those that lost their parent meanwhile are no longer found as descendants, hence the list from before.
    known = {process.pid: process for process in (*family, *mine.children(recursive=True))}
    left = [process for process in known.values() if process.is_running()]
    for process in left:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    until = time.monotonic() + _KILLED
    while not all(map(has_ended, left)) and time.monotonic() < until:
        time.sleep(0.01)
    return len(left)


def has_ended(process: psutil.Process) -> bool:
    """Whether it does nothing any more; the process that inherits it may let it stand in the table for seconds."""
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def launch(
    logs: Path,
    commands: Mapping[str, Sequence[str]],
    environment: Mapping[str, str],
    *,
    grace: float,
    supervisor: Sequence[str] = ("scripts.supervise",),
) -> Family:
    """Start commands under a supervisor of their own: a module whose arguments end with those of this one."""
    logs.mkdir(parents=True, exist_ok=True)
    pairs = [f"{name}={shlex.join(command)}" for name, command in commands.items()]
    with (logs / "supervisor.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *supervisor, str(grace), str(logs), *pairs],
            env=dict(environment),
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    return Family(process, logs, grace)


class Family:
    """Commands that run side by side and end together."""

    def __init__(self, process: subprocess.Popen[bytes], logs: Path, grace: float) -> None:
        self._process, self.logs, self._grace = process, logs, grace

    @property
    def running(self) -> bool:
        """Whether all of them are still at work."""
        return self._process.poll() is None

    def stop(self) -> None:
        """End them; returns when nothing is left. Calling it twice does no harm."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(timeout=self._grace + 30)

    def last_words(self) -> str:
        """Which one ended, and the end of its log."""
        said = (self.logs / "supervisor.log").read_text(errors="replace").strip()
        log = self.logs / f"{said.partition(' ')[0]}.log"
        return f"{said}\n{log.read_text(errors='replace')[-3000:]}" if log.exists() else said


def main(arguments: Sequence[str] | None = None, *, begin: Callable[[Sequence[str], Path], Begun] = start) -> int:
    """0 when the parent ended it, 1 when a command ended by itself; `begin` starts one with its output in a file."""
    grace, folder, *commands = sys.argv[1:] if arguments is None else arguments
    # A terminal's Ctrl-C is the parent's business; it closes our input when it wants us to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    logs = Path(folder)
    logs.mkdir(parents=True, exist_ok=True)
    processes: dict[str, Begun] = {}
    ended: str | None = "start"
    try:
        for pair in commands:
            name, _, command = pair.partition("=")
            processes[name] = begin(shlex.split(command), logs / f"{name}.log")
        ended = wait(processes)
        if ended:
            print(f"{ended} ended with status {processes[ended].poll()}; see {ended}.log", flush=True)
    finally:
        stop(float(grace))
    return 1 if ended else 0


if __name__ == "__main__":
    sys.exit(main())
