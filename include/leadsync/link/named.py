"""Persons without a link that carry the id of a CRM record: they are that record's, whatever their address says (D11).

Such a record may arrive later in the same run, or be kept out by its filter; a record that merely has the same address
must not get its person (D14). An id that leads nowhere any more binds nobody (D47).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import polars as pl

from include.leadsync.context import Engine
from include.leadsync.extract.identity import CONTACT, MASTER, MERGED, QUALIFIED, STATE
from include.leadsync.fields import Wire
from include.leadsync.model import Entity

_GUID = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
_HOPS = 5  # merges of merges that are followed
_WANTED: Mapping[Entity, dict[str, Wire]] = {
    Entity.LEAD: {STATE: "integer", MERGED: "boolean", MASTER: "text", CONTACT: "text"},
    Entity.CONTACT: {STATE: "integer", MERGED: "boolean", MASTER: "text"},
}


def named_records(engine: Engine, persons: pl.DataFrame) -> dict[int, frozenset[str]]:
    """Person → the record it names and those that took its place by a merge or a qualification.

    `persons`: id, sys_id, sys_deleted. Who names no record that exists, or is flagged as deleted in Dynamics, lacks.
    """
    named = named_ids(persons)
    after: dict[str, str | None] = {}
    wanted = set(named.values())
    for _ in range(_HOPS):
        wanted = {crm_id for crm_id in wanted if crm_id not in after}
        if not wanted:
            break
        found = _successors(engine, wanted)
        after |= found
        wanted = {crm_id for crm_id in found.values() if crm_id}
    return {person: frozenset(_chain(crm_id, after)) for person, crm_id in named.items() if crm_id in after}


def named_ids(persons: pl.DataFrame) -> dict[int, str]:
    """Person → the id it carries, of those that are not flagged as deleted in Dynamics."""
    flagged = pl.col("sys_deleted").fill_null(value=False)
    naming = persons.filter(pl.col("sys_id").str.contains(_GUID).fill_null(value=False) & ~flagged)
    return dict(naming.select("id", "sys_id").iter_rows())


def _successors(engine: Engine, ids: Iterable[str]) -> dict[str, str | None]:
    """Records that exist → what took their place, None where they stand for themselves."""
    after: dict[str, str | None] = {}
    for entity in Entity:
        for row in engine.dynamics.rows(entity, sorted(ids), _WANTED[entity]).to_pylist():
            master = row[MASTER] if row[MERGED] else None
            contact = row.get(CONTACT) if row[STATE] == QUALIFIED else None
            next_one = master or contact
            after[str(row["id"]).lower()] = str(next_one).lower() if next_one else None
    return after


def _chain(crm_id: str, after: Mapping[str, str | None]) -> list[str]:
    chain, here = [crm_id], after.get(crm_id)
    while here is not None and here not in chain:
        chain.append(here)
        here = after.get(here)
    return chain
