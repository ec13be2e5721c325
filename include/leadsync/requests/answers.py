"""The answer to a request: stored with the request, and told to the person once (R49, R50, P6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import pyarrow as pa

from include.leadsync.model import Direction
from include.leadsync.state import ActivityLog, Requests, StateStore, Transaction

OPERATION: Final = "sync_person"
_TOLD: Final = {"created", "linked", "no_action"}
"""Outcomes that are told here; what failed or waits has an open row of its own in the activity log."""

_STAMP = pa.timestamp("us", "UTC")
_SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("outcome", "operation", "direction", "code", "message", "rule", "run_id")]
    + [("crm_id", pa.string()), ("entity", pa.string()), ("link_id", pa.int64()), ("person_id", pa.int64())]
    + [("at", _STAMP), ("open", pa.bool_())]
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one request. `outcome`: created, linked, no_action, held or failed."""

    request_id: str
    outcome: str
    code: str
    message: str
    rule: str
    person_id: int | None = None
    entity: str | None = None
    link_id: int | None = None
    crm_id: str | None = None


def answer(store: StateStore, answers: Sequence[Answer], run_id: str, at: datetime, tx: Transaction) -> int:
    """Finish the requests and tell their persons, with the reason they were made for; returns how many.

    One that was answered before stays as it is.
    """
    requests = Requests(store)
    fresh = [
        each
        for each in answers
        if requests.finish(each.request_id, each.outcome, f"{each.code}: {each.message}", each.crm_id, tx)
    ]
    told = [each for each in fresh if each.outcome in _TOLD]
    asked = requests.get([each.request_id for each in told], tx) if told else None
    reasons = {row["request_id"]: row["reason"] for row in asked.to_pylist()} if asked else {}
    rows = [
        {
            "outcome": each.outcome,
            "operation": OPERATION,
            "direction": Direction.OUTBOUND.value,
            "code": each.code,
            "message": _with_reason(each.message, reasons.get(each.request_id)),
            "rule": each.rule,
            "run_id": run_id,
            "crm_id": each.crm_id,
            "entity": each.entity,
            "link_id": each.link_id if (each.link_id or 0) > 0 else None,
            "person_id": each.person_id,
            "at": at,
            "open": False,
        }
        for each in told
    ]
    ActivityLog(store).record(pa.Table.from_pylist(rows, schema=_SCHEMA), tx)
    return len(fresh)


def _with_reason(message: str, reason: str | None) -> str:
    return f"{message}; asked for: {reason}" if reason else message
