"""Operations for Dynamics: one `$batch` of PATCH with If-Match and of POST with our key (P4, V41, V55)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from include.leadsync.clients.dynamics import DynamicsClient, RowWrite, WriteResult
from include.leadsync.errors import ConnectionBroken, RetryLater, RowFailed
from include.leadsync.fields import canonical_rows, dynamics_value
from include.leadsync.load.duplicates import DUPLICATE, refused_as_duplicate, rules_look_at
from include.leadsync.load.outcome import Fate, Operation, Outcome
from include.leadsync.load.rechecking import withdrawn
from include.leadsync.model import STANDING, Entity, OperationKind
from include.leadsync.schema import Schema
from include.leadsync.settings.duplicates import DuplicateRules

_VERSION_MISMATCH = "0x80060882"
_EXISTS = "0x80040237"
_GONE = 404
_THROTTLED = 429
_SERVER_FAULT = 500
_ENDS = {OperationKind.DEACTIVATE.value: "update", OperationKind.DELETE_ROW.value: "delete"}


def send_to_dynamics(
    client: DynamicsClient, schema: Schema, rules: DuplicateRules, operations: Sequence[Operation]
) -> list[Outcome]:
    """Send operations in one batch; one outcome each, in order. `rules`: where duplicate rules are respected (D33).

    An edit made since we read gives 412: the fields are merged again instead of being overwritten. So are those of a
    record whose version is not known.
    """
    writes: list[RowWrite] = []
    sent: list[Operation] = []
    outcomes: dict[str, Outcome] = {}
    for operation in operations:
        if operation.kind == OperationKind.UPDATE and operation.etag is None:  # an edit made meanwhile would not show
            outcomes[operation.op_id] = Outcome(operation, Fate.CONFLICT, "no_version", "read again for its version")
            continue
        try:
            writes.append(_row_write(schema, rules, operation))
            sent.append(operation)
        except RowFailed as failed:
            outcomes[operation.op_id] = Outcome(operation, Fate.REFUSED, failed.code, failed.message, failed.field)
    outcomes |= {outcome.operation.op_id: outcome for outcome in _send(client, schema, sent, writes)}
    return [outcomes[operation.op_id] for operation in operations]


def _send(client: DynamicsClient, schema: Schema, sent: list[Operation], writes: list[RowWrite]) -> list[Outcome]:
    if not writes:
        return []
    try:
        results = client.batch(writes)
    except ConnectionBroken as broken:
        return [
            Outcome(op, _unanswered(op) if broken.maybe_committed else Fate.LATER, "connection", str(broken),
                    retry_after=broken.after)
            for op in sent
        ]  # fmt: skip
    except RetryLater as later:
        return [Outcome(op, Fate.LATER, type(later).__name__, str(later), retry_after=later.after) for op in sent]
    shown = _shown(schema, sent, results)
    return [
        refused_as_duplicate(client, op, write, result)
        if (result.code or "").lower() == DUPLICATE
        else _outcome(op, result, shown.get(op.op_id))
        for op, write, result in zip(sent, writes, results, strict=True)
    ]


def _unanswered(operation: Operation) -> Fate:
    """A fact may be written again; anything else that may have been written must be read first."""
    return Fate.LATER if operation.kind in STANDING else Fate.UNKNOWN


def _row_write(schema: Schema, rules: DuplicateRules, operation: Operation) -> RowWrite:
    entity = Entity(operation.entity)
    if operation.kind == OperationKind.MERGE_ROWS:
        loser = {"loser": operation.writes[0].after}
        return RowWrite(entity=entity, id=str(operation.crm_id), kind="merge", body=loser)
    if operation.kind in _ENDS:
        closed = {write.field: int(write.after) for write in operation.writes if write.after}
        kind = _ENDS[operation.kind]
        return RowWrite(entity=entity, id=str(operation.crm_id), kind=kind, body=closed, etag=operation.etag)
    fields = {field.name: field for field in schema.map(entity).fields}
    body: dict[str, Any] = {}
    for write in operation.writes:
        if write.system:  # the filter's own column (D71)
            body[write.field] = write.after == "true"
            continue
        if write.field not in fields:
            raise RowFailed("unmapped_field", f"{write.field} is no longer in the field map", field=write.field)
        field = fields[write.field]
        body[field.dynamics.name] = dynamics_value(field, write.after)
    create = operation.kind == OperationKind.CREATE
    if create and operation.binds:
        body |= {f"{name}@odata.bind": row for name, row in json.loads(operation.binds).items()}
    return RowWrite(
        entity=entity,
        id=str(operation.crm_id),
        kind="create" if create else "update",
        body=body,
        etag=None if create else operation.etag,
        returning=schema.row_columns(entity),
        detect=rules_look_at(operation, rules),
    )


def _outcome(operation: Operation, result: WriteResult, shown: dict[str, str | None] | None) -> Outcome:
    if not result.answered:
        return Outcome(
            operation, _unanswered(operation), "unanswered", "the batch was cut off before this part was answered"
        )
    if result.ok:
        return Outcome(operation, Fate.DONE, etag=result.etag, shown=shown)
    code = (result.code or "").lower()
    message = result.message or f"Dynamics answered {result.status}"
    if operation.kind in _ENDS and (result.status == _GONE or code == _VERSION_MISMATCH):
        edited = code == _VERSION_MISMATCH
        return withdrawn(operation, "somebody edited it at that moment") if edited else Outcome(operation, Fate.DONE)
    if (
        code == _VERSION_MISMATCH
        or result.status == _GONE
        or (code == _EXISTS and operation.kind == OperationKind.CREATE)
    ):
        return Outcome(operation, Fate.CONFLICT, result.code, message)
    if result.status == _THROTTLED or result.status >= _SERVER_FAULT:
        return Outcome(operation, Fate.LATER, result.code, message, retry_after=result.retry_after)
    return Outcome(operation, Fate.REFUSED, result.code or str(result.status), message)


def _shown(
    schema: Schema, sent: Sequence[Operation], results: Sequence[WriteResult]
) -> dict[str, dict[str, str | None]]:
    """What the written records show now, canonical, by operation; one conversion per entity and batch."""
    found: dict[str, dict[str, str | None]] = {}
    for entity in Entity:
        mine = [
            (op, result.row)
            for op, result in zip(sent, results, strict=True)
            if op.entity == entity and result.row is not None and result.row.num_rows == 1
        ]
        if mine:
            field_map = schema.map(entity)
            records = canonical_rows(pa.concat_tables([row for _, row in mine]), field_map)
            told = [name for name in field_map.names if name in records.column_names]  # addresses of owners are not
            named = records.select(told).to_pylist()
            found |= {op.op_id: record for (op, _), record in zip(mine, named, strict=True)}
    return found
