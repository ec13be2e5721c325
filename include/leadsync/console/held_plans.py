"""Plans that the brake holds: what they would write, approved or rejected by their hash (P8, DECISIONS 16)."""

from __future__ import annotations

import re
from typing import Any

import sqlalchemy as sa

from include.leadsync.approval import APPROVED
from include.leadsync.console.persons import writes_of
from include.leadsync.errors import LeadSyncError
from include.leadsync.model import OperationState
from include.leadsync.state import Links, Outbox, StateStore
from include.leadsync.state.schema import operation
from include.leadsync.state.store import fetch

HASH = re.compile(r"[0-9a-f]{16}")
SHOWN = 200
"""Operations of a held plan that are shown."""

REJECTED = "rejected"
"""Code of operations that wait because somebody rejected their plan; an edit of the record plans them anew."""


class NotHeld(LeadSyncError):
    """No plan with this hash is held: it was approved or rejected already, or a newer one took its place."""


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


def approve(store: StateStore, plan_hash: str) -> int:
    """Let a held plan pass: the next cycle merges its links again and writes what still holds; returns how many.

    Raises `NotHeld`; nothing is changed then.
    """
    with store.begin() as tx:
        links = Outbox(store).release(plan_hash, tx)
        if not links:
            raise NotHeld(f"no plan with the hash {plan_hash} is held")
        return Links(store).set_dirty(links, f"{APPROVED}{plan_hash}", tx)


def reject(store: StateStore, plan_hash: str) -> int:
    """Park a held plan: it is not written, and asks no more; returns how many operations. Raises `NotHeld`.

    A later edit of one of its records is planned by the usual rules, the brake included.
    """
    mine = (operation.c.plan_hash == plan_hash) & (operation.c.state == OperationState.HELD.value)
    values = {
        "state": OperationState.PARKED.value,
        "code": REJECTED,
        "message": f"plan {plan_hash} was rejected",
        "updated_at": store.micros(),
    }
    with store.begin() as tx:
        count = tx.execute(sa.update(operation).where(mine).values(values)).rowcount
    if not count:
        raise NotHeld(f"no plan with the hash {plan_hash} is held")
    return count
