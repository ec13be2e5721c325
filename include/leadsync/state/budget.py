"""The API budget: one per system, shared by all processes through the store (P7).

Marketo, per instance: 100 calls in 20 s (606), 10 at once (615), 50,000 a day from midnight US Central (607)
(marketo-api §11). Dynamics, per user: 6,000 requests in 300 s, 52 at once (429), and rows per 24 h
by entitlement (dataverse-api §12). Of each only a configured share is used; what others use shows as a
complaint of the service, which stops every process here for as long as it asks.

A call is counted when it starts and never given back: an answer that was lost was counted over there as well.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import uuid4

import sqlalchemy as sa

from include.leadsync.clock import Clock
from include.leadsync.errors import StateUnavailable, Throttled
from include.leadsync.model import System
from include.leadsync.state.arrow import from_micros, to_micros
from include.leadsync.state.budget_counts import BudgetCounts
from include.leadsync.state.budget_slots import BudgetSlots
from include.leadsync.state.coordination import budget
from include.leadsync.state.statements import Prepared
from include.leadsync.state.store import StateStore, Transaction

MAX_WAIT = 120.0
"""Seconds that one call waits for leave, all its waits together."""

SLOT_SECONDS = 330.0
"""A call that takes longer (Marketo's longest limit is 300 s, marketo-api §12) counts as dead."""

_FIRST_POLL, _LAST_POLL = 0.05, 1.0


class BudgetLimits(Protocol):
    """The service's own limits, and the share of them that this sync may use.

    `daily`: calls for Marketo, rows for Dynamics.
    """

    @property
    def share(self) -> float: ...  # noqa: D102 - see the class
    @property
    def calls(self) -> int: ...  # noqa: D102
    @property
    def window_seconds(self) -> int: ...  # noqa: D102
    @property
    def concurrent(self) -> int: ...  # noqa: D102
    @property
    def daily(self) -> int: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class BudgetUsage:
    """How much of a budget is used, for `status`. `today` is calls (Marketo) or rows of 24 h (Dynamics)."""

    system: System
    in_window: int
    window_limit: int
    window_seconds: int
    running: int
    running_limit: int
    today: int
    daily_limit: int
    paused_until: datetime | None


@dataclass(frozen=True, slots=True)
class _Refusal:
    """Why not now, and in how many seconds to ask again; None: whenever a running call ends."""

    reason: str
    wait: float | None


class SharedBudget:
    """Leave to call one system, as `clients.budget.Budget` wants it."""

    def __init__(
        self, store: StateStore, system: System, limits: BudgetLimits, clock: Clock, *, max_wait: float = MAX_WAIT
    ) -> None:
        self._store, self._system, self._clock, self._max_wait = store, system, clock, max_wait
        self._window_limit = _part(limits.calls, limits.share)
        self._running_limit = _part(limits.concurrent, limits.share)
        self._daily_limit = _part(limits.daily, limits.share)
        self._counts = BudgetCounts(system, limits.window_seconds)
        self._slots = BudgetSlots(system, SLOT_SECONDS)
        pause = sa.select(budget.c.paused_from, budget.c.paused_until).where(budget.c.system == system.value)
        self._pause = Prepared(pause.with_for_update())  # says nothing on SQLite
        self._known = False

    @contextmanager
    def call(self, system: System, rows: int = 1, *, within: float | None = None) -> Iterator[None]:
        """Wait for leave, and hold a slot while the block makes one call.

        `rows` counts towards Dynamics' daily entitlement. `within`: seconds the caller can wait at most.

        Raises:
            Throttled: no leave within the bound; `after` says when there may be one.
            StateUnavailable: the store cannot be asked; without it no call is made.
            ValueError: the budget is of the other system.
        """
        self._check(system)
        slot = self._wait(rows, self._max_wait if within is None else min(within, self._max_wait))
        try:
            yield
        finally:
            # A slot that cannot be given back expires; the answer to the call matters more.
            with suppress(StateUnavailable), self._store.begin() as tx:
                self._slots.free(tx, slot)

    def penalise(self, system: System, seconds: float) -> None:
        """The service said "too much" (606, 607, 615, 429): no process calls it for `seconds`."""
        self._check(system)
        now = self._now()
        until = now + int(max(seconds, 0) * 1_000_000)
        with self._store.begin() as tx:
            self._lock(tx)
            later = sa.or_(budget.c.paused_until.is_(None), budget.c.paused_until < until, budget.c.paused_from > now)
            change = sa.update(budget).where(budget.c.system == self._system.value, later)
            tx.execute(change.values(paused_from=now, paused_until=until))

    def usage(self) -> BudgetUsage:
        """What is used now; changes nothing."""
        now = self._now()
        with self._store.read() as tx:
            row = tx.execute(sa.select(budget).where(budget.c.system == self._system.value)).one_or_none()
            used = self._counts.used(tx, now)
            running = self._slots.running(tx, now)
        until = row.paused_until if row is not None else None
        return BudgetUsage(
            system=self._system,
            in_window=used.in_window,
            window_limit=self._window_limit,
            window_seconds=self._counts.window_seconds,
            running=running,
            running_limit=self._running_limit,
            today=used.today,
            daily_limit=self._daily_limit,
            paused_until=from_micros(until) if until is not None and until > now else None,
        )

    def _wait(self, rows: int, bound: float) -> str:
        slot = uuid4().hex
        deadline = self._clock.monotonic() + bound
        poll = _FIRST_POLL
        while True:
            refusal = self._reserve(slot, rows)
            if refusal is None:
                return slot
            wait = refusal.wait
            if wait is None:  # somebody's call must end first; spread those who wait for it
                wait, poll = poll * random.uniform(0.5, 1.0), min(poll * 2, _LAST_POLL)
            if self._clock.monotonic() + wait > deadline:
                raise Throttled(
                    f"{self._system} may not be called now: {refusal.reason}; the rest waits for a later run",
                    after=wait,
                )
            self._clock.sleep(wait)

    def _reserve(self, slot: str, rows: int) -> _Refusal | None:
        """Count the call and take a slot, or say why not; all in one short transaction."""
        now = self._now()
        with self._store.begin() as tx:
            paused = self._lock(tx, now)
            if paused:
                return _Refusal("the service asked for a pause", paused / 1_000_000)
            used = self._counts.used(tx, now)
            need = min(rows if self._counts.counts_rows else 1, self._daily_limit)
            if used.today + need > self._daily_limit:
                return _Refusal(
                    f"our share of its daily quota ({self._daily_limit}) is used up",
                    self._counts.until_day_has_room(tx, now, self._daily_limit - need),
                )
            if used.in_window + 1 > self._window_limit:
                return _Refusal(
                    f"{used.in_window} calls in {self._counts.window_seconds} s are our share",
                    self._counts.until_window_has_room(tx, now, self._window_limit - 1),
                )
            if not self._slots.take(tx, slot, now, self._running_limit):
                return _Refusal(f"{self._running_limit} calls at once are our share", None)
            self._counts.add(tx, now, rows)
        return None

    def _lock(self, tx: Transaction, now: int | None = None) -> int:
        """Let one process at a time count; returns microseconds of pause left.

        SQLite's write lock does it by itself, PostgreSQL locks the row of the system.
        """
        if not self._known:
            self._store.insert_if_absent(tx, budget, {"system": self._system.value}, ("system",))
            self._known = True
        ((since, until),) = self._pause.rows(tx)
        if now is None or until is None:
            return 0
        if since > now:  # the clock went back since: the pause is as long as it was, from now on
            since, until = now, now + until - since
            of_system = budget.c.system == self._system.value
            tx.execute(sa.update(budget).where(of_system).values(paused_from=since, paused_until=until))
        return max(0, int(until) - now)

    def _check(self, system: System) -> None:
        if system is not self._system:
            raise ValueError(f"this is the budget of {self._system}, not of {system}")

    def _now(self) -> int:
        return to_micros(self._clock.now())


def _part(limit: int, share: float) -> int:
    """A share of a limit, at least 1."""
    return max(1, int(limit * share + 1e-9))
