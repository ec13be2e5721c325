"""What is left of persons deleted in Marketo who must stay so: digests, and nothing else (D52)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from include.leadsync.baseline import open_base
from include.leadsync.context import Engine
from include.leadsync.erasing import Eraser
from include.leadsync.model import LinkStatus
from include.leadsync.state import Erasures, Layouts, Links, PersonMerges, Transaction
from include.leadsync.state.links import HISTORY

_EMAIL = "email"
_EMPTIED = (
    *("person_id", "crm_id", "layout_id", "base", "person_side", "crm_side", "person_open", "crm_open"),
    *("person_hash", "crm_hash", "crm_etag", "note", "dirty", "became_crm", "became_person"),
)


def erase(engine: Engine, link_ids: Sequence[int], tx: Transaction) -> None:
    """Empty these links and forget what other tables say of their persons, if the configuration wants that."""
    eraser, links = Eraser(engine), Links(engine.store)
    if not eraser.enabled:
        return
    rows = links.by_id(link_ids, tx, statuses=None).to_pylist()
    persons = {row["person_id"] for row in rows if row["person_id"] is not None}
    losers = PersonMerges(engine.store).losers(persons, tx)  # the same human being
    rows += links.by_person(sorted(losers), tx, statuses=HISTORY).to_pylist() if losers else []
    layouts = Layouts(engine.store).all(tx)
    known = [(row["crm_id"], email) for row in rows for email in _emails(row, layouts)]
    eraser.remember(known, tx)
    Erasures(engine.store).forget([row["link_id"] for row in rows], sorted(persons | losers), tx)
    emptied = [
        {"link_id": row["link_id"], "status": LinkStatus.ERASED.value, **dict.fromkeys(_EMPTIED)} for row in rows
    ]
    schema = links.by_id([], tx).schema
    names = ["link_id", "status", *_EMPTIED]
    links.update(pa.Table.from_pylist(emptied, schema=pa.schema([schema.field(name) for name in names])), tx)


def welcome(engine: Engine, stored: pa.Table, tx: Transaction) -> None:
    """New links: their persons are known, whatever was deleted before. `stored`: rows of the link table."""
    eraser = Eraser(engine)
    if not eraser.enabled:
        return
    layouts = Layouts(engine.store).all(tx)
    rows = [row for row in stored.to_pylist() if row["person_id"] is not None]
    eraser.welcome([(row["crm_id"], email) for row in rows for email in _emails(row, layouts)], tx)


def _emails(row: Mapping[str, Any], layouts: Mapping[int, Sequence[str]]) -> list[str | None]:
    """Every address that the stored link knows: the agreed one, and what a side shows instead; or none."""
    base, _ = open_base(row["base"], layouts.get(row["layout_id"], ()))
    sides = [json.loads(row[name]) for name in ("person_side", "crm_side") if row[name]]
    return [*sorted({str(shown[_EMAIL]) for shown in (base, *sides) if shown.get(_EMAIL)})] or [None]
