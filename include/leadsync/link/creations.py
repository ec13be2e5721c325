"""Creations in Dynamics that an earlier run began: their request goes with them until they end (R52, D34)."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping

import polars as pl

from include.leadsync.link.frames import events
from include.leadsync.model import LinkStatus, OperationKind, OperationState
from include.leadsync.state import Outbox, StateStore


def with_requests(store: StateStore, pairs: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Pairs with the request and the look-ups that the last attempt to create their CRM record had.

    The second frame holds an event for each request whose record turned out to exist: the attempt had
    succeeded, only its answer was lost.
    """
    begun = pairs["link_id"].filter(pairs["status"] == LinkStatus.CREATING).to_list()
    asked = _asked(store, begun) if begun else {}
    if not asked:
        return pairs, events([])
    known = pl.DataFrame(
        [(link_id, request_id, binds) for link_id, (request_id, binds) in asked.items()],
        schema={"link_id": pl.Int64, "request_id": pl.String, "binds": pl.String},
        orient="row",
    )
    found = pairs.select("link_id").join(known, on="link_id", how="left", maintain_order="left")
    pairs = pairs.with_columns(found["request_id"], found["binds"])
    there = pairs.filter(pl.col("request_id").is_not_null() & pl.col("create").is_null())
    return pairs, events(
        [_created(row) for row in there.select("link_id", "person_id", "crm_id", "request_id").to_dicts()]
    )


def ended_requests(store: StateStore, ended: Mapping[int, int | None]) -> pl.DataFrame:
    """Events for requests whose person was merged into one that has a record: nothing is to be created (D44, R48).

    `ended`: links that end, with the person that is left.
    """
    asked = _asked(store, list(ended)) if ended else {}
    message = "the person was merged into one that has a CRM record; nothing was created"
    told = {"kind": "request", "outcome": "no_action", "code": "person_merged", "message": message, "rule": "D44"}
    return events(
        [
            {**told, "link_id": link_id, "person_id": ended[link_id], "request_id": request_id}
            for link_id, (request_id, _) in asked.items()
            if request_id
        ]
    )


def vanished_requests(store: StateStore, removed: pl.DataFrame) -> pl.DataFrame:
    """Events for requests whose record was created and deleted before its answer came. `removed`: its events."""
    if removed.is_empty():
        return events([])
    gone = removed.filter(pl.col("kind") == "crm_deleted")
    asked = _asked(store, gone["link_id"].to_list()) if gone.height else {}
    message = "the record was created, and deleted in Dynamics before the answer came"
    told = {"kind": "request", "outcome": "created", "code": "created", "message": message, "rule": "D34"}
    rows = gone.select("entity", "link_id", "person_id", "crm_id").to_dicts()
    requests = ((row, asked.get(row["link_id"], (None, None))[0]) for row in rows)
    return events([{**row, **told, "request_id": request_id} for row, request_id in requests if request_id])


def orphaned_requests(store: StateStore, deleted: pl.DataFrame, met: Collection[str]) -> pl.DataFrame:
    """Events for requests whose person was deleted in Marketo before the answer came.

    `deleted`: events of deleted persons. `met`: CRM records that this run has read: they were created.
    """
    if deleted.is_empty():
        return events([])
    gone = deleted.filter(pl.col("kind") == "person_deleted")
    asked = _asked(store, gone["link_id"].to_list()) if gone.height else {}
    rows = gone.select("entity", "link_id", "person_id", "crm_id").to_dicts()
    requests = ((row, asked.get(row["link_id"], (None, None))[0]) for row in rows)
    return events(
        [
            {**row, **(_ORPHANED if row["crm_id"] in met else _TOO_LATE), "kind": "request", "request_id": request_id}
            for row, request_id in requests
            if request_id
        ]
    )


_ORPHANED: Mapping[str, object] = {
    "outcome": "created",
    "code": "created",
    "message": "the record was created, and the person deleted in Marketo before the answer came",
    "rule": "D34",
}
_TOO_LATE: Mapping[str, object] = {
    "outcome": "failed",
    "code": "person_missing",
    "message": "the person was deleted in Marketo before its record was created",
    "rule": "R76",
}


def _asked(store: StateStore, link_ids: list[int]) -> dict[int, tuple[str | None, str | None]]:
    """link_id → request and look-ups of the newest operation that was to create its record."""
    operations = Outbox(store).of_links(link_ids, states=[state.value for state in OperationState]).to_pylist()
    asked: dict[int, tuple[str | None, str | None]] = {}
    for operation in sorted(operations, key=lambda row: row["created_at"]):
        if operation["kind"] == OperationKind.CREATE:
            payload = json.loads(operation["payload"])
            asked[operation["link_id"]] = (payload["request_id"], payload["binds"])
    return asked


def _created(pair: dict[str, object]) -> dict[str, object]:
    message = "the record was created; the answer to it was lost, so it was looked up"
    return {**pair, "kind": "request", "outcome": "created", "code": "created", "message": message, "rule": "D34"}
