"""Processes of their own that call both services through the shared budget."""

from __future__ import annotations

from dataclasses import dataclass
from multiprocessing.queues import Queue

from include.leadsync.clients.budget import Budget, NullBudget
from include.leadsync.clients.dynamics import DynamicsClient
from include.leadsync.clients.marketo import MarketoClient
from include.leadsync.clients.retry import RetryPolicy
from include.leadsync.clients.transport import RequestsTransport
from include.leadsync.clock import SystemClock
from include.leadsync.errors import Throttled
from include.leadsync.model import Connection, System
from include.leadsync.state import SharedBudget, StateStore


@dataclass(frozen=True)
class Limits:
    """The limits of a service and our share of them."""

    calls: int
    window_seconds: int
    share: float = 0.8
    concurrent: int = 10
    daily: int = 50_000


def refused(urls: dict[System, str], limits: dict[System, Limits], state: str | None, calls: int) -> dict[System, int]:
    """Make `calls` calls of each service, each once; how often the service itself said "too much"."""
    clock, store = SystemClock(), None if state is None else StateStore.open(state, SystemClock())
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
    results: Queue[dict[System, int]],
) -> None:
    """`refused`, told to the process that asked."""
    results.put(refused(urls, limits, state, calls))
