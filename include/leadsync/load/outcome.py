"""What became of one operation."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Fate(StrEnum):
    """What happens next to an operation that was sent, or could not be."""

    DONE = "done"
    REFUSED = "refused"  # parked; the refusal goes to the activity log (P6)
    CONFLICT = "conflict"  # the record moved meanwhile: read both sides again and merge
    UNKNOWN = "unknown"  # it may have been written: read both sides again
    LATER = "later"  # nothing was written; it stays pending
    WITHDRAWN = "withdrawn"  # it no longer holds; nothing was written, and it is told


@dataclass(frozen=True, slots=True)
class Write:
    """One field of an operation, as planned (`enqueue.operations`)."""

    field: str
    after: str | None
    before: str | None
    base: str | None
    change: str
    lost: str | None
    rule: str
    system: bool


@dataclass(frozen=True, slots=True)
class Operation:
    """One claimed operation."""

    op_id: str
    run_id: str
    link_id: int
    entity: str
    direction: str
    kind: str
    lane: int
    person_id: int | None
    crm_id: str | None
    etag: str | None
    attempts: int
    writes: tuple[Write, ...]
    request_id: str | None
    binds: str | None  # JSON object: navigation property → row that a new CRM record points to
    activity: dict[str, Any] | None = None  # of kind "activity": what the person is told
    link_status: str | None = None  # of its link, when it was claimed

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> Operation:
        """An operation from a claimed row of the outbox."""
        payload = json.loads(row["payload"])
        return cls(
            op_id=row["op_id"],
            run_id=row["run_id"],
            link_id=row["link_id"],
            entity=row["entity"],
            direction=row["direction"],
            kind=row["kind"],
            lane=row["lane"],
            person_id=row["person_id"],
            crm_id=row["crm_id"],
            etag=row["crm_etag"],
            attempts=row["attempts"],
            writes=tuple(Write(**write) for write in payload["writes"]),
            request_id=payload["request_id"],
            binds=payload["binds"],
            activity=payload.get("activity"),
            link_status=row.get("link_status"),
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """The fate of one operation with what the service said.

    `shown`: canonical values the CRM record shows after the write (read back, D8). `field` names the
    field a refusal is about, when that is known.
    """

    operation: Operation
    fate: Fate
    code: str | None = None
    message: str | None = None
    field: str | None = None
    person_id: int | None = None
    etag: str | None = None
    shown: dict[str, str | None] | None = None
    retry_after: float | None = None
