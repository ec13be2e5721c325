"""API budgets: what is used, and where today will end if it goes on like this (P7)."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from include.leadsync.clock import Clock
from include.leadsync.config import Settings
from include.leadsync.model import System
from include.leadsync.state import SharedBudget, StateStore
from include.leadsync.state.arrow import to_micros
from include.leadsync.state.budget_counts import next_central_midnight
from include.leadsync.state.coordination import budget_use

_RATE_OVER = timedelta(hours=3)
_HOUR = 3_600_000_000
NEARLY = 0.8
"""A share of the day's quota from which on it counts as nearly used."""


def quotas(store: StateStore, settings: Settings, clock: Clock) -> list[dict[str, Any]]:
    """One row per system, with what a day will come to.

    All of `BudgetUsage`, and `unit` ("calls", "rows"), `resets_at` (Marketo: midnight US Central; Dynamics counts the
    last 24 h, so None), `per_hour` (of the last three full hours), `forecast` (used when the day ends, or what a day at
    this rate amounts to), `level`: "ok", "nearly" or "over".
    """
    now = clock.now()
    rows = []
    for system in System:
        usage = SharedBudget(store, system, settings.limits.of(system), clock).usage()
        rate = _rate(store, system, now)
        resets = next_central_midnight(now) if system is System.MARKETO else None
        left = (resets - now) / timedelta(hours=1) if resets else 0.0
        forecast = round(usage.today + rate * left) if resets else round(rate * 24)
        expected = max(forecast, usage.today)
        level = (
            "over" if expected >= usage.daily_limit else "nearly" if expected >= NEARLY * usage.daily_limit else "ok"
        )
        unit = "calls" if system is System.MARKETO else "rows"
        rows.append(
            asdict(usage)
            | {"system": system.value, "unit": unit, "resets_at": resets, "per_hour": round(rate)}
            | {"forecast": forecast, "level": level}
        )
    return rows


def _rate(store: StateStore, system: System, now: datetime) -> float:
    """Calls (Marketo) or rows (Dynamics) per hour."""
    until = to_micros(now) // _HOUR * _HOUR
    since = until - to_micros(datetime(1970, 1, 1, tzinfo=UTC) + _RATE_OVER)
    amount = budget_use.c.calls if system is System.MARKETO else budget_use.c.rows
    use = budget_use.c
    hours = (use.system == system.value, use.span == _HOUR, use.bucket >= since, use.bucket < until)
    with store.read() as tx:
        total = tx.execute(sa.select(sa.func.coalesce(sa.func.sum(amount), 0)).where(*hours)).scalar_one()
    return float(total) / (_RATE_OVER / timedelta(hours=1))
