"""After a CRM record was created: the person gets its Microsoft Id, Type and is Deleted (R8, R9, D12, D47).

The operation is stored with the acknowledgement of the creation, so that no person ever shows the id of a
record that does not exist, and none that exists stays unannounced.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa

from include.leadsync.config import SystemFields
from include.leadsync.load.outcome import Fate, Outcome
from include.leadsync.model import Direction, Lane, OperationKind, OperationState

_STAMP = pa.timestamp("us", "UTC")
_SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("op_id", "run_id", "entity", "direction", "kind", "crm_id", "payload", "state")]
    + [(name, pa.int64()) for name in ("link_id", "lane", "person_id", "base_version", "attempts")]
    + [(name, _STAMP) for name in ("created_at", "updated_at")]
)


def announcements(outcomes: Sequence[Outcome], names: SystemFields, now: datetime) -> pa.Table:
    """Operations for the persons whose CRM record was just created."""
    created = [
        outcome
        for outcome in outcomes
        if outcome.fate is Fate.DONE
        and outcome.operation.kind == OperationKind.CREATE
        and outcome.operation.direction == Direction.OUTBOUND
    ]
    return pa.Table.from_pylist([_announcement(outcome, names, now) for outcome in created], schema=_SCHEMA)


def _announcement(outcome: Outcome, names: SystemFields, now: datetime) -> dict[str, Any]:
    made = outcome.operation
    values = {names.id: made.crm_id, names.type: made.entity.capitalize(), names.is_deleted: "false"}
    writes = [
        {
            "field": name,
            "after": value,
            "before": None,
            "base": None,
            "change": "linked",
            "lost": None,
            "rule": "D12",
            "system": True,
        }
        for name, value in values.items()
    ]
    return {
        "op_id": f"{made.op_id[:24]}-linked",
        "run_id": made.run_id,
        "entity": made.entity,
        "direction": Direction.INBOUND.value,
        "kind": OperationKind.LINK.value,
        "crm_id": made.crm_id,
        "payload": json.dumps({"writes": writes, "request_id": None, "binds": None}),
        "state": OperationState.PENDING.value,
        "link_id": made.link_id,
        "lane": int(Lane.REQUEST),
        "person_id": made.person_id,
        "base_version": 0,
        "attempts": 0,
        "created_at": now,
        "updated_at": now,
    }
