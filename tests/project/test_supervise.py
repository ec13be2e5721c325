"""Nothing that was started stays behind, whatever ends it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from scripts.supervise import ROOT, Family, has_ended, launch
from tests.waiting import PATIENCE, wait_until

# Starts a grandchild in a process group of its own, as Airflow does with tasks, tells its pid and waits.
_PARENT = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print(os.getpid(), child.pid, flush=True)
time.sleep(600)
"""
_STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + _PARENT


def _family(logs: Path, code: str, *, grace: float = 5) -> tuple[Family, list[psutil.Process]]:
    family = launch(logs, {"one": [sys.executable, "-c", code]}, os.environ, grace=grace)
    log = logs / "one.log"

    def told() -> bool:
        assert family.running, family.last_words()
        return log.exists() and len(log.read_text().split()) == 2

    wait_until(told)
    return family, [psutil.Process(int(pid)) for pid in log.read_text().split()]


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    return tmp_path / "logs"


def test_stopping_ends_children_and_what_they_started(logs: Path) -> None:
    family, processes = _family(logs, _PARENT)
    family.stop()
    assert not family.running
    wait_until(lambda: all(map(has_ended, processes)))


def test_what_does_not_listen_to_term_is_killed(logs: Path) -> None:
    family, processes = _family(logs, _STUBBORN, grace=0.5)
    family.stop()
    wait_until(lambda: all(map(has_ended, processes)))


def test_stopping_twice_does_no_harm(logs: Path) -> None:
    family, _ = _family(logs, _PARENT)
    family.stop()
    family.stop()


def test_when_the_one_that_started_it_is_killed_nothing_stays(logs: Path) -> None:
    starter = (
        "import os, sys, time; from pathlib import Path; from scripts.supervise import launch;"
        f"launch(Path({str(logs)!r}), {{'one': [sys.executable, '-c', {_PARENT!r}]}}, os.environ, grace=5);"
        "time.sleep(600)"
    )
    process = subprocess.Popen([sys.executable, "-c", starter], cwd=ROOT)
    log = logs / "one.log"

    def told() -> bool:
        assert process.poll() is None
        return log.exists() and len(log.read_text().split()) == 2

    wait_until(told)
    family = [psutil.Process(int(pid)) for pid in log.read_text().split()]
    process.send_signal(signal.SIGKILL)
    process.wait()
    wait_until(lambda: all(map(has_ended, family)))


def test_when_one_ends_by_itself_the_others_end_and_its_log_is_shown(logs: Path) -> None:
    commands = {
        "steady": [sys.executable, "-c", "import time; time.sleep(600)"],
        "short": [sys.executable, "-c", "print('out of tea'); raise SystemExit(3)"],
    }
    family = launch(logs, commands, os.environ, grace=5)
    family._process.wait(PATIENCE)
    assert not family.running
    words = family.last_words()
    assert "short ended with status 3" in words
    assert "out of tea" in words
    family.stop()
