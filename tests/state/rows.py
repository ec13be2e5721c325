"""Rows to put into the store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from include.leadsync.model import OperationState
from include.leadsync.state import Lease, Leases, Links, Outbox, StateStore


def guid(number: int) -> str:
    """A GUID that tells its number."""
    return f"00000000-0000-0000-0000-{number:012d}"


def link_rows(numbers: Sequence[int], **columns: Any) -> pa.Table:
    """New links of persons 1, 2, … to leads of the same number; `columns` hold one value for all."""
    rows: dict[str, Any] = {
        "entity": ["lead"] * len(numbers),
        "person_id": list(numbers),
        "crm_id": [guid(number) for number in numbers],
    }
    rows |= {name: [value] * len(numbers) for name, value in columns.items()}
    return pa.table(rows)


def add_links(store: StateStore, numbers: Sequence[int], **columns: Any) -> list[int]:
    """Store such links; returns their ids."""
    ids: list[int] = Links(store).insert(link_rows(numbers, **columns))["link_id"].to_pylist()
    return ids


def operation(op_id: str, link_id: int | None = None, **columns: Any) -> dict[str, Any]:
    """One operation; an inbound update in the lane of increments unless told otherwise."""
    row: dict[str, Any] = {
        "op_id": op_id,
        "run_id": "run",
        "link_id": link_id,
        "entity": "lead",
        "direction": "inbound",
        "kind": "update",
        "lane": 2,
        "payload": "{}",
    }
    return row | columns


def add_operations(store: StateStore, *rows: dict[str, Any]) -> None:
    """Store operations, given in the order of their columns."""
    names = {name: None for row in rows for name in row}
    Outbox(store).add(pa.table({name: [row.get(name) for row in rows] for name in names}))


def hold_lease(store: StateStore, holder: str = "loader") -> Lease:
    """The writer lease."""
    lease = Leases(store).acquire("writer", holder, 60)
    assert lease is not None
    return lease


def claim(store: StateStore, fence: int, limit: int = 100, **columns: Any) -> list[str]:
    """Claim inbound operations; returns their ids."""
    given = {"direction": "inbound", "lane": None, "kind": None, "batch_id": "batch"} | columns
    ids: list[str] = Outbox(store).claim(limit=limit, fence=fence, **given)["op_id"].to_pylist()
    return ids


def states(store: StateStore) -> dict[str, str]:
    """State of every operation of links 1 to 100."""
    rows = Outbox(store).of_links(range(1, 101), states=list(OperationState))
    return dict(zip(rows["op_id"].to_pylist(), rows["state"].to_pylist(), strict=True))
