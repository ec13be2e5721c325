"""Plans that the brake holds: asked about, approved, or parked (P8, DECISIONS 16).

An approval travels as the reason for which a link is read again. A plan that was rejected, or that nobody answered
for, is parked: it is not written and asks no more, `status` lists it, and its hash still releases it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from include.leadsync.clock import iso
from include.leadsync.errors import LeadSyncError
from include.leadsync.state import Links, Metadata, Outbox, StateStore, Transaction
from include.leadsync.state.outbox import REJECTED, UNANSWERED, of_held_plan
from include.leadsync.state.schema import operation

__all__ = ["APPROVED", "REJECTED", "UNANSWERED", "NotHeld", "approve", "describe", "park", "to_ask"]

APPROVED = "approved:"
"""Beginning of a link's `dirty` reason after its held operations were released."""
MESSAGES = {REJECTED: "plan {} was rejected", UNANSWERED: "nobody approved plan {} in time"}

_ASKED = "approval"
_COUNTED, _NAMED = 20_000, 20


class NotHeld(LeadSyncError):
    """No plan with this hash waits: it was approved already, or a newer plan took the place of all of it."""


def to_ask(store: StateStore) -> list[dict[str, str]]:
    """Held plans, each with the moment from which on it is asked about; both the same until it is decided.

    A plan that is held again after an answer, with the very same writes, is asked about anew.
    """
    asked = Metadata(store)
    plans = []
    with store.begin() as tx:
        for plan_hash in Outbox(store).held(tx)["plan_hash"].to_pylist():
            since = asked.get(_ASKED, plan_hash, tx=tx)
            if not since:
                since = iso(store.now())
                asked.put(_ASKED, plan_hash, since, tx)
            plans.append({"plan_hash": plan_hash, "since": since})
    return plans


def approve(store: StateStore, plan_hash: str) -> int:
    """Release a plan that is held or parked: its links are merged again, what still holds is written; how many links.

    Raises `NotHeld`; nothing is changed then.
    """
    with store.begin() as tx:
        links = Outbox(store).release(plan_hash, tx)
        _decided(store, plan_hash, tx)
        changed = Links(store).set_dirty(links, f"{APPROVED}{plan_hash}", tx)
    if not links:
        raise _not_held(plan_hash)
    return changed


def park(store: StateStore, plan_hash: str, code: str = REJECTED) -> int:
    """Park a held plan as `REJECTED` or `UNANSWERED`; returns how many operations.

    An edit of another field approves nothing: what writes one of the same values again is parked with the rest.
    Raises `NotHeld`; nothing is changed then.
    """
    with store.begin() as tx:
        count = Outbox(store).park(plan_hash, code, MESSAGES[code].format(plan_hash), tx)
        _decided(store, plan_hash, tx)
    if not count:
        raise _not_held(plan_hash)
    return count


def describe(store: StateStore, plan_hash: str) -> dict[str, Any]:
    """What a waiting plan would do, without a single value of a person.

    `operations`, `links`, `because` · `kinds`: (entity, direction, kind) → how many · `fields`: (entity, direction,
    field) → how many writes, of the first 20,000 operations · `examples`: the first records (person_id, crm_id).
    Raises `NotHeld`.
    """
    mine = of_held_plan(plan_hash)
    keys = (operation.c.entity, operation.c.direction, operation.c.kind)
    names = (operation.c.entity, operation.c.direction, operation.c.payload, operation.c.person_id, operation.c.crm_id)
    first = sa.select(*names).where(mine).order_by(operation.c.op_id).limit(_COUNTED)
    with store.read() as tx:
        kinds = {
            tuple(row[:3]): row[3] for row in tx.execute(sa.select(*keys, sa.func.count()).where(mine).group_by(*keys))
        }
        links = tx.execute(sa.select(sa.func.count(sa.distinct(operation.c.link_id))).where(mine)).scalar_one()
        rows = tx.execute(first).mappings().all()
    if not kinds:
        raise _not_held(plan_hash)
    fields: Counter[tuple[str, str, str]] = Counter()
    for row in rows:
        writes: list[Mapping[str, Any]] = json.loads(row["payload"]).get("writes") or []
        fields.update((row["entity"], row["direction"], write["field"]) for write in writes if write.get("field"))
    return {
        "plan_hash": plan_hash,
        "operations": sum(kinds.values()),
        "links": links,
        "kinds": kinds,
        "fields": dict(fields),
        "examples": [{"person_id": row["person_id"], "crm_id": row["crm_id"]} for row in rows[:_NAMED]],
    }


def _decided(store: StateStore, plan_hash: str, tx: Transaction) -> None:
    Metadata(store).put(_ASKED, plan_hash, "", tx)


def _not_held(plan_hash: str) -> NotHeld:
    return NotHeld(
        f"plan {plan_hash} waits no more: it was decided already, or newer plans took its place; nothing was changed"
    )
