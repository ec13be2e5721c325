"""Operations for Marketo: 300 persons a call; creation by a stored key (DECISIONS 22, M34–M38)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from include.leadsync.clients.marketo import MarketoClient, RecordResult
from include.leadsync.errors import ConnectionBroken, RetryLater, RowFailed
from include.leadsync.fields import marketo_value
from include.leadsync.link.frames import PARTITION
from include.leadsync.load.outcome import Fate, Operation, Outcome, Write
from include.leadsync.model import STANDING, OperationKind, SyncField
from include.leadsync.schema import Schema

_NOT_FOUND = "1004"


def send_to_marketo(
    client: MarketoClient, schema: Schema, key_field: str, operations: Sequence[Operation]
) -> list[Outcome]:
    """Send operations, creations apart from updates; one outcome each, in order.

    A creation upserts on `key_field` (Microsoft Id), so that a repeat finds the first (P4), also where
    another person has the same e-mail address (D14); each partition is a call of its own (D20).
    """
    outcomes: dict[str, Outcome] = {}
    creates = [op for op in operations if op.kind == OperationKind.CREATE]
    updates = [op for op in operations if op.kind not in {OperationKind.CREATE, OperationKind.MERGE_PERSONS}]
    for outcome in _send(client, schema, updates, "updateOnly", "id", None):
        outcomes[outcome.operation.op_id] = outcome
    for partition in sorted({_partition(op) for op in creates}, key=str):
        group = [op for op in creates if _partition(op) == partition]
        for outcome in _send(client, schema, group, "createOrUpdate", key_field, partition):
            outcomes[outcome.operation.op_id] = outcome
    for operation in operations:
        if operation.kind == OperationKind.MERGE_PERSONS:
            outcomes[operation.op_id] = _merge(client, operation)
    return [outcomes[operation.op_id] for operation in operations]


def _merge(client: MarketoClient, operation: Operation) -> Outcome:
    """Merge persons into that of the link; a loser that is not there any more was merged before (M49)."""
    losers = [int(write.after or 0) for write in operation.writes]
    try:
        client.merge_persons(int(operation.person_id or 0), losers)
    except RowFailed as failed:
        gone = failed.code == _NOT_FOUND and any(f"'{loser}'" in failed.message for loser in losers)
        if gone:
            return Outcome(operation, Fate.DONE)
        return Outcome(operation, Fate.REFUSED, failed.code, failed.message)
    except ConnectionBroken as broken:
        return _unanswered(operation, broken)
    except RetryLater as later:
        return Outcome(operation, Fate.LATER, type(later).__name__, str(later), retry_after=later.after)
    return Outcome(operation, Fate.DONE)


def _partition(operation: Operation) -> str | None:
    """Where a new person goes; None is Marketo's own default."""
    return json.loads(operation.binds).get(PARTITION) if operation.binds else None


def _send(
    client: MarketoClient, schema: Schema, group: list[Operation], action: str, lookup: str, partition: str | None
) -> list[Outcome]:
    records: list[dict[str, Any]] = []
    sent: list[Operation] = []
    outcomes: list[Outcome] = []
    for operation in group:
        try:
            records.append(_record(schema, operation, lookup))
            sent.append(operation)
        except RowFailed as failed:
            outcomes.append(Outcome(operation, Fate.REFUSED, failed.code, failed.message, failed.field))
    if not records:
        return outcomes
    try:
        results = client.sync_persons(records, action=action, lookup_field=lookup, partition=partition)
    except ConnectionBroken as broken:
        return outcomes + [_unanswered(op, broken) for op in sent]
    except RetryLater as later:
        name = type(later).__name__
        return outcomes + [Outcome(op, Fate.LATER, name, str(later), retry_after=later.after) for op in sent]
    return outcomes + [_outcome(op, result) for op, result in zip(sent, results, strict=True)]


def _unanswered(operation: Operation, broken: ConnectionBroken) -> Outcome:
    """A fact may be written again; anything else that may have been written must be read first."""
    again = not broken.maybe_committed or operation.kind in STANDING
    fate = Fate.LATER if again else Fate.UNKNOWN
    return Outcome(operation, fate, "connection", str(broken), retry_after=broken.after)


def _record(schema: Schema, operation: Operation, lookup: str) -> dict[str, Any]:
    fields = {field.name: field for field in schema.map(operation.entity).fields}
    record: dict[str, Any] = {"id": operation.person_id} if lookup == "id" else {lookup: operation.crm_id}
    for write in operation.writes:
        record[write.field] = _value(fields.get(write.field), write)
    return record


def _value(field: SyncField | None, write: Write) -> Any:
    if write.system:
        return {"true": True, "false": False}.get(write.after or "", write.after)
    if field is None:
        raise RowFailed("unmapped_field", f"{write.field} is no longer in the field map", field=write.field)
    return marketo_value(field, write.after)


def _outcome(operation: Operation, result: RecordResult) -> Outcome:
    if result.ok:
        return Outcome(operation, Fate.DONE, person_id=int(str(result.id)) if result.id is not None else None)
    if result.code == _NOT_FOUND:
        return Outcome(operation, Fate.CONFLICT, result.code, result.message)
    return Outcome(
        operation, Fate.REFUSED, result.code or result.status, result.message or "Marketo skipped the record"
    )
