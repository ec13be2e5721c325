"""Edits on their way to both sides, whose writes did not all end: the outbox alone knows them (P2).

A write of one side's value can be planned again from what the other side shows. An edit that a write of ours ran
over, or that was carried over from a merged record, shows on neither side; its plan writes it to both. When such a
plan is replaced, or dies in flight, the edit is taken from its operations and merged once more.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import polars as pl

from include.leadsync.extract.feed import OVERWRITTEN_SCHEMA
from include.leadsync.model import Direction, OperationKind, OperationState
from include.leadsync.no_rows import no_rows
from include.leadsync.state import Outbox, StateStore

Row = Mapping[str, Any]

_WAITING = (OperationState.PENDING, OperationState.PARKED, OperationState.HELD)
_ENDED = (OperationState.SUPERSEDED, OperationState.DONE)


def last_plans(store: StateStore, link_ids: Collection[int], superseded: Collection[int]) -> list[list[Row]]:
    """The updates of the last plan of each link that may not have ended, one list a link.

    `superseded`: those of the links whose operations were superseded because their outcome is unknown, met with a
    conflict or waited for approval; of the others only what still waits counts.
    """
    outbox = Outbox(store)
    waiting = outbox.of_links(sorted(link_ids), states=_WAITING)["link_id"].to_pylist()
    links = sorted({*waiting, *(set(superseded) & set(link_ids))})
    if not links:
        return []
    operations = [
        row
        for row in outbox.of_links(links, states=(*_WAITING, *_ENDED)).to_pylist()
        if row["kind"] == OperationKind.UPDATE
    ]
    newest = {row["link_id"]: row["run_id"] for row in sorted(operations, key=lambda row: row["created_at"])}
    last: dict[int, list[Row]] = {link_id: [] for link_id in newest}
    for row in operations:
        if row["run_id"] == newest[row["link_id"]]:
            last[row["link_id"]].append(row)
    return list(last.values())


def unfinished_edits(plans: list[list[Row]]) -> pl.DataFrame:
    """The edits that the last plan of each link was to bring to both sides and has not, `OVERWRITTEN_SCHEMA`."""
    rows = [edit for plan in plans for edit in _edits(plan)]
    if not rows:
        return no_rows(OVERWRITTEN_SCHEMA)
    return pl.DataFrame(rows, schema=OVERWRITTEN_SCHEMA, orient="row")


def _edits(operations: list[Row]) -> Iterator[dict[str, Any]]:
    """Fields of one plan that go to both sides with the same value, unless both have it."""
    outbound, inbound = (_writes(operations, direction) for direction in (Direction.OUTBOUND, Direction.INBOUND))
    for field in sorted(outbound.keys() & inbound.keys()):
        (there, out), (here, back) = outbound[field], inbound[field]
        done = here["state"] == OperationState.DONE
        if out["after"] != back["after"] or (done and there["state"] == OperationState.DONE):
            continue
        yield {
            "person_id": here["person_id"],
            "field": field,
            "before": out["base"],
            "value": out["after"],
            "after": out["after"] if done else back["before"],
            "op_id": there["op_id"],
            "at": there["created_at"],
        }


def _writes(operations: list[Row], direction: Direction) -> dict[str, tuple[Row, Row]]:
    return {
        write["field"]: (row, write)
        for row in operations
        if row["direction"] == direction
        for write in json.loads(row["payload"])["writes"]
    }
