"""Collisions: where two different values met, which one won, and by which rule (R40–R43, D5)."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from include.leadsync.console.asking import LARGEST, PAGE, Slice, containing, sliced, stretch_end
from include.leadsync.model import Direction
from include.leadsync.state import StateStore
from include.leadsync.state.schema import DECIDED, ledger
from include.leadsync.state.store import fetch

KINDS = ("collision", "first_link", "overwritten")
_DECIDED = sa.text(DECIDED)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which collisions; None is any."""

    field: str | None = None
    entity: str | None = None
    kind: str | None = None
    rule: str | None = None
    winner: str | None = None
    text: str | None = None


def browse(store: StateStore, wanted: Wanted, before: int | None = None) -> Slice:
    """Newest first; the token is an entry_id.

    Rows: entry_id, at, run_id, person_id, crm_id, entity, field, kind, base, rule, and `winner` ("marketo",
    "dynamics", or "" where an edit was merely run over), `marketo` and `dynamics`: the value of each side.
    """
    start, key = before or LARGEST, ledger.c.entry_id
    decided = sa.and_(sa.true(), _DECIDED)
    with store.read() as tx:
        end = stretch_end(tx, key, decided, start)
        statement = sa.select(*ledger.columns).where(decided, key < start, key >= end, *_filters(wanted))
        rows = fetch(tx, statement.order_by(key.desc()).limit(PAGE + 1)).to_pylist()
    return sliced([_sided(row) for row in rows], "entry_id", end)


def _sided(row: dict[str, object]) -> dict[str, object]:
    """A write into Marketo means that Dynamics' value won; the other way round likewise."""
    inbound = row["direction"] == Direction.INBOUND.value
    won, lost = ("dynamics", "marketo") if inbound else ("marketo", "dynamics")
    return row | {"winner": won, won: row["after"], lost: row["lost"]}


def _filters(wanted: Wanted) -> list[sa.ColumnElement[bool]]:
    filters = [
        ledger.c[name] == getattr(wanted, name)
        for name in ("field", "entity", "kind", "rule")
        if getattr(wanted, name) is not None
    ]
    if wanted.winner is not None:
        way = Direction.INBOUND if wanted.winner == "dynamics" else Direction.OUTBOUND
        filters.append(ledger.c.direction == way.value)
    if wanted.text:
        names = ("base", "after", "lost")
        filters.append(sa.or_(*(containing(ledger.c[name], wanted.text) for name in names)))
    return filters
