"""Looking a person up in both systems by e-mail address or name: the store keeps neither in a form to search.

One call to Marketo (addresses only: its API cannot search names) and one to Dynamics per table, on the shared budget.
"""

from __future__ import annotations

from itertools import islice
from typing import Any

import pyarrow as pa

from include.leadsync.clients.decode import Wire
from include.leadsync.context import Engine
from include.leadsync.errors import LeadSyncError
from include.leadsync.model import Entity, System
from include.leadsync.state import Links, SharedBudget

MOST = 50
"""Records of each table that are shown."""

PATIENCE = 5.0
"""Seconds that a look-up waits for leave to call."""

_PERSON: dict[str, Wire] = {"email": "text", "firstName": "text", "lastName": "text"}
_ROW: dict[str, Wire] = {"emailaddress1": "text", "fullname": "text"}


class WebEngine(Engine):
    """An engine for somebody who waits at a page: what has no leave within seconds is told instead of waited for."""

    def budget(self, system: System) -> SharedBudget:
        """The shared budget, asked for `PATIENCE` seconds at most."""
        limits = self.settings.limits.of(system)
        return SharedBudget(self.store, system, limits, self.clock, max_wait=PATIENCE)


def look_up(engine: Engine, text: str) -> tuple[list[dict[str, Any]], list[tuple[str, LeadSyncError]]]:
    """Everyone an e-mail address or a name fits, and the systems that could not be asked, with the reason.

    Rows: system ("marketo", "dynamics"), entity, id (text), name, email, person_id and crm_id of the live link.
    """
    found: list[dict[str, Any]] = []
    troubles: list[tuple[str, LeadSyncError]] = []
    if "@" in text:
        try:
            found += _persons(engine, text)
        except LeadSyncError as error:
            troubles.append(("marketo", error))
    try:
        for entity in Entity:
            found += _rows(engine, entity, text)
    except LeadSyncError as error:
        troubles.append(("dynamics", error))
    return _linked(engine, found), troubles


def _persons(engine: Engine, address: str) -> list[dict[str, Any]]:
    table = engine.marketo.persons("email", [address], _PERSON)
    return [
        {"system": "marketo", "entity": "person", "id": str(row["id"]), "email": row["email"]}
        | {"name": " ".join(filter(None, (row["firstName"], row["lastName"])))}
        for row in table.to_pylist()[:MOST]
    ]


def _rows(engine: Engine, entity: Entity, text: str) -> list[dict[str, Any]]:
    if "@" in text:
        rows = engine.dynamics.rows_by_email(entity, [text], _ROW).to_pylist()
    else:
        quoted = text.replace("'", "''")
        pages = engine.dynamics.rows_where(entity.value, f"startswith(fullname,'{quoted}')", _ROW)
        first: list[pa.Table] = list(islice(pages, 1))  # no more than one page: a name is no export
        rows = first[0].to_pylist() if first else []
    return [
        {"system": "dynamics", "entity": entity.value, "id": row["id"]}
        | {"email": row["emailaddress1"], "name": row["fullname"] or ""}
        for row in rows[:MOST]
    ]


def _linked(engine: Engine, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    links = Links(engine.store)
    persons = [int(row["id"]) for row in found if row["system"] == "marketo"]
    records = [row["id"] for row in found if row["system"] == "dynamics"]
    by_person = {row["person_id"]: row for row in links.by_person(persons).to_pylist()} if persons else {}
    by_record = {row["crm_id"]: row for row in links.by_crm(records).to_pylist()} if records else {}
    for row in found:
        link = by_person.get(int(row["id"])) if row["system"] == "marketo" else by_record.get(row["id"])
        row["person_id"] = link["person_id"] if link else int(row["id"]) if row["system"] == "marketo" else None
        row["crm_id"] = link["crm_id"] if link else row["id"] if row["system"] == "dynamics" else None
        row["linked"] = link is not None
    return found
