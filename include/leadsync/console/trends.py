"""How much was synced: the last full clock hour (R154), a day by hours, a month by days."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from include.leadsync.console.run_history import shaped
from include.leadsync.state import StateStore, Transaction
from include.leadsync.state.arrow import from_micros, to_micros
from include.leadsync.state.schema import run

SERIES = ("inbound", "outbound", "failed")
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_AT_ONCE = 500


def last_full_hour(now: datetime) -> tuple[datetime, datetime]:
    """From when until when: at 14:20 it is 13:00 to 14:00."""
    until = now.replace(minute=0, second=0, microsecond=0)
    return until - _HOUR, until


def trends(store: StateStore, now: datetime) -> dict[str, Any]:
    """`hour`: since, until, inbound, outbound, failed, runs. `day`: 24 buckets of an hour, `month`: 30 of a day.

    Buckets, oldest first: since, inbound, outbound, failed, runs; the last one is not over yet. Counted from the
    reports of runs by when they began, a month at most: some nine thousand rows.
    """
    hour_since, hour_until = last_full_hour(now)
    this_hour, today = hour_until, now.replace(hour=0, minute=0, second=0, microsecond=0)
    day = _buckets(this_hour - 23 * _HOUR, _HOUR, 24)
    month = _buckets(today - 29 * _DAY, _DAY, 30)
    with store.read() as tx:
        for started, counts in _reports(tx, month[0]["since"]):
            _count(month, _DAY, started, counts)
            _count(day, _HOUR, started, counts)
    return {"hour": day[-2] | {"since": hour_since, "until": hour_until}, "day": day, "month": month}


def _buckets(since: datetime, width: timedelta, number: int) -> list[dict[str, Any]]:
    return [{"since": since + index * width, "runs": 0, **dict.fromkeys(SERIES, 0)} for index in range(number)]


def _count(buckets: list[dict[str, Any]], width: timedelta, started: datetime, counts: dict[str, int]) -> None:
    index = (started - buckets[0]["since"]) // width
    if 0 <= index < len(buckets):
        buckets[index]["runs"] += 1
        for name in SERIES:
            buckets[index][name] += counts[name]


def _reports(tx: Transaction, since: datetime) -> Iterator[tuple[datetime, dict[str, int]]]:
    columns = [run.c[name] for name in ("run_id", "kind", "started_at", "finished_at", "outcome", "report_json")]
    statement = sa.select(*columns).where(run.c.started_at >= to_micros(since), run.c.outcome == "done")
    for row in tx.execute(statement.execution_options(yield_per=_AT_ONCE)):
        yield from_micros(row.started_at), _counts(row.report_json)


def _counts(text: str | None) -> dict[str, int]:
    if not text or ('_done"' not in text and '_refused"' not in text and '"parked": 0' in text):
        return dict.fromkeys(SERIES, 0)  # most runs of a day write nothing
    opened = shaped(
        {"report_json": text, "window_json": None, "run_id": "", "kind": "", "started_at": None, "finished_at": None}
        | {"outcome": "done"}
    )
    return {**opened["written"], "failed": opened["failed"]}
