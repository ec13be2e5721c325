"""Retention: what is old goes, a little at a time (P10)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Protocol

import sqlalchemy as sa

from include.leadsync.model import Direction, Lane, OperationState
from include.leadsync.state.arrow import to_micros
from include.leadsync.state.requests import FINISHED
from include.leadsync.state.schema import activity, echo, ledger, operation, person_merge, request, run, seen_activity
from include.leadsync.state.store import StateStore, driver_rows

_BATCH = 2000
"""Rows deleted per transaction: others wait for milliseconds, not for the whole sweep."""

_HISTORY = (OperationState.DONE.value, OperationState.SUPERSEDED.value)


class RetentionDays(Protocol):
    """Days to keep each kind. Finished operations are working data and go with the staging."""

    @property
    def staging_days(self) -> int: ...  # noqa: D102 - see the class
    @property
    def run_days(self) -> int: ...  # noqa: D102
    @property
    def ledger_days(self) -> int: ...  # noqa: D102
    @property
    def activity_days(self) -> int: ...  # noqa: D102
    @property
    def seen_days(self) -> int: ...  # noqa: D102
    @property
    def echo_days(self) -> int: ...  # noqa: D102


class Retention:
    """Deletes rows older than configured. Open failures, unfinished work, links and cursors always stay."""

    def __init__(self, store: StateStore, days: RetentionDays) -> None:
        self._store, self._days = store, days

    def sweep(self, now: datetime) -> dict[str, int]:
        """Delete what is too old; returns rows per table. Safe to stop and to repeat at any point."""
        days = self._days
        return {
            "ledger": self._by_number(ledger.c.entry_id, ledger.c.at, _before(now, days.ledger_days)),
            "activity": self._by_number(
                activity.c.activity_id, activity.c.at, _before(now, days.activity_days), activity.c.open == 0
            ),
            "seen_activity": self._while_any(seen_activity.c.guid, seen_activity.c.at < _before(now, days.seen_days)),
            "echo": self._echoes(_before(now, days.echo_days)),
            "operation": self._operations(_before(now, days.staging_days)),
            "request": self._while_any(
                request.c.request_id,
                (request.c.state == FINISHED) & (request.c.created_at < _before(now, days.run_days)),
            ),
            "person_merge": self._while_any(person_merge.c.loser, person_merge.c.at < _before(now, days.run_days)),
            "run": self._while_any(run.c.run_id, run.c.started_at < _before(now, days.run_days)),
        }

    def _by_number(
        self, key: sa.Column[int], at: sa.Column[int], before: int, only: sa.ColumnElement[bool] | None = None
    ) -> int:
        """Append-only tables: their keys grow with time, so reading stops at the first row that is young."""
        deleted, last = 0, 0
        while True:
            oldest = sa.select(key, at).where(key > last).order_by(key).limit(_BATCH)
            with self._store.begin() as tx:
                rows = driver_rows(tx, oldest)
                if not rows or rows[0][1] >= before:
                    return deleted
                last = rows[-1][0]
                of_batch = (key >= rows[0][0]) & (key <= last) & (at < before)
                old = of_batch if only is None else of_batch & only
                deleted += tx.execute(sa.delete(key.table).where(old)).rowcount

    def _while_any(self, key: sa.Column[Any], old: sa.ColumnElement[bool]) -> int:
        """Tables with an index on what `old` compares."""
        deleted = 0
        batch = sa.select(key).where(old).limit(_BATCH)
        while True:
            with self._store.begin() as tx:
                count = tx.execute(sa.delete(key.table).where(key.in_(batch))).rowcount
            deleted += count
            if count < _BATCH:
                return deleted

    def _echoes(self, before: int) -> int:
        with self._store.begin() as tx:
            return tx.execute(sa.delete(echo).where(echo.c.written_at < before)).rowcount

    def _operations(self, before: int) -> int:
        old = (operation.c.created_at < before) & (operation.c.updated_at < before)
        return sum(self._while_any(operation.c.op_id, queue & old) for queue in _queues())


def _queues() -> Iterator[sa.ColumnElement[bool]]:
    """One condition per stretch of the queue's index, so that each delete reads only what it deletes."""
    for state in _HISTORY:
        for direction in Direction:
            for lane in Lane:
                yield (
                    (operation.c.state == state)
                    & (operation.c.direction == direction.value)
                    & (operation.c.lane == int(lane))
                )


def _before(now: datetime, days: int) -> int:
    return to_micros(now - timedelta(days=days))
