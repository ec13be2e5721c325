"""What our writes to persons will look like in Marketo's feed (DECISIONS 19)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import pyarrow as pa

from include.leadsync.load.outcome import Operation
from include.leadsync.model import Direction, OperationKind

_SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("field", "before", "after", "op_id")]
    + [("person_id", pa.int64()), ("written_at", pa.timestamp("us", "UTC"))]
)


def echoes_of(operations: Iterable[tuple[Operation, datetime]]) -> pa.Table:
    """Rows for `Echoes.add`, one per field: operations that were or may have been written, with their time.

    Those that may have been written count too: an edit that such a write ran over must come back all the same (P2).
    """
    rows = [
        {
            "person_id": operation.person_id,
            "field": write.field,
            "before": write.before,
            "after": write.after,
            "written_at": at,
            "op_id": operation.op_id,
        }
        for operation, at in operations
        if operation.direction == Direction.INBOUND and operation.kind == OperationKind.UPDATE
        for write in operation.writes
        if not write.system
    ]
    return pa.Table.from_pylist(rows, schema=_SCHEMA)
