"""Outcomes → custom activities on the Marketo person, once per change of outcome (P6, D96, DECISIONS 24).

The local activity log is written with the outcome itself; here its rows are carried to the person.
A row is marked as attempted before it is sent; a row that was attempted without an answer is looked
for in the person's activities, by the id it carries, before it is sent again. What can still
repeat: an activity that Marketo shows only after our look-up.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from include.leadsync.clock import iso
from include.leadsync.context import Engine, Json, RunRequest
from include.leadsync.errors import ConnectionBroken, FixConfiguration, RetryLater
from include.leadsync.load.loader import LEASE_SECONDS, WRITER
from include.leadsync.state import ActivityLog, Leases

ID_ATTRIBUTE = "Activity Id"
_BATCH = 300
_LEADS_A_CALL = 30
_LOOK_BACK = timedelta(minutes=5)
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


def deliver_activities(engine: Engine, run: RunRequest) -> dict[str, Json]:
    """Carry the undelivered rows of the activity log to their persons; returns counts."""
    log = ActivityLog(engine.store)
    if not log.undelivered(1).num_rows:
        return {"delivered": 0}
    leases = Leases(engine.store)
    lease = leases.acquire(WRITER, run.run_id, LEASE_SECONDS)
    if lease is None:
        return {"delivered": 0, "handed_over": True}
    try:
        return _Delivery(engine, log).deliver_all()
    finally:
        leases.release(lease)


class _Delivery:
    def __init__(self, engine: Engine, log: ActivityLog) -> None:
        self._engine, self._log = engine, log
        name = engine.settings.marketo.activity_type
        known = {known.api_name: known.id for known in engine.marketo.activity_types()}
        if known.get(name) is None:
            raise FixConfiguration(
                f"Marketo has no approved custom activity type {name!r}; run `python -m include.leadsync setup`"
            )
        self._type_id = known[name]

    def deliver_all(self) -> dict[str, Json]:
        delivered = unreachable = 0
        while True:
            rows = self._log.undelivered(_BATCH).to_pylist()
            if not rows:
                return {"delivered": delivered, "unreachable": unreachable}
            found = self._already_there([row for row in rows if row["attempted_at"]])
            self._log.mark_delivered(sorted(found))
            delivered += len(found)
            rest = [row for row in rows if row["activity_id"] not in found]
            if rest:
                sent, gone = self._send(rest)
                delivered, unreachable = delivered + sent, unreachable + gone

    def _send(self, rows: Sequence[Mapping[str, Any]]) -> tuple[int, int]:
        self._log.mark_attempted([row["activity_id"] for row in rows])
        try:
            results = self._engine.marketo.add_activities([self._activity(row) for row in rows])
        except ConnectionBroken as broken:
            if not broken.maybe_committed:
                self._log.unmark_attempted([row["activity_id"] for row in rows])
            raise
        except RetryLater:
            self._log.unmark_attempted([row["activity_id"] for row in rows])
            raise
        done = [row["activity_id"] for row, result in zip(rows, results, strict=True) if result.ok]
        refused = {
            row["activity_id"]: f"{result.code}: {result.message}"
            for row, result in zip(rows, results, strict=True)
            if not result.ok
        }
        self._log.mark_delivered(done)
        self._log.mark_undeliverable(refused)
        return len(done), len(refused)

    def _already_there(self, rows: Sequence[Mapping[str, Any]]) -> set[int]:
        """Ids of attempted rows that Marketo has after all."""
        if not rows:
            return set()
        since: datetime = min(row["attempted_at"] for row in rows) - _LOOK_BACK
        persons = sorted({row["person_id"] for row in rows})
        wanted = {str(row["activity_id"]): row["activity_id"] for row in rows}
        found: set[int] = set()
        for start in range(0, len(persons), _LEADS_A_CALL):
            token = self._engine.marketo.paging_token(since)
            chunk = persons[start : start + _LEADS_A_CALL]
            for page in self._engine.marketo.activities(token, [self._type_id], chunk):
                for text in page.rows["attributes"].to_pylist():
                    key = str(json.loads(text or "{}").get(ID_ATTRIBUTE, ""))
                    if key in wanted:
                        found.add(wanted[key])
        return found

    def _activity(self, row: Mapping[str, Any]) -> dict[str, Json]:
        values = {
            "activityId": str(row["activity_id"]),
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
            "activityTypeId": self._type_id,
            "primaryAttributeValue": f"{row['outcome']}: {row['field'] or row['operation']}"[:255],
            "attributes": [{"apiName": name, "value": value} for name, value in values.items() if value],
        }


def _cut(text: str | None) -> str | None:
    return text if text is None or len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
