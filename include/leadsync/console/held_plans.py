"""Plans that the brake holds, and what they would write (P8, DECISIONS 16); `approval` decides about them."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from include.leadsync.console.persons import writes_of
from include.leadsync.state import Outbox, StateStore
from include.leadsync.state.outbox import of_held_plan
from include.leadsync.state.schema import operation
from include.leadsync.state.store import fetch

SHOWN = 200
"""Operations of a plan that are shown."""

HELD = "held"


def waiting(store: StateStore) -> list[dict[str, Any]]:
    """Plans that an approval may release: those that are held, oldest first, then those that were not approved.

    plan_hash, ops, links, since, state ("held", "rejected", "unanswered").
    """
    outbox = Outbox(store)
    with store.read() as tx:
        held, parked = outbox.held(tx).to_pylist(), outbox.parked_plans(tx).to_pylist()
    rows = [row | {"since": row["created_at"], "state": HELD} for row in held]
    rows += [row | {"state": row["code"]} for row in parked]
    return [{name: row[name] for name in ("plan_hash", "ops", "links", "since", "state")} for row in rows]


def operations(store: StateStore, plan_hash: str) -> list[dict[str, Any]]:
    """The first operations of such a plan: all columns, and `writes`. Empty when it waits no more."""
    statement = sa.select(*operation.columns).where(of_held_plan(plan_hash))
    with store.read() as tx:
        rows = fetch(tx, statement.order_by(operation.c.created_at, operation.c.op_id).limit(SHOWN)).to_pylist()
    return [row | {"writes": writes_of(row)} for row in rows]
