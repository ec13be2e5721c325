"""Processes of their own that call through the shared budget."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.queues import Queue

from include.leadsync.clock import FakeClock
from include.leadsync.errors import Throttled
from include.leadsync.model import System
from include.leadsync.state import SharedBudget, StateStore

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Limits:
    """Limits of a service, all of them ours unless `share` says otherwise."""

    share: float = 1.0
    calls: int = 100
    window_seconds: int = 20
    concurrent: int = 10
    daily: int = 50_000


def call_until_refused(url: str, limits: Limits, results: Queue[int]) -> None:
    """Call as often as one frozen moment allows; puts the number of calls."""
    store = StateStore.open(url, FakeClock(NOON))
    budget = SharedBudget(store, System.MARKETO, limits, FakeClock(NOON), max_wait=0)
    calls = 0
    try:
        while True:
            with budget.call(System.MARKETO):
                calls += 1
    except Throttled:
        results.put(calls)
    store.close()


def die_during_a_call(url: str, limits: Limits) -> None:
    """Take every slot, then vanish as a killed process does."""
    store = StateStore.open(url, FakeClock(NOON))
    budget = SharedBudget(store, System.MARKETO, limits, FakeClock(NOON), max_wait=0)
    with ExitStack() as calls:
        for _ in range(limits.concurrent):
            calls.enter_context(budget.call(System.MARKETO))
        os._exit(9)
