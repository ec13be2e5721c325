"""One person: links, what both sides were last seen to show, and everything that happened, with the reason (P9)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from include.leadsync.baseline import open_base
from include.leadsync.console.asking import LARGEST
from include.leadsync.state import Layouts, StateStore, Transaction
from include.leadsync.state.arrow import to_micros
from include.leadsync.state.schema import LIVE, OPEN, activity, ledger, link, operation, request
from include.leadsync.state.store import fetch

EVENTS = 200
"""Events of a page; those of one moment stay together."""

_MOST_LINKS = 50
_LATEST = 400
_NO_VALUES = ("base", "person_side", "crm_side", "person_hash", "crm_hash", "hash_tag")


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose page it is. A record without a person has no `person_id`; `links` hold all, the live one first."""

    person_id: int | None
    crm_id: str | None
    links: list[dict[str, Any]]

    @property
    def live(self) -> dict[str, Any] | None:
        """The link that is in use."""
        return next((row for row in self.links if row["status"] in LIVE), None)

    @property
    def link_ids(self) -> list[int]:
        """All links, ended ones too."""
        return [row["link_id"] for row in self.links]


def of_person(store: StateStore, person_id: int) -> Subject:
    """The subject of a Marketo id, linked or not."""
    rows = _links(store, link.c.person_id == person_id)
    return Subject(person_id, next((row["crm_id"] for row in rows if row["crm_id"]), None), rows)


def of_record(store: StateStore, crm_id: str) -> Subject:
    """The subject of a Dynamics id; that of its person when a live link names one."""
    rows = _links(store, link.c.crm_id == crm_id)
    person = next((row["person_id"] for row in rows if row["person_id"] and row["status"] in LIVE), None)
    return of_person(store, person) if person is not None else Subject(None, crm_id, rows)


def _links(store: StateStore, mine: sa.ColumnElement[bool]) -> list[dict[str, Any]]:
    with store.read() as tx:
        rows = fetch(tx, sa.select(*link.columns).where(mine).limit(_MOST_LINKS)).to_pylist()
    return sorted(rows, key=lambda row: (row["status"] in LIVE, row["changed_at"]), reverse=True)


def sides(store: StateStore, row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What both sides of a link were last seen to show, in the order of its fields.

    field, base, marketo, dynamics, differs, waiting (a change of one side that is not agreed yet). A spelling of its
    own on one side is no difference.
    """
    names = [name for name in _layout(store, row) if "#" not in name]  # "#": began anew since, that base is void
    base, _ = open_base(row["base"], _layout(store, row))
    marketo, dynamics = (json.loads(row[f"{side}_side"] or "{}") for side in ("person", "crm"))
    waiting = {name for side in ("person", "crm") for name in json.loads(row[f"{side}_open"] or "[]")}
    known = [*names, *sorted({*marketo, *dynamics} - set(names))]
    found = []
    for name in known:
        agreed = base.get(name)
        left, right = marketo.get(name, agreed), dynamics.get(name, agreed)
        differs = left != right and (name in waiting or not row["base"])
        found.append(
            {"field": name, "base": agreed, "marketo": left, "dynamics": right, "differs": differs}
            | {"waiting": name in waiting}
        )
    return found


def _layout(store: StateStore, row: Mapping[str, Any]) -> list[str]:
    return Layouts(store).all().get(row["layout_id"] or 0, [])


def timeline(
    store: StateStore, subject: Subject, field: str | None = None, before: datetime | None = None
) -> tuple[list[dict[str, Any]], datetime | None]:
    """What happened, newest first, and the moment to go on before; None at the end.

    Events: `source` ("ledger", "activity", "operation", "request"), `at`, and the columns of that table. Operations
    are those that are not finished.
    """
    until = to_micros(before) if before else LARGEST
    with store.read() as tx:
        events = [row for table in (ledger, activity) for row in _newest(store, tx, table, subject, field, until)]
        if field is None:
            events += _requests(tx, subject, until)
        if field is None and before is None:
            events += _operations(store, tx, subject)
    events.sort(key=lambda event: (event["at"], event.get("entry_id") or 0), reverse=True)
    if len(events) <= EVENTS:
        return events, None
    last = events[EVENTS - 1]["at"]
    return [event for event in events if event["at"] >= last], last


def _newest(
    store: StateStore, tx: Transaction, table: sa.Table, subject: Subject, field: str | None, until: int
) -> list[dict[str, Any]]:
    """Rows of the ledger or the activity log, which their first column numbers.

    By person, and by link what was written before it had one.
    """
    conditions = [table.c.person_id == subject.person_id] if subject.person_id is not None else []
    if subject.link_ids:
        unnamed = table.c.person_id.is_(None) | (table.c.person_id != (subject.person_id or 0))
        conditions.append(store.bulk.one_of(table.c.link_id, subject.link_ids) & unnamed)
    elif table is ledger and subject.crm_id and subject.person_id is None:  # only there it has an index
        conditions.append(ledger.c.crm_id == subject.crm_id)
    number = table.columns[0]
    rows: list[dict[str, Any]] = []
    for condition in conditions:
        statement = sa.select(*table.columns).where(condition, table.c.at < until)
        if field is not None:
            statement = statement.where(table.c.field == field)
        rows += fetch(tx, statement.order_by(table.c.at.desc(), number.desc()).limit(_LATEST)).to_pylist()
    return [row | {"source": table.name} for row in rows]


def _operations(store: StateStore, tx: Transaction, subject: Subject) -> list[dict[str, Any]]:
    if not subject.link_ids:
        return []
    mine = store.bulk.one_of(operation.c.link_id, subject.link_ids) & operation.c.state.in_(OPEN)
    rows = fetch(tx, sa.select(*operation.columns).where(mine).limit(_LATEST)).to_pylist()
    return [row | {"source": "operation", "at": row["created_at"], "writes": writes_of(row)} for row in rows]


def writes_of(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The writes of an operation: field, before, after, base, rule; [] for those that carry none."""
    writes = json.loads(row["payload"]).get("writes")
    return [dict(write) for write in writes] if isinstance(writes, list) else []


def _requests(tx: Transaction, subject: Subject, until: int) -> list[dict[str, Any]]:
    if subject.person_id is None:
        return []
    mine = (request.c.person_id == subject.person_id) & (request.c.created_at < until)
    rows = fetch(tx, sa.select(*request.columns).where(mine).limit(_LATEST)).to_pylist()
    return [row | {"source": "request", "at": row["created_at"]} for row in rows]


def recently_written(store: StateStore, most: int = 20) -> list[dict[str, Any]]:
    """The persons that were written last: person_id, entity, crm_id, field, at. Out of the last ledger rows only."""
    columns = [ledger.c[name] for name in ("person_id", "entity", "crm_id", "field", "direction", "at")]
    with store.read() as tx:
        newest = sa.select(*columns).where(ledger.c.entry_id < LARGEST).order_by(ledger.c.entry_id.desc())
        rows = fetch(tx, newest.limit(_LATEST)).to_pylist()
    found: dict[int, dict[str, Any]] = {}
    for row in rows:
        if row["person_id"] is not None and len(found) < most:
            found.setdefault(row["person_id"], row)
    return list(found.values())


def public(row: Mapping[str, Any]) -> dict[str, Any]:
    """A link without the packed values."""
    return {name: value for name, value in row.items() if name not in _NO_VALUES}
