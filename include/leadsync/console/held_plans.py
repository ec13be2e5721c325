"""Plans that the brake holds: what they would write, approved or rejected by their hash (P8, DECISIONS 16)."""

from __future__ import annotations

import re
from typing import Any

import sqlalchemy as sa

from include.leadsync.approval import NotHeld, approve
from include.leadsync.approval import park as reject
from include.leadsync.console.persons import writes_of
from include.leadsync.model import OperationState
from include.leadsync.state import Outbox, StateStore
from include.leadsync.state.schema import operation
from include.leadsync.state.store import fetch

__all__ = ["HASH", "SHOWN", "NotHeld", "approve", "held", "operations", "reject"]

HASH = re.compile(r"[0-9a-f]{16}")
SHOWN = 200
"""Operations of a held plan that are shown."""


def held(store: StateStore) -> list[dict[str, Any]]:
    """Held plans, oldest first: plan_hash, ops, links, created_at."""
    rows: list[dict[str, Any]] = Outbox(store).held().to_pylist()
    return rows


def operations(store: StateStore, plan_hash: str) -> list[dict[str, Any]]:
    """The first operations of a held plan: all columns, and `writes`. Empty when no such plan is held."""
    mine = (operation.c.plan_hash == plan_hash) & (operation.c.state == OperationState.HELD.value)
    statement = sa.select(*operation.columns).where(mine).order_by(operation.c.created_at, operation.c.op_id)
    with store.read() as tx:
        rows = fetch(tx, statement.limit(SHOWN)).to_pylist()
    return [row | {"writes": writes_of(row)} for row in rows]
