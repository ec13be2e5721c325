"""Outcomes → custom activities on the Marketo person, once per change of outcome (P6, D96, DECISIONS 24).

The local activity log is written with the outcome itself. Here its rows become operations of the same
outbox as everything else, and the loader sends them (`load.telling`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from include.leadsync.clock import iso
from include.leadsync.context import Engine, Json, RunRequest
from include.leadsync.load import load
from include.leadsync.load.telling import ID_ATTRIBUTE
from include.leadsync.model import Direction, Lane, OperationKind, OperationState
from include.leadsync.requests import Channels
from include.leadsync.state import ActivityLog, Outbox

_AT_ONCE = 3_000
_LONGEST = 2_000  # characters of a value or message; the attribute array may have 65,536 bytes (M65)

ATTRIBUTES = (
    ("activityId", ID_ATTRIBUTE, "string"),
    ("operation", "Operation", "string"),
    ("direction", "Direction", "string"),
    ("field", "Field", "string"),
    ("value", "Value", "text"),
    ("code", "Code", "string"),
    ("message", "Message", "text"),
    ("rule", "Rule", "string"),
    ("run", "Run", "string"),
)
"""Attributes of the custom activity: API name, name, type."""


def activity_type(api_name: str) -> dict[str, Json]:
    """The custom activity type that `setup` creates."""
    return {
        "apiName": api_name,
        "name": "Lead Sync Outcome",
        "description": "Why a change did not cross between Marketo and Dynamics, and when it did at last",
        "triggerName": "Has Lead Sync Outcome",
        "filterName": "Had Lead Sync Outcome",
        "primaryAttribute": {"apiName": "outcome", "name": "Outcome", "dataType": "string"},
        "attributes": [{"apiName": api, "name": name, "dataType": kind} for api, name, kind in ATTRIBUTES],
    }


def tell_persons(engine: Engine, run: RunRequest) -> dict[str, Json]:
    """Store an operation for every row of the activity log that its person does not know, then load.

    Then what was asked inside Marketo and is answered is taken out there. Returns how many rows were stored, what
    the loader did, how many requests were taken out.
    """
    log, outbox = ActivityLog(engine.store), Outbox(engine.store)
    stored = 0
    while True:
        with engine.store.begin() as tx:
            rows = log.untold(_AT_ONCE, tx).to_pylist()
            outbox.add(pa.Table.from_pylist([_operation(engine, run, row) for row in rows], schema=_SCHEMA), tx)
        stored += len(rows)
        if len(rows) < _AT_ONCE:
            break
    loaded = load(engine, run) if stored else {}
    return {"told": stored, **loaded, **Channels(engine).consume()}


_STAMP = pa.timestamp("us", "UTC")
_SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("op_id", "run_id", "entity", "direction", "kind", "crm_id", "payload", "state")]
    + [(name, pa.int64()) for name in ("link_id", "lane", "person_id", "base_version", "attempts")]
    + [(name, _STAMP) for name in ("created_at", "updated_at")]
)


def _operation(engine: Engine, run: RunRequest, row: Mapping[str, Any]) -> dict[str, Any]:
    op_id = f"activity-{row['activity_id']}"
    payload: dict[str, Json] = {"writes": [], "request_id": None, "binds": None, "activity": _activity(row, op_id)}
    return {
        "op_id": op_id,
        "run_id": run.run_id,
        "entity": row["entity"] or "lead",
        "direction": Direction.INBOUND.value,
        "kind": OperationKind.ACTIVITY.value,
        "crm_id": row["crm_id"],
        "payload": json.dumps(payload, ensure_ascii=False),
        "state": OperationState.PENDING.value,
        "link_id": row["link_id"],
        "lane": int(Lane.INCREMENT),
        "person_id": row["person_id"],
        "base_version": 0,
        "attempts": 0,
        "created_at": engine.now(),
        "updated_at": engine.now(),
    }


def _activity(row: Mapping[str, Any], op_id: str) -> dict[str, Json]:
    values = {
        "activityId": op_id,
        "operation": row["operation"],
        "direction": row["direction"],
        "field": row["field"],
        "value": _cut(row["value"]),
        "code": row["code"],
        "message": _cut(row["message"]),
        "rule": row["rule"],
        "run": row["run_id"],
    }
    return {
        "leadId": row["person_id"],
        "activityDate": iso(row["at"]),
        "primaryAttributeValue": f"{row['outcome']}: {row['field'] or row['operation']}"[:255],
        "attributes": [{"apiName": name, "value": value} for name, value in values.items() if value],
    }


def _cut(text: str | None) -> str | None:
    return text if text is None or len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
