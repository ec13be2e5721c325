"""What the sync filter was when a run last looked: to notice changes, and a column that is not there any more.

When other CRM records or persons may be synced than before, those that nobody edits must be looked at
again: the table is read in full, or the linked persons are.
"""

from __future__ import annotations

import msgspec
import pyarrow as pa

from include.leadsync.config import SyncFilter
from include.leadsync.model import Entity
from include.leadsync.state import ActivityLog, Cursors, Links, Metadata, StateStore, Transaction

UNREADABLE = "filter_unreadable"
"""Code of the open row in the activity log while an entity is stopped (D68)."""


def columns_seen(store: StateStore) -> dict[Entity, list[str]]:
    """Columns that the filter of each entity has been evaluated on before."""
    return {entity: _remembered(store, entity).columns for entity in Entity}


def remember(store: StateStore, filters: dict[Entity, SyncFilter], run_id: str, tx: Transaction) -> list[str]:
    """Keep the filters for the next run; returns the entities that must be looked at in full again.

    A blocked filter is reported once and changes nothing that is remembered.
    """
    again: list[str] = []
    for entity, one in filters.items():
        if one.blocked:
            continue
        before = _remembered(store, entity, tx)
        now = _Remembered(one.looked_at, one.rows_signature(), one.persons_signature())
        if before.rows != now.rows:
            Cursors(store).restart(f"dynamics:{entity.value}", tx)
            again.append(entity.value)
        if before.persons != now.persons:
            Links(store).set_all_dirty(entity, "the filter on persons changed", tx)
            again.append(entity.value)
        Metadata(store).put("leadsync", _name(entity), msgspec.json.encode(now).decode(), tx)
    blocked = {entity.value: one.blocked for entity, one in filters.items() if one.blocked}
    rows = [
        {"entity": entity, "direction": "inbound", "code": UNREADABLE, "message": reason, "rule": "D68"}
        for entity, reason in blocked.items()
    ]
    ActivityLog(store).stands(pa.Table.from_pylist(rows) if rows else None, [UNREADABLE], run_id, tx)
    return sorted(set(again))


class _Remembered(msgspec.Struct, frozen=True):
    columns: list[str]
    rows: str
    persons: str


def _remembered(store: StateStore, entity: Entity, tx: Transaction | None = None) -> _Remembered:
    text = Metadata(store).get("leadsync", _name(entity), tx=tx)
    nothing = SyncFilter(entity)
    return (
        msgspec.json.decode(text, type=_Remembered)
        if text
        else _Remembered([], nothing.rows_signature(), nothing.persons_signature())
    )


def _name(entity: Entity) -> str:
    return f"filter.{entity.value}"
