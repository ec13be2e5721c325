"""What happens to links because their persons or CRM records were converted or merged (R66-R73, D36-D44).

`decide` looks at everything a run has read and says which links go on with other records, which end, and which
CRM records must not be taken for new ones. It writes nothing: the rest of the link step works with the links as they
will be, and the enqueue step stores them together with the plan.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import polars as pl
import pyarrow.compute as pc

from include.leadsync.context import Engine
from include.leadsync.extract.merges import survivors
from include.leadsync.link import reports
from include.leadsync.link.known import exchanged
from include.leadsync.link.resolution import Claim, End, Move, Successor, resolve
from include.leadsync.link.returning import Returning
from include.leadsync.link.successors import Successors
from include.leadsync.model import Entity, FieldMap, LinkStatus, OperationKind, OperationState
from include.leadsync.no_rows import frame_from
from include.leadsync.schema import Schema
from include.leadsync.settings.lifecycle import Lifecycle
from include.leadsync.state import Links, Outbox

Event = dict[str, object]
_BASELINE = ("layout_id", "base", "person_side", "person_open", "crm_side", "crm_open", "person_hash", "crm_hash")


@dataclass
class Fates:
    """The decisions of one run. `away`: unlinked CRM records that are nobody's first appearance."""

    moves: dict[int, Move] = field(default_factory=dict)
    ends: dict[int, End] = field(default_factory=dict)
    again: set[int] = field(default_factory=set)  # links to be looked at once more in the next run
    away: set[str] = field(default_factory=set)
    lost: set[int] = field(default_factory=set)  # links of persons who were deleted; nothing is planned for them
    vacated: set[int] = field(default_factory=set)  # those of them whose record goes on with another link
    begun_anew: set[int] = field(default_factory=set)  # links that moved without a baseline: first links (D4)
    restored: dict[str, int] = field(default_factory=dict)  # CRM record that was deleted → the person it had (D48)
    of_survivors: list[Event] = field(default_factory=list)  # ended links whose record's changes go to survivors
    versions: Mapping[int, str] = field(default_factory=dict)  # ended links → what their records are at now
    survivors: Mapping[int, int] = field(default_factory=dict)  # persons merged away → who is left of them
    events: list[Event] = field(default_factory=list)
    merging: list[tuple[int, int, int]] = field(default_factory=list)  # link, person that stays, person to be merged
    merging_rows: list[tuple[int, str, str, str]] = field(
        default_factory=list
    )  # link, entity, record that stays, other

    def rows(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Extracted CRM records with the links they have now."""
        if not self.moves and not self.ends:
            return frame
        taken = {move.crm_id: move.claim.link_id for move in self.moves.values()}
        mine = pl.col("id").replace_strict(taken, default=None, return_dtype=pl.Int64)
        kept = pl.when(~pl.col("id").is_in(list(self.left))).then(pl.col("link_id"))
        return frame.with_columns(pl.coalesce(mine, kept).alias("link_id"))

    @property
    def left(self) -> set[str]:
        """CRM records whose link went on without them."""
        moved = {move.claim.crm_id for move in self.moves.values() if move.successor}
        return moved | {end.move.claim.crm_id for end in self.ends.values()}

    @property
    def unwanted(self) -> set[int]:
        """Links that end without anybody having their record: their person went into one that has another (D44)."""
        merging = {loser for _, _, _, loser in self.merging_rows}
        return {i for i, end in self.ends.items() if not end.record_taken and end.move.claim.crm_id not in merging}

    @property
    def freed(self) -> set[int]:
        """Persons whose link ends because another one has the record: they may have another record now (D13, R79)."""
        merging = {loser for _, _, loser in self.merging}
        ends = (end for end in self.ends.values() if end.record_taken and end.person_left)
        return {int(end.move.claim.person_id or 0) for end in ends} - merging

    def links(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Stored links as they will be; those that end are left out."""
        if self.ends:
            frame = frame.filter(~pl.col("link_id").is_in(list(self.ends)))
        if not self.moves:
            return frame
        begun_anew = pl.col("link_id").is_in(list(self.begun_anew))
        frame = frame.with_columns(
            pl.when(begun_anew).then(pl.lit(LinkStatus.ACTIVE.value)).otherwise("status").alias("status"),
            *(pl.when(~begun_anew).then(pl.col(name)).alias(name) for name in _BASELINE),
        )
        moved = pl.col("link_id").is_in(list(self.moves))
        changed = pl.DataFrame(
            [(i, m.entity.value, m.person_id, m.crm_id) for i, m in self.moves.items()],
            schema={"link_id": pl.Int64, "_entity": pl.String, "_person": pl.Int64, "_crm": pl.String},
            orient="row",
        )
        joined = frame.join(changed, on="link_id", how="left", maintain_order="left")
        return joined.with_columns(
            pl.coalesce("_entity", "entity").alias("entity"),
            pl.when(moved).then("_person").otherwise("person_id").alias("person_id"),
            pl.coalesce("_crm", "crm_id").alias("crm_id"),
        ).drop("_entity", "_person", "_crm")

    def changed(self, entity: Entity) -> set[int]:
        """Links of an entity to be read afresh: those that moved, and those that keep what others had."""
        kept = {end.kept for end in self.ends.values() if end.record_taken}
        return {move.claim.link_id for move in {*self.moves.values(), *kept} if move.entity is entity}

    def settled(self, pairs: pl.DataFrame, field_map: FieldMap) -> pl.DataFrame:
        """Pairs of moved links, ready to be merged; those whose new side could not be read wait for the next run."""
        records = [i for i, move in self.moves.items() if move.successor]
        persons = [i for i, move in self.moves.items() if move.person_moved]
        if not records and not persons:
            return pairs
        unread = (pl.col("link_id").is_in(records) & ~pl.col("c_fresh")) | (
            pl.col("link_id").is_in(persons) & ~pl.col("p_fresh")
        )
        self.again |= set(pairs.filter(unread)["link_id"].to_list())
        return exchanged(pairs.filter(~unread), records, persons, field_map)

    def go_on(self, moves: Sequence[Move]) -> None:
        """Links of persons who wait for a CRM record, with the one that arrived instead (`awaited`)."""
        self.moves |= {move.claim.link_id: move for move in moves}
        self.begun_anew |= {move.claim.link_id for move in moves}
        for move in moves:
            self.events += reports.arrived_instead(move)

    def hold(self, entity: Entity, crm_id: str, persons: Sequence[int]) -> None:
        """A record that arrived, and that several `persons` wait for: somebody has to decide whose it is (D13)."""
        self.away.add(crm_id)
        self.events.append(reports.several_wait(entity, crm_id, persons))

    def merging_frame(self) -> pl.DataFrame:
        """Merges to be carried out in Marketo: link_id, winner, loser."""
        return frame_from(self.merging, {"link_id": pl.Int64, "winner": pl.Int64, "loser": pl.Int64})

    def merging_rows_frame(self) -> pl.DataFrame:
        """Merges to be carried out in Dynamics: link_id, entity, crm_id, loser."""
        schema = {"link_id": pl.Int64, "entity": pl.String, "crm_id": pl.String, "loser": pl.String}
        return frame_from(self.merging_rows, schema)

    def versions_frame(self) -> pl.DataFrame:
        """Ended links whose records changed and are left alone: link_id, crm_etag."""
        return frame_from([*self.versions.items()], {"link_id": pl.Int64, "crm_etag": pl.String})

    @property
    def touched(self) -> set[int]:
        """Links that are not what the store says they are."""
        return {*self.moves, *self.ends}


def decide(
    engine: Engine,
    schema: Schema,
    rows: Mapping[Entity, pl.DataFrame],
    merged: pl.DataFrame,
    deleted: Mapping[int, datetime],
    missing: Sequence[int],
) -> Fates:
    """`merged`: `extract.merges.MERGES_SCHEMA`. `deleted`: persons → when. `missing`: asked for and not found."""
    fates = Fates(survivors=survivors(merged))
    chained = Successors(engine, schema, rows)
    record_of = chained.find()
    claims = _claims(Links(engine.store), Outbox(engine.store), fates.survivors, record_of, chained.circular)
    unsure = _being_made(Outbox(engine.store), claims)
    everybody = list(claims)
    _leave_out(fates, claims, record_of, {*deleted}, {*missing}, unsure, chained)
    _vacate(fates, everybody, claims, record_of, deleted)
    moved, ended = resolve(claims, fates.survivors, record_of)
    fates.moves = {move.claim.link_id: move for move in moved}
    fates.ends = {end.move.claim.link_id: end for end in ended}
    for move in moved:
        fates.events += [*reports.moved(move), *reports.followed(move)]
    _end(fates, engine.settings.lifecycle)
    fates.events += [reports.persons_merged(loser) for loser in sorted({*fates.survivors, *deleted})]
    fates.events += [reports.circle(claim) for claim in claims if claim.crm_id in chained.circular]
    returning = Returning(engine, rows, {move.crm_id for move in moved}, deleted, fates.survivors)
    fates.away |= returning.away | fates.left
    fates.restored = {crm_id: fates.survivors.get(who, who) for crm_id, who in returning.restored.items()}
    if engine.settings.lifecycle.marketo_merge == "write_to_survivor":
        fates.of_survivors = returning.of_survivors
    fates.versions = returning.versions
    fates.events += returning.events
    return fates


def _claims(
    links: Links, outbox: Outbox, persons: Mapping[int, int], record_of: Mapping[str, Successor], circular: set[str]
) -> list[Claim]:
    """Every live link of the persons and records involved."""
    by_person = links.by_person(sorted({*persons, *persons.values()})) if persons else None
    records = {*circular, *record_of, *(step.crm_id for step in record_of.values())}
    tables = [by_person, links.by_crm(sorted(records)) if records else None]
    found = {row["link_id"]: row for table in tables if table is not None for row in table.to_pylist()}
    asked = [i for i, row in found.items() if row["status"] == LinkStatus.CREATING and row["person_id"] is not None]
    refused = _refused(outbox, asked)
    return [
        Claim(
            *(link_id, Entity(row["entity"]), row["person_id"], row["crm_id"], row["status"], row["version"]),
            made=link_id not in refused,
        )
        for link_id, row in sorted(found.items())
    ]


def _being_made(outbox: Outbox, claims: Sequence[Claim]) -> set[int]:
    """Links whose person may exist by now; one that was refused does not, and will not before its record changes."""
    making = {c.link_id for c in claims if c.status == LinkStatus.CREATING and c.person_id is None}
    return making - _refused(outbox, making)


def _refused(outbox: Outbox, creating: Collection[int]) -> set[int]:
    """Links of those whose missing side was refused: it is not there."""
    if not creating:
        return set()
    parked = outbox.of_links(sorted(creating), states=[OperationState.PARKED.value])
    created = pc.equal(parked["kind"], OperationKind.CREATE.value)  # what a person could not be told says nothing of it
    return set(parked.filter(created)["link_id"].to_pylist())


def _leave_out(
    fates: Fates,
    claims: list[Claim],
    record_of: dict[str, Successor],
    deleted: Collection[int],
    missing: Collection[int],
    unsure: Collection[int],
    chained: Successors,
) -> None:
    """Links that do not move now, though something took their record's place."""
    for claim in list(claims):
        survivor = fates.survivors.get(claim.person_id or 0, claim.person_id)
        if survivor != claim.person_id and survivor in deleted:
            claims.remove(claim)
            fates.lost.add(claim.link_id)
            fates.events.append(reports.survivor_deleted(claim))
            continue
        step = record_of.get(claim.crm_id)
        if step is None:
            continue
        if survivor in deleted:  # the contact is somebody's next update: it makes a new person (R77)
            del record_of[claim.crm_id]
        elif claim.link_id in unsure or survivor in missing:  # who its person is will be known in the next run
            del record_of[claim.crm_id]
            fates.again.add(claim.link_id)
            fates.away.add(step.crm_id)
        elif not chained.read(step.entity, [step.crm_id]):
            del record_of[claim.crm_id]
            fates.events.append(reports.unreadable_successor(claim, step))


def _vacate(
    fates: Fates,
    everybody: Sequence[Claim],
    claims: list[Claim],
    record_of: Mapping[str, Successor],
    deleted: Collection[int],
) -> None:
    """Links of deleted persons whose record takes the place of another link's: it has no person any more (R76, D43).

    `everybody`: all links involved; `claims`: those that may go on.
    """
    taken = {record_of[claim.crm_id].crm_id for claim in claims if claim.crm_id in record_of}
    for claim in everybody:
        survivor = fates.survivors.get(claim.person_id or 0, claim.person_id)
        if survivor in deleted and claim.crm_id in taken:
            fates.vacated.add(claim.link_id)
    fates.lost |= fates.vacated
    claims[:] = [claim for claim in claims if claim.link_id not in fates.vacated]


def _end(fates: Fates, settings: Lifecycle) -> None:
    for end in fates.ends.values():
        left, stays = end.move.claim.person_id, end.kept.person_id
        two_persons = end.record_taken and end.person_left and stays is not None
        kept_out = end.move.claim.status == LinkStatus.SUSPENDED  # by its filter: nobody is told (R119)
        choice = settings.conversion_into_linked if end.qualified else settings.dynamics_merge
        merging = two_persons and not kept_out and choice == "merge_in_marketo"
        flagged = end.record_taken and end.person_left and not kept_out and not merging
        duplicates = not end.record_taken and settings.marketo_merge == "merge_in_dynamics" and _of_a_kind(end)
        fates.events += [*reports.ended(end, flagged=flagged, merging=duplicates), *reports.followed(end.move)]
        if duplicates:
            kept = end.kept
            fates.merging_rows.append((kept.claim.link_id, kept.entity.value, kept.crm_id, end.move.claim.crm_id))
        if merging and left is not None and stays is not None:
            fates.merging.append((end.kept.claim.link_id, stays, left))
        elif two_persons and not kept_out:
            fates.events.append(reports.proposal(end))


def _of_a_kind(end: End) -> bool:
    """Whether both records of a merged person can be merged: of one table, both made and synced."""
    active = end.move.claim.status == end.kept.claim.status == LinkStatus.ACTIVE
    return active and end.move.successor is None and end.move.claim.entity is end.kept.entity
