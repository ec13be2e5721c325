"""Processes of their own that call both services through the shared budget."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing.context import ForkServerContext
from multiprocessing.queues import Queue

from include.leadsync.clients.budget import Budget, NullBudget
from include.leadsync.clients.dynamics import DynamicsClient
from include.leadsync.clients.marketo import MarketoClient
from include.leadsync.clients.retry import RetryPolicy
from include.leadsync.clients.transport import RequestsTransport
from include.leadsync.clock import Clock
from include.leadsync.errors import Throttled
from include.leadsync.model import Connection, System
from include.leadsync.state import SharedBudget, StateStore

_START = datetime(2026, 3, 1, 10, tzinfo=UTC)
_AWAKE = -math.inf


class SharedTime:
    """One time for several processes. It stands while anybody works, and passes when all of them wait.

    So no call is under way while it passes, and how quick the machine is makes no difference.
    """

    def __init__(self, context: ForkServerContext, processes: int) -> None:
        self._turn = context.Condition()
        self._seconds = context.Value("d", 0.0, lock=False)
        self._wakes = context.Array("d", [_AWAKE] * processes, lock=False)

    def seconds(self) -> float:
        """Since the start."""
        with self._turn:
            return float(self._seconds.value)

    def now(self) -> datetime:
        """The same as a date."""
        return _START + timedelta(seconds=self.seconds())

    def wait(self, process: int, seconds: float) -> None:
        """Let a process wait until so much time has passed; for ever when it has nothing more to do."""
        with self._turn:
            self._wakes[process] = wake = self._seconds.value + seconds
            earliest = min(self._wakes)
            if math.isfinite(earliest):
                self._seconds.value = max(earliest, self._seconds.value)
                self._turn.notify_all()
            if math.isfinite(wake):
                self._turn.wait_for(lambda: self._seconds.value >= wake)
                self._wakes[process] = _AWAKE


@dataclass(frozen=True)
class SharedClock:
    """The clock of one process in a shared time."""

    time: SharedTime
    process: int

    def now(self) -> datetime:
        return self.time.now()

    def monotonic(self) -> float:
        return self.time.seconds()

    def sleep(self, seconds: float) -> None:
        self.time.wait(self.process, seconds)


@dataclass(frozen=True)
class Limits:
    """The limits of a service and our share of them."""

    calls: int
    window_seconds: int
    share: float = 0.8
    concurrent: int = 10
    daily: int = 50_000


def refused(
    urls: dict[System, str], limits: dict[System, Limits], state: str | None, calls: int, clock: Clock
) -> dict[System, int]:
    """Make `calls` calls of each service, each once; how often the service itself said "too much"."""
    store = None if state is None else StateStore.open(state, clock)
    counts = dict.fromkeys(System, 0)
    for system in System:
        budget: Budget = NullBudget() if store is None else SharedBudget(store, system, limits[system], clock)
        transport, once = RequestsTransport(), RetryPolicy(attempts=1)
        connection = Connection(urls[system], "sandbox", "sandbox", tenant_id="sandbox", authority=urls[system])
        if system is System.MARKETO:
            marketo = MarketoClient(connection, transport=transport, budget=budget, clock=clock, retry=once)
            ask = marketo.partitions
        else:
            dynamics = DynamicsClient(connection, transport=transport, budget=budget, clock=clock, retry=once)
            ask = dynamics.version  # type: ignore[assignment]
        for _ in range(calls):
            try:
                ask()
            except Throttled:
                counts[system] += 1
        transport.close()
    if store is not None:
        store.close()
    return counts


def report(
    urls: dict[System, str],
    limits: dict[System, Limits],
    state: str,
    calls: int,
    clock: SharedClock,
    results: Queue[dict[System, int]],
) -> None:
    """`refused`, told to the process that asked."""
    try:
        results.put(refused(urls, limits, state, calls, clock))
    finally:
        clock.sleep(math.inf)  # nobody need wait for this process any more
