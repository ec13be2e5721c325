"""The field map as configured, with what runs found of each field (D66, D67)."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from include.leadsync.config import Settings
from include.leadsync.field_memory import SET_ASIDE
from include.leadsync.model import Entity, Winner
from include.leadsync.state import StateStore, SyncedFields
from include.leadsync.state.fields import QUARANTINED
from include.leadsync.state.schema import activity
from include.leadsync.state.store import fetch

_OPEN = sa.literal_column("open") == sa.literal_column("1")
_BY_TYPE = {Entity.LEAD: Winner.MARKETO.value, Entity.CONTACT: Winner.DYNAMICS.value}  # R40, R41
_FLAGS = ("consent", "outbound_on_create_only", "outbound_on_update_only", "inbound_write_once")


def field_table(settings: Settings, store: StateStore) -> list[dict[str, Any]]:
    """One row per entry: entity, marketo, dynamics, type, direction, winner, by_type, flags, default, state, reason.

    `winner` is who wins on this entity; `by_type` whether that is the rule of the entity and not the entry's own.
    `state`: "active", "quarantined", or "unseen": no run has found it, because it does not exist on one side, or none
    has run yet. `reason`: why it is set aside.
    """
    known = SyncedFields(store).all()
    aside = any(one.state == QUARANTINED for one in known.values())
    reasons = _reasons(store) if aside else {}  # looks through all open failures: only where there is something to find
    rows = []
    for entity in Entity:
        for rule in settings.rules(entity):
            by_type = rule.winner is Winner.BY_TYPE
            found = known.get((entity, rule.name))
            rows.append(
                {
                    "entity": entity.value,
                    "marketo": rule.name,
                    "dynamics": rule.dynamics,
                    "type": rule.type.value,
                    "direction": rule.flow.value,
                    "winner": _BY_TYPE[entity] if by_type else rule.winner.value,
                    "by_type": by_type,
                    "flags": [name for name in _FLAGS if getattr(rule, name)],
                    "default": rule.default_on_create,
                    "state": found.state if found and found.state != "removed" else "unseen",
                    "reason": reasons.get((entity.value, rule.name)),
                }
            )
    return rows


def _reasons(store: StateStore) -> dict[tuple[str, str], str]:
    columns = [activity.c[name] for name in ("entity", "field", "message")]
    statement = sa.select(*columns).where(_OPEN, activity.c.code == SET_ASIDE).limit(1000)
    with store.read() as tx:
        rows = fetch(tx, statement).to_pylist()
    return {(row["entity"], row["field"]): row["message"] for row in rows}
