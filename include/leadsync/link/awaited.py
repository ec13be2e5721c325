"""CRM records that arrive with the address of a person whose own one was refused so far (D13, D24, P4).

That person asked for a record, and Dynamics could not store what was to be written. Whoever types the record in by hand
meanwhile has made the one that was asked for: the link goes on with it, and nothing is made beside it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

import polars as pl
import pyarrow as pa

from include.leadsync.context import Engine
from include.leadsync.link.fates import Fates
from include.leadsync.link.people import People
from include.leadsync.link.resolution import Claim, Move, Successor
from include.leadsync.model import Entity, LinkStatus
from include.leadsync.state import Links, Outbox


def awaited(
    engine: Engine,
    people: People,
    fates: Fates,
    arriving: Mapping[Entity, pl.DataFrame],
    raw_persons: pa.Table,
    gone: Collection[int],
) -> list[Move]:
    """Links that wait for their CRM record to be made go on, in `fates`, with the one that arrives; returns those.

    `arriving`: unlinked records with `id` and, where it syncs, `email`. `raw_persons`: persons as read in this run; the
    others have the address that was to be written. `gone`: persons who are not there any more. Where several records or
    several persons have one address nobody can tell whose it is: they stay as they are.
    """
    strangers = pl.col("id").is_in(list(fates.restored)).not_()
    there = [(e, f.filter(strangers)) for e, f in arriving.items() if f.height and "email" in f.columns]
    if not there or people.settings.when_found != "link":
        return []
    refused = Outbox(engine.store).refused_records()
    if refused.num_rows == 0:
        return []
    found = pl.concat(
        frame.select(pl.col("email").str.to_lowercase(), "id", entity=pl.lit(entity.value)) for entity, frame in there
    )
    records = found.drop_nulls("email").unique("email", keep="none")
    by_email = {email: Successor(Entity(entity), crm_id) for email, crm_id, entity in records.iter_rows()}
    persons = people.canonical(raw_persons, Entity.LEAD)
    asking = _asking(refused, dict(persons.select("id", "sys_email").iter_rows()))
    others = {*fates.touched, *fates.lost}
    waiting = {link: address for link, address in asking.items() if address in by_email and link not in others}
    links = Links(engine.store).by_id(sorted(waiting)).to_pylist() if waiting else []
    claims = [_claim(row) for row in links if row["status"] == LinkStatus.CREATING and row["person_id"] not in gone]
    moves = [Move(claim, claim.person_id, by_email[waiting[claim.link_id]]) for claim in claims]
    moves = [move for move in moves if sum(other.crm_id == move.crm_id for other in moves) == 1]
    fates.go_on(moves)
    return moves


def _asking(refused: pa.Table, addresses: Mapping[int, str | None]) -> dict[int, str]:
    """Link → the address of its person. `refused`: as `Outbox.refused_records`."""
    asking: dict[int, str] = {}
    for row in refused.to_pylist():
        writes = json.loads(row["payload"])["writes"]
        planned = next((write["after"] for write in writes if write["field"] == "email"), None)
        address = addresses.get(row["person_id"], planned)
        if address:
            asking[row["link_id"]] = address.lower()
    return asking


def _claim(row: Mapping[str, Any]) -> Claim:
    entity = Entity(row["entity"])
    return Claim(row["link_id"], entity, row["person_id"], row["crm_id"], row["status"], row["version"])
