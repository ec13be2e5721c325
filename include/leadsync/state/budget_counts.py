"""Calls and rows counted in buckets: sliding windows and days without a row per call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from include.leadsync.model import System
from include.leadsync.state.arrow import from_micros, to_micros
from include.leadsync.state.coordination import budget_use
from include.leadsync.state.statements import Prepared, named
from include.leadsync.state.store import Transaction

CENTRAL = ZoneInfo("America/Chicago")
"""Marketo's quota starts anew at midnight US Central, summer and winter (marketo-api §2, M20)."""

_SECOND = 1_000_000
_HOUR = 3600 * _SECOND
_DAY = 24 * _HOUR
_BUCKETS = 100
"""Buckets per window: a call leaves the window at most a hundredth of it too late, never too early."""

_SKEW = 5 * _SECOND
"""Hosts that share a store agree within this; buckets further ahead come from a clock that went back since."""


@dataclass(frozen=True, slots=True)
class Used:
    """Calls in the window; calls (Marketo) or rows (Dynamics) of the day."""

    in_window: int
    today: int


class BudgetCounts:
    """The counters of one system. All times in microseconds since 1970 UTC."""

    def __init__(self, system: System, window_seconds: int) -> None:
        self._system = system
        self.window_seconds = window_seconds
        self.counts_rows = system is System.DYNAMICS
        self._window = window_seconds * _SECOND
        self._grain = max(1, self._window // _BUCKETS)
        self._cleaned = 0
        since, until, day = (sa.bindparam(name, type_=sa.BigInteger()) for name in ("since", "until", "day"))
        use, amount = budget_use.c, budget_use.c.rows if self.counts_rows else budget_use.c.calls
        ours = use.system == system.value
        windowed = (ours, use.span == self._grain, use.bucket > since, use.bucket <= until)
        daily = (ours, use.span == _HOUR, use.bucket >= day)
        self._used = Prepared(
            sa.select(
                sa.select(sa.func.sum(use.calls)).where(*windowed).scalar_subquery(),
                sa.select(sa.func.sum(amount)).where(*daily).scalar_subquery(),
            )
        )
        self._window_buckets = Prepared(sa.select(use.bucket, use.calls).where(*windowed).order_by(use.bucket))
        self._day_buckets = Prepared(sa.select(use.bucket, amount).where(*daily).order_by(use.bucket))
        stale = ((use.span != _HOUR) & ((use.bucket <= since) | (use.bucket > until))) | (use.bucket < day)
        self._clean = Prepared(sa.delete(budget_use).where(ours, stale))

    def used(self, tx: Transaction, now: int) -> Used:
        """What counts against the limits now."""
        ((in_window, today),) = self._used.rows(tx, self._bounds(now))
        return Used(int(in_window or 0), int(today or 0))

    def add(self, tx: Transaction, now: int, rows: int) -> None:
        """Count one call, and now and then forget buckets that count no more."""
        one = {"system": self._system.value, "calls": 1, "rows": rows}
        for span in (self._grain, _HOUR):
            _COUNT[tx.dialect.name].change(tx, {**one, "span": span, "bucket": now // span * span})
        if abs(now - self._cleaned) >= self._window:
            self._cleaned = now
            self._clean.change(tx, {**self._bounds(now), "day": now - 2 * _DAY})

    def until_window_has_room(self, tx: Transaction, now: int, room_at: int) -> float:
        """Seconds until at most `room_at` calls are in the window."""
        leaves = _when_down_to(self._window_buckets.rows(tx, self._bounds(now, "since", "until")), room_at)
        return max(leaves + self._grain + self._window - now, 1000) / _SECOND

    def until_day_has_room(self, tx: Transaction, now: int, room_at: int) -> float:
        """Seconds until midnight US Central (Marketo), or until at most `room_at` rows are in 24 h (Dynamics)."""
        if not self.counts_rows:
            return (_midnight(_central(now).date() + timedelta(days=1)) - now) / _SECOND
        leaves = _when_down_to(self._day_buckets.rows(tx, self._bounds(now, "day")), room_at)
        return max(leaves + _HOUR + _DAY - now, _SECOND) / _SECOND

    def _bounds(self, now: int, *names: str) -> dict[str, int]:
        today = now - _DAY - _HOUR + 1 if self.counts_rows else _midnight(_central(now).date())
        bounds = {"since": now - self._window - self._grain, "until": now + _SKEW, "day": today}
        return {name: bounds[name] for name in names} if names else bounds


def _counting(statement: sqlite.Insert | postgresql.Insert) -> Prepared:
    """Add to a bucket."""
    statement = statement.values(named("system", "span", "bucket", "calls", "rows"))
    counted = {name: budget_use.c[name] + statement.excluded[name] for name in ("calls", "rows")}
    return Prepared(statement.on_conflict_do_update(index_elements=["system", "span", "bucket"], set_=counted))


_COUNT = {"sqlite": _counting(sqlite.insert(budget_use)), "postgresql": _counting(postgresql.insert(budget_use))}


def _when_down_to(buckets: Sequence[Sequence[Any]], room_at: int) -> int:
    """Start of the bucket with whose end the sum is down to `room_at`."""
    left = sum(int(amount) for _, amount in buckets)
    for bucket, amount in buckets:
        left -= int(amount)
        if left <= room_at:
            return int(bucket)
    return 0


def next_central_midnight(now: datetime) -> datetime:
    """When Marketo's quota starts anew, in UTC."""
    return from_micros(_midnight(now.astimezone(CENTRAL).date() + timedelta(days=1)))


def _central(now: int) -> datetime:
    return from_micros(now).astimezone(CENTRAL)


def _midnight(day: date) -> int:
    return to_micros(datetime.combine(day, time(), CENTRAL).astimezone(UTC))
