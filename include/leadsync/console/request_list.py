"""Sync Person to Microsoft: what was asked for and what became of it (R47)."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from include.leadsync.console.asking import LARGEST, PAGE, Slice
from include.leadsync.state import StateStore
from include.leadsync.state.arrow import to_micros
from include.leadsync.state.requests import ACCEPTED, ANSWERED, FINISHED, PENDING, TAKEN
from include.leadsync.state.schema import request
from include.leadsync.state.store import fetch

STATES = (PENDING, TAKEN, ACCEPTED, ANSWERED, FINISHED)
OUTCOMES = ("created", "linked", "held", "failed")


def browse(store: StateStore, state: str | None = None, before: int | None = None) -> Slice:
    """Newest first; the token is when it was asked, in microseconds. Rows have all columns of the request table.

    Each state is read by its own stretch of the queue's index.
    """
    rows: list[dict[str, Any]] = []
    with store.read() as tx:
        for one in [state] if state else STATES:
            mine = (request.c.state == one) & (request.c.created_at < (before or LARGEST))
            newest = sa.select(*request.columns).where(mine).order_by(request.c.created_at.desc())
            rows += fetch(tx, newest.limit(PAGE + 1)).to_pylist()
    rows.sort(key=lambda row: (row["created_at"], row["request_id"]), reverse=True)
    if len(rows) <= PAGE:
        return Slice(rows, None)
    last = rows[PAGE - 1]["created_at"]
    page = [row for row in rows if row["created_at"] >= last]  # those asked for in one go stay together
    return Slice(page, str(to_micros(last)))


def open_count(store: StateStore) -> int:
    """How many are not finished."""
    waiting = request.c.state.in_((PENDING, TAKEN, ACCEPTED))
    with store.read() as tx:
        return int(tx.execute(sa.select(sa.func.count()).select_from(request).where(waiting)).scalar_one())
