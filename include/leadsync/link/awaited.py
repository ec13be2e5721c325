"""CRM records that arrive for a person whose own one was refused so far (D13, D24, D48, P4).

That person asked for a record, and Dynamics could not store what was to be written. Whoever types the record in by hand
meanwhile, or restores the one it had before, has made the one that was asked for: the link goes on with it, and nothing
is made beside it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping

import polars as pl
import pyarrow as pa

from include.leadsync.context import Engine
from include.leadsync.extract.identity import PLACE
from include.leadsync.link.by_email import place_of
from include.leadsync.link.fates import Fates
from include.leadsync.link.people import People
from include.leadsync.link.resolution import Claim, Move, Successor
from include.leadsync.model import Entity, LinkStatus
from include.leadsync.no_rows import no_rows
from include.leadsync.state import Links, Outbox

_RECORD = {"id": pl.String, "entity": pl.String, "address": pl.String, "place": pl.Int64}


def awaited(
    engine: Engine,
    people: People,
    fates: Fates,
    arriving: Mapping[Entity, pl.DataFrame],
    raw_persons: pa.Table,
    gone: Collection[int],
) -> None:
    """Links that wait for their CRM record to be made go on, in `fates`, with the one that arrives.

    `arriving`: unlinked records as extracted. `raw_persons`: persons as read in this run; the others have the address
    that was to be written. `gone`: persons who are not there any more. The record that the person had before comes
    first (D48); of several with the address it gets the first, as anybody does (D14). A record is held where several
    wait for it (D13), and left to others where another person carries its id (D11) or its partition is another (D20).
    """
    if not any(frame.height for frame in arriving.values()):
        return
    refused = Outbox(engine.store).refused_records()
    if refused.num_rows == 0:
        return
    records = _records(people, arriving)
    waiting = list(_waiting(engine, fates, refused, gone))
    met = dict(people.canonical(raw_persons, Entity.LEAD).select("id", "sys_email").iter_rows())
    planned = {claim.person_id: met.get(claim.person_id, address) for claim, address in waiting}
    claims = {claim.person_id: claim for claim, _ in waiting}
    own = {crm_id: who for crm_id, who in fates.restored.items() if who in claims}
    back = records.filter(pl.col("id").is_in(list(own))).select("id", "entity").iter_rows()
    taken = {own[crm_id]: Successor(Entity(entity), crm_id) for crm_id, entity in back}
    if people.settings.when_found == "link":
        strangers = records.filter(~pl.col("id").is_in(list(fates.restored)))
        _by_address(people, fates, strangers, {who: at for who, at in planned.items() if who and at}, taken)
    fates.go_on([Move(claims[who], who, record) for who, record in taken.items()])


def _records(people: People, arriving: Mapping[Entity, pl.DataFrame]) -> pl.DataFrame:
    """`_RECORD`, in the order in which the link step comes to them. `place`: the partition of a person made for it."""
    ids = people.partition_ids() if people.placing else None
    parts = [no_rows(_RECORD)]
    for entity, frame in arriving.items():
        address = pl.col("email").str.to_lowercase() if "email" in frame.columns else pl.lit(None, pl.String)
        rows = frame.select("id", entity=pl.lit(entity.value), address=address, place=place_of(frame[PLACE], ids))
        parts.append(rows.filter(frame[PLACE].is_null() | frame[PLACE].is_in(list(ids or frame[PLACE]))).sort("id"))
    return pl.concat(parts)


def _waiting(
    engine: Engine, fates: Fates, refused: pa.Table, gone: Collection[int]
) -> Iterator[tuple[Claim, str | None]]:
    """Links that wait, with the address that was to be written. `refused`: as `Outbox.refused_records`."""
    addresses = {row["link_id"]: _planned(row["payload"]) for row in refused.to_pylist()}
    for row in Links(engine.store).by_id(sorted(addresses)).to_pylist():
        busy = row["link_id"] in fates.touched or row["link_id"] in fates.lost or row["person_id"] in gone
        if row["status"] == LinkStatus.CREATING and row["person_id"] is not None and not busy:
            who = row["person_id"], row["crm_id"], row["status"], row["version"]
            yield Claim(row["link_id"], Entity(row["entity"]), *who), addresses[row["link_id"]]


def _planned(payload: str) -> str | None:
    return next((write["after"] for write in json.loads(payload)["writes"] if write["field"] == "email"), None)


def _by_address(
    people: People, fates: Fates, records: pl.DataFrame, asking: Mapping[int, str], taken: dict[int, Successor]
) -> None:
    """Add to `taken` who gets one of `records`. `asking`: person → address, by which they are chosen and read again."""
    wanted = {address.lower() for address in asking.values()}
    records = records.filter(pl.col("address").is_in(list(wanted)))
    if records.is_empty():
        return
    chosen = [who for who, address in asking.items() if address.lower() in set(records["address"])]
    present = people.canonical(people.by_id(sorted(chosen)), Entity.LEAD)
    carrying = people.by_microsoft_id(records["id"].to_list())
    carriers = people.canonical(carrying, Entity.LEAD) if carrying is not None else present.clear()
    for row in records.to_dicts():
        here = pl.lit(row["place"] is None) | pl.col("sys_partition").eq_missing(row["place"])
        same = present.filter((pl.col("sys_email") == row["address"]) & here)["id"].to_list()
        free = [who for who in same if who not in taken]
        if {*carriers.filter(pl.col("sys_id") == row["id"])["id"]} - {*free}:
            continue
        if len(free) == 1:
            taken[free[0]] = Successor(Entity(row["entity"]), row["id"])
        elif free:
            fates.hold(Entity(row["entity"]), row["id"], free)
