"""When what waits will be done: the backlog against what the day's quota leaves (P7)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from include.leadsync.backfills import open_jobs
from include.leadsync.config import Settings
from include.leadsync.model import Direction, OperationState, System
from include.leadsync.state import BudgetUsage, Outbox, StateStore
from include.leadsync.state.budget_counts import next_central_midnight

_WAITS = (OperationState.PENDING.value, OperationState.IN_FLIGHT.value)
_INTO = {Direction.INBOUND.value: System.MARKETO, Direction.OUTBOUND.value: System.DYNAMICS}
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Forecast:
    """What waits for one system. `needs`: calls (Marketo) or rows (Dynamics); `done_by` None: nothing waits.

    `done_by` is the earliest time that the limits allow: other traffic of ours and failures come on top.
    """

    waiting: int
    needs: int
    fits_today: bool
    done_by: datetime | None


def forecast(waiting: int, batch: int, usage: BudgetUsage, now: datetime) -> Forecast:
    """From `waiting` writes in batches of `batch`, and the budget they need."""
    counts_rows = usage.system is System.DYNAMICS
    calls = math.ceil(waiting / batch)
    needs = waiting if counts_rows else calls
    if not waiting:
        return Forecast(0, 0, True, None)
    begin = max(now, usage.paused_until or now)
    left = max(usage.daily_limit - usage.today, 0)
    if needs <= left:
        takes = timedelta(seconds=calls / usage.window_limit * usage.window_seconds)
        return Forecast(waiting, needs, True, begin + takes)
    renewed = now + _DAY if counts_rows else next_central_midnight(now)
    days = math.ceil((needs - left) / usage.daily_limit) - 1
    rest = needs - left - days * usage.daily_limit
    takes = timedelta(seconds=rest / usage.window_limit * usage.window_seconds)
    return Forecast(waiting, needs, False, max(begin, renewed) + days * _DAY + takes)


def forecasts(store: StateStore, settings: Settings, usages: dict[System, BudgetUsage]) -> dict[System, Forecast]:
    """Of the outbox and the open backfills of fields. A record of a backfill counts as one write to each system."""
    waiting = dict.fromkeys(System, sum(job["total"] - job["done"] for job in open_jobs(store)))
    for group in Outbox(store).depth().to_pylist():
        if group["state"] in _WAITS:
            waiting[_INTO[group["direction"]]] += group["count"]
    batches = {System.MARKETO: settings.batches.marketo, System.DYNAMICS: settings.batches.dynamics}
    return {system: forecast(waiting[system], batches[system], usages[system], store.now()) for system in System}
