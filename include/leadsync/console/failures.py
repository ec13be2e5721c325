"""Failures: browse, search, group by cause, export (R152), and another try (D95)."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from include.leadsync.console.asking import LARGEST, PAGE, STRETCH, Slice, containing, sliced, stretch_end
from include.leadsync.state import Links, StateStore, Transaction
from include.leadsync.state.schema import LIVE, activity, link
from include.leadsync.state.store import fetch

RETRIED = "another try, asked for in the console"
"""Why links that were tried again are read afresh."""

AT_ONCE = 10_000
"""Links that one click lets try again."""

GROUPED = 100_000
"""Open failures that are grouped; the newest ones."""

_GROUPS = 200
_OPEN = sa.literal_column("open") == sa.literal_column("1")  # word for word as in the partial index
_COLUMNS = list(activity.columns)
EXPORTED = (
    "at", "outcome", "entity", "person_id", "crm_id", "operation", "direction", "field", "value", "code", "message",
    "rule", "run_id", "link_id", "open",
)  # fmt: skip
_RUN_BY_SPREADSHEETS = ("=", "+", "-", "@", "\t", "\r", "\n")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which failures. `cause` parts as in a group; "" in `field` means those of a whole record."""

    all: bool = False
    code: str | None = None
    direction: str | None = None
    entity: str | None = None
    field: str | None = None
    outcome: str | None = None
    person_id: int | None = None
    crm_id: str | None = None
    run_id: str | None = None
    text: str | None = None


def browse(store: StateStore, wanted: Wanted, before: int | None = None) -> Slice:
    """Newest first; the token is an activity_id. Rows have all columns of the activity table."""
    start, key = before or LARGEST, activity.c.activity_id
    narrowed = _narrowed(wanted)
    with store.read() as tx:
        end = stretch_end(tx, key, narrowed, start)
        statement = sa.select(*_COLUMNS).where(narrowed, key < start, key >= end, *_filters(wanted))
        rows = fetch(tx, statement.order_by(key.desc()).limit(PAGE + 1)).to_pylist()
    return sliced(rows, "activity_id", end)


def groups(store: StateStore) -> tuple[list[dict[str, Any]], bool]:
    """Open failures by cause, the commonest first, and whether older ones were left out.

    Rows: code, direction, entity, field, outcome, count, linked (how many can be tried again), oldest, newest,
    message (of the newest), activity_id.
    """
    key = activity.c.activity_id
    keys = [activity.c[name] for name in ("outcome", "code", "direction", "entity", "field")]
    counted = sa.func.count().label("count")
    newest = sa.func.max(key).label("activity_id")
    linked = sa.func.count(activity.c.link_id).label("linked")
    moments = [sa.func.min(activity.c.at).label("oldest"), sa.func.max(activity.c.at).label("newest")]
    with store.read() as tx:
        end = stretch_end(tx, key, _OPEN, LARGEST, GROUPED)
        grouped = sa.select(*keys, counted, linked, newest, *moments).where(_OPEN, key >= end).group_by(*keys)
        rows: list[dict[str, Any]] = fetch(
            tx, grouped.order_by(counted.desc(), newest.desc()).limit(_GROUPS), moments=("oldest", "newest")
        ).to_pylist()
        told = _messages(store, tx, [row["activity_id"] for row in rows])
    return [row | {"message": told.get(row["activity_id"])} for row in rows], end > 0


def _messages(store: StateStore, tx: Transaction, ids: Sequence[int]) -> dict[int, str]:
    mine = store.bulk.one_of(activity.c.activity_id, ids)
    found = tx.execute(sa.select(activity.c.activity_id, activity.c.message).where(mine))
    return {row.activity_id: row.message for row in found}


def codes(store: StateStore) -> list[str]:
    """The codes of open failures, for a choice list."""
    rows, _ = groups(store)
    return sorted({row["code"] for row in rows})


def of_id(store: StateStore, activity_id: int) -> dict[str, Any] | None:
    """One row."""
    with store.read() as tx:
        rows = fetch(tx, sa.select(*_COLUMNS).where(activity.c.activity_id == activity_id)).to_pylist()
    return rows[0] if rows else None


def retry(store: StateStore, wanted: Wanted, activity_id: int | None = None) -> dict[str, int]:
    """Have the records of open failures read on both sides and merged again by the next cycle.

    One failure by its id, or all that are wanted, up to `AT_ONCE` links. What was parked for them is planned anew.
    Returns `failures` that were found and `links` that will be tried; a failure without a live link waits for
    something else and is looked at again by itself (D13).
    """
    key = activity.c.activity_id
    wanted = replace(wanted, all=False)
    narrowed = _narrowed(wanted) if activity_id is None else (key == activity_id) & _OPEN
    with store.begin() as tx:
        end = stretch_end(tx, key, narrowed, LARGEST, GROUPED)
        found = sa.select(activity.c.link_id).where(narrowed, key >= end, *_filters(wanted)).order_by(key)
        linked = [link_id for (link_id,) in tx.execute(found)]
        ids = sorted({link_id for link_id in linked if link_id is not None})[:AT_ONCE]
        live = sa.select(link.c.link_id).where(store.bulk.one_of(link.c.link_id, ids), link.c.status.in_(LIVE))
        alive = list(tx.execute(live).scalars())
        return {"failures": len(linked), "links": Links(store).set_dirty(alive, RETRIED, tx)}


def exported(store: StateStore, wanted: Wanted) -> Iterator[str]:
    """CSV, newest first, a stretch at a time; a text that a spreadsheet would run gets a quote in front."""
    yield "\ufeff" + _line(EXPORTED)
    start, key = LARGEST, activity.c.activity_id
    narrowed, filters = _narrowed(wanted), _filters(wanted)
    columns = [activity.c[name] for name in EXPORTED]
    while True:
        with store.read() as tx:
            end = stretch_end(tx, key, narrowed, start, STRETCH // 10)
            within = sa.select(*columns).where(narrowed, key < start, key >= end, *filters)
            rows = fetch(tx, within.order_by(key.desc())).to_pylist()
        if rows:
            yield "".join(_line([_cell(row[name]) for name in EXPORTED]) for row in rows)
        if not end:
            return
        start = end


def _line(cells: Sequence[object]) -> str:
    out = io.StringIO()
    csv.writer(out).writerow(cells)
    return out.getvalue()


def _cell(value: object) -> object:
    if isinstance(value, str) and value.startswith(_RUN_BY_SPREADSHEETS):
        return f"'{value}"
    return value


def _narrowed(wanted: Wanted) -> sa.ColumnElement[bool]:
    """What an index can answer: a person's rows, the open ones, or all."""
    parts: list[sa.ColumnElement[bool]] = []
    if wanted.person_id is not None:
        parts.append(activity.c.person_id == wanted.person_id)
    if not wanted.all:
        parts.append(_OPEN)
    return sa.and_(sa.true(), *parts)


def _filters(wanted: Wanted) -> list[sa.ColumnElement[bool]]:
    """What is compared row by row within a stretch."""
    exact: Mapping[str, Any] = {
        name: getattr(wanted, name) for name in ("code", "direction", "entity", "outcome", "crm_id", "run_id")
    }
    filters = [activity.c[name] == value for name, value in exact.items() if value is not None]
    if wanted.field is not None:
        filters.append(activity.c.field == wanted.field if wanted.field else activity.c.field.is_(None))
    if wanted.text:
        columns = ("message", "value", "field", "code")
        filters.append(sa.or_(*(containing(activity.c[name], wanted.text) for name in columns)))
    return filters
