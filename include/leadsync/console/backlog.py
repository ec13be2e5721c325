"""What is not synced yet: per object and lane, with the oldest insert and the oldest update (R153)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from include.leadsync.model import OperationKind
from include.leadsync.state import Outbox, StateStore, Transaction
from include.leadsync.state.schema import field_job, operation, request
from include.leadsync.state.store import fetch

DETAILED = 5_000
"""Operations of one direction, lane and state that are told apart by object; the oldest ones."""

_CREATE = OperationKind.CREATE.value
_OPEN_REQUESTS = ("pending", "taken", "accepted")


def backlog(store: StateStore) -> dict[str, Any]:
    """The outbox as it stands.

    `groups`: direction, lane, state, count, oldest – counted in the index, exact. `objects`: entity, direction,
    state, inserts, updates, oldest_insert, oldest_update, of the `DETAILED` oldest of each group; `partial` says
    whether any group has more. `requests`: how many wait; `jobs`: open backfills of fields, with `per_hour` and
    `seconds_left` at their pace so far (None before the first stretch is done).
    """
    with store.read() as tx:
        groups: list[dict[str, Any]] = Outbox(store).depth(tx).to_pylist()
        objects: dict[tuple[str, str, str], dict[str, Any]] = {}
        for group in groups:
            for row in _detailed(tx, group):
                _add(objects, group, row)
        waiting = sa.select(sa.func.count()).select_from(request).where(request.c.state.in_(_OPEN_REQUESTS))
        jobs = sa.select(*field_job.columns).where(field_job.c.state == "open").order_by(field_job.c.job_id).limit(50)
        return {
            "groups": groups,
            "objects": sorted(objects.values(), key=lambda row: (row["state"], row["entity"], row["direction"])),
            "partial": any(group["count"] > DETAILED for group in groups),
            "requests": int(tx.execute(waiting).scalar_one()),
            "jobs": [_paced(job) for job in fetch(tx, jobs).to_pylist()],
        }


def _paced(job: dict[str, Any]) -> dict[str, Any]:
    seconds = (job["changed_at"] - job["created_at"]).total_seconds()
    pace = job["done"] / seconds if seconds > 0 else 0.0
    left = round((job["total"] - job["done"]) / pace) if pace and job["total"] >= job["done"] else None
    return job | {"per_hour": round(pace * 3600) if pace else None, "seconds_left": left}


def _detailed(tx: Transaction, group: dict[str, Any]) -> list[dict[str, Any]]:
    of_group = [operation.c[name] == group[name] for name in ("state", "direction", "lane")]
    names = ("entity", "kind", "created_at")
    first = sa.select(*(operation.c[name] for name in names)).where(*of_group)
    first = first.order_by(operation.c.created_at, operation.c.op_id).limit(DETAILED)
    oldest = first.subquery("oldest")
    grouped = sa.select(
        oldest.c.entity,
        oldest.c.kind,
        sa.func.count().label("count"),
        sa.func.min(oldest.c.created_at).label("since"),
    ).group_by(oldest.c.entity, oldest.c.kind)
    rows: list[dict[str, Any]] = fetch(tx, grouped, texts=("entity", "kind"), moments=("since",)).to_pylist()
    return rows


def _add(objects: dict[tuple[str, str, str], dict[str, Any]], group: dict[str, Any], row: dict[str, Any]) -> None:
    key = (str(group["state"]), str(row["entity"]), str(group["direction"]))
    empty = {"inserts": 0, "updates": 0, "oldest_insert": None, "oldest_update": None}
    into = objects.setdefault(
        key, {"entity": row["entity"], "direction": group["direction"], "state": group["state"], **empty}
    )
    which = "insert" if row["kind"] == _CREATE else "update"
    into[f"{which}s"] += row["count"]
    into[f"oldest_{which}"] = _earlier(into[f"oldest_{which}"], row["since"])


def _earlier(one: datetime | None, other: datetime) -> datetime:
    return other if one is None else min(one, other)
