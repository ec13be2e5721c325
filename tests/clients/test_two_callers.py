"""The shared budget against limits that the services really enforce: two processes, 606 and 429 (DECISIONS 34)."""

from __future__ import annotations

from multiprocessing.queues import Queue
from pathlib import Path

import pytest

from include.leadsync.clock import FakeClock
from include.leadsync.model import System
from include.leadsync.state import StateStore
from include.sandbox.marketo import limits
from include.sandbox.server import SandboxServer
from tests.clients.callers import Limits, SharedClock, SharedTime, refused, report
from tests.own_processes import own_processes

LIMITS = {System.MARKETO: Limits(100, 20), System.DYNAMICS: Limits(100, 5)}
CALLS = 55  # of each service by each process: together more than a window holds


def test_two_processes_never_hear_606_or_429_where_calls_without_budget_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = f"sqlite:///{tmp_path / 'state.db'}"
    StateStore.open(state, FakeClock()).close()
    processes = own_processes()
    time = SharedTime(processes, 2)
    monkeypatch.setattr(limits, "monotonic", time.seconds)
    with SandboxServer(tmp_path / "sandbox") as server:
        server.clock.now = time.now  # type: ignore[method-assign]
        server.control("set_options", {"limit_requests": 100, "limit_window": 5}, service="dynamics")
        urls = {System.MARKETO: server.marketo_url, System.DYNAMICS: server.dynamics_url}
        results: Queue[dict[System, int]] = processes.Queue()
        clocks = [SharedClock(time, number) for number in range(2)]
        callers = [
            processes.Process(target=report, args=(urls, LIMITS, state, CALLS, clock, results), daemon=True)
            for clock in clocks
        ]
        for caller in callers:
            caller.start()
        heard = [results.get(timeout=120) for _ in callers]
        for caller in callers:
            caller.join()
        assert heard == [dict.fromkeys(System, 0)] * 2
        assert time.seconds() >= 20  # a whole window of Marketo passed: the calls did not fit into one
        # The limits were on: the same calls without a budget run into both.
        alone = refused(urls, LIMITS, None, 2 * CALLS, FakeClock(time.now()))
        assert all(alone[system] > 0 for system in System)
