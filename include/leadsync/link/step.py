"""The link step: known pairs, arrivals, requests and removals of one run, in slices."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import count

import polars as pl
import pyarrow as pa

from include.leadsync import undoing
from include.leadsync.context import Engine, Json, RunRequest
from include.leadsync.extract.crm import stream_name
from include.leadsync.link.arrivals import CLAIMED_TWICE, Arrivals
from include.leadsync.link.awaited import awaited
from include.leadsync.link.carrying import hand_over
from include.leadsync.link.closed import closed_pairs
from include.leadsync.link.creations import ended_requests, orphaned_requests, vanished_requests
from include.leadsync.link.fates import decide
from include.leadsync.link.frames import events, without_link
from include.leadsync.link.linked import SLICE, LinkedPairs
from include.leadsync.link.outlived import Outlived, ids_met, outlived
from include.leadsync.link.people import People
from include.leadsync.link.removals import ending_first, going_on, going_on_untold, removed_persons, removed_rows
from include.leadsync.link.reports import nobody_to_merge_into
from include.leadsync.link.requests import Requests
from include.leadsync.link.surviving import Survivors
from include.leadsync.link.unwanted import unwanted_records
from include.leadsync.link.vacant import Vacant
from include.leadsync.model import Entity, Lane, LinkStatus
from include.leadsync.quiet import note_quiet
from include.leadsync.schema import Schema, staged_schema
from include.leadsync.state import Cursors, Links, Metadata, PersonMerges

_CREATING = LinkStatus.CREATING.value
_DELETED, _GONE = pl.col("kind") == "crm_deleted", pl.col("kind") == "person_deleted"


def link(engine: Engine, run: RunRequest) -> dict[str, Json]:
    """Stage the pairs and events of a run; returns counts per entity."""
    if note_quiet(engine, run):
        return {"pairs": 0, "events": 0}
    return _LinkStep(engine, run, staged_schema(engine, run)).stage()


class _LinkStep:
    def __init__(self, engine: Engine, run: RunRequest, schema: Schema) -> None:
        self._engine, self._run, self._schema = engine, run, schema
        self._staging = engine.staging(run)
        self._links = Links(engine.store)
        self._people = People(engine, schema)
        self._claimed: set[int] = set()
        self._paired: dict[str, int | None] = {}  # CRM records that arrived in this run → person, None: to be created
        self._without_row: set[int] = set()  # links whose CRM record is gone
        self._freed: set[int] = set()  # their persons, who may have another record now
        self._renewed: dict[int, str] = {}  # those who do, with that record
        self._next_id = (-number for number in count(1))
        self._slices: list[tuple[str, int]] = []
        self._events: list[pl.DataFrame] = []
        self._closed: list[pl.DataFrame] = []
        self._counts: dict[str, Json] = {"pairs": 0}

    def stage(self) -> dict[str, Json]:
        raw_persons = self._staging.read_table("persons")
        deleted = dict(self._staging.read("persons_deleted").iter_rows())
        missing = self._staging.read("persons_missing")["id"].to_list()
        read = {entity: self._rows(entity) for entity in Entity}
        merged = self._staging.read("persons_merged")
        self._fates = decide(self._engine, self._schema, read, merged, deleted, missing)
        carried, told = hand_over(self._engine, self._schema, self._people, self._fates)
        self._surviving = Survivors(self._engine, self._schema, read, self._fates.of_survivors)
        self._claimed |= {move.person_id for move in self._fates.moves.values() if move.person_id is not None}
        self._paired |= {move.crm_id: move.person_id for move in self._fates.moves.values()}
        removed = [self._removed(entity, self._fates.rows(read[entity])["id"].to_list()) for entity in Entity]
        gone = pl.concat(removed)
        self._freed = set(gone.filter(_DELETED)["person_id"].drop_nulls()) if gone.height else set()
        self._freed |= self._fates.freed
        without_person = removed_persons(self._engine, [*deleted], missing)
        vacated = pl.col("link_id").is_in(list(self._fates.vacated))
        leaving = without_person.filter(~vacated) if without_person.height else without_person
        unwanted, said = unwanted_records(self._engine, self._schema, leaving)
        self._outlived = self._updated_later(read, deleted, unwanted)
        others = {*self._fates.vacated, *self._outlived.link_ids, *unwanted["link_id"].to_list()}
        self._vacant = Vacant(self._engine, pl.concat([without_person, events(self._fates.events)]), others)
        rows = {entity: self._outlived.arriving(entity, self._fates.rows(read[entity])) for entity in Entity}
        gone_persons = {*deleted, *missing}
        awaited(self._engine, self._people, self._fates, self._new(rows), raw_persons, gone_persons)
        going_on_now = [self._fates.moves[i] for i in self._fates.begun_anew]
        self._claimed |= {move.person_id for move in going_on_now if move.person_id is not None}
        self._paired |= {move.crm_id: move.person_id for move in going_on_now}
        rows = {entity: self._fates.rows(frame) for entity, frame in rows.items()} if going_on_now else rows
        arriving = self._new(rows)
        back = {self._fates.restored.get(crm_id) for frame in arriving.values() for crm_id in frame["id"]}
        ended = [*self._without_row, *self._outlived.link_ids, *self._fates.lost]
        linked = LinkedPairs(
            self._engine, self._run, self._schema, self._people, self._fates, raw_persons=raw_persons, ended=ended
        )
        for entity in Entity:
            changed = self._fates.changed(entity) | self._surviving.links[entity]
            for pairs in linked.of(entity, rows[entity], changed):
                self._publish(entity, pairs)
            self._arrived(entity, arriving[entity], {person for person in back if person})
        self._requested(raw_persons)
        self._events += [going_on(gone, self._renewed), vanished_requests(self._engine.store, gone)]
        self._staging.write("unwanted", unwanted)
        if without_person.height:
            said += [nobody_to_merge_into(crm_id) for crm_id in without_person.filter(_GONE)["crm_id"].drop_nulls()]
        self._events += [self._told(without_person), events(said)]
        fates = going_on_untold(events([*self._fates.events, *told]), self._renewed)
        self._events.append(self._told(fates))
        begun = {i: end.kept.person_id for i, end in self._fates.ends.items() if end.move.claim.status == _CREATING}
        self._events.append(ended_requests(self._engine.store, begun))
        here = {crm_id for frame in read.values() for crm_id in frame["id"]} if without_person.height else set()
        self._events.append(orphaned_requests(self._engine.store, without_person, here))
        self._staging.write("carried", pl.concat([carried, self._surviving.carried]))
        return {**self._counts, "events": self._write_down(linked)}

    def _new(self, rows: Mapping[Entity, pl.DataFrame]) -> dict[Entity, pl.DataFrame]:
        """Those of the extracted records that appear for the first time, or as if they did."""
        new = pl.col("allowed") & ~pl.col("id").is_in(list(self._fates.away))
        unlinked = {entity: without_link(frame) for entity, frame in rows.items()}
        return {entity: frame.filter(new) if frame.height else frame for entity, frame in unlinked.items()}

    def _write_down(self, linked: LinkedPairs) -> int:
        """Stage what was decided; returns the number of events."""
        all_events = pl.concat([events([]), *self._events, *linked.events])
        self._staging.write("events", all_events)
        for entity, bases in self._surviving.bases.items():
            self._staging.write(f"survivor_bases.{entity.value}", bases)
        self._staging.write("closed", pl.concat([closed_pairs(), *self._closed]))
        self._staging.write("landed", pl.concat(linked.landed))
        self._staging.write("versions", self._fates.versions_frame())
        self._staging.write("merging", self._fates.merging_frame())
        self._staging.write("merging_rows", self._fates.merging_rows_frame())
        self._staging.write_json("look_again", sorted(self._fates.again))
        self._staging.write_json("slices", self._slices)
        if linked.moved_on:
            busy = self._staging.read_json(undoing.BUSY) or []
            self._staging.write_json(undoing.BUSY, [*busy, *linked.moved_on])
        return all_events.height

    def _told(self, found: pl.DataFrame) -> pl.DataFrame:
        """Events as they are now that other links have the records of some persons who were deleted."""
        message = "the person was deleted in Marketo; its CRM record goes on with the person of one that went into it"
        return ending_first(self._vacant.told(self._outlived.told(found)), self._fates.vacated, message, "D43")

    def _rows(self, entity: Entity) -> pl.DataFrame:
        """Extracted rows, the freshest reading of each last; those found gone left out."""
        rows = self._staging.read(f"crm.{entity.value}")
        gone = self._staging.read(f"crm_deleted.{entity.value}")["id"].to_list()
        if rows.is_empty():
            return rows
        rows = rows.unique("id", keep="last", maintain_order=True)
        return rows.filter(~pl.col("id").is_in(gone)) if gone else rows

    def _updated_later(
        self, read: Mapping[Entity, pl.DataFrame], deleted: Mapping[int, datetime], unwanted: pl.DataFrame
    ) -> Outlived:
        """Records of deleted persons that were updated afterwards, and are not to be closed or deleted for it."""
        if not deleted:
            return Outlived()
        ends = {*self._fates.touched, *self._fates.vacated, *self._without_row, *unwanted["link_id"].to_list()}
        met = ids_met(self._staging, self._links, read)
        return outlived(self._engine, self._schema, deleted, self._fates.survivors, met, besides=ends)

    def _arrived(self, entity: Entity, rows: pl.DataFrame, expected: set[int]) -> None:
        self._counts[f"{entity.value}_arrived"] = rows.height
        if rows.is_empty():
            return
        lane = Lane.BACKFILL if self._first_read(entity) or not self._run.incremental else Lane.INCREMENT
        restored, field_map = self._fates.restored, self._schema.map(entity)
        doubtful = json.loads(Metadata(self._engine.store).get("leadsync", CLAIMED_TWICE) or "[]")
        arrivals = Arrivals(
            self._people, self._links, field_map, entity, self._claimed, restored, lane, doubtful, self._freed, expected
        )
        for part in rows.iter_slices(SLICE):
            pairs = arrivals.pairs(part, self._next_id)
            self._paired |= dict(pairs.select("crm_id", "person_id").iter_rows())
            self._publish(entity, pairs)
        self._events += arrivals.events

    def _first_read(self, entity: Entity) -> bool:
        """Whether the table was never read to its end before: what comes in now is a first sync (D19)."""
        return self._run.incremental and Cursors(self._engine.store).get(stream_name(entity)) is None

    def _removed(self, entity: Entity, living: list[str]) -> pl.DataFrame:
        reported = self._staging.read(f"crm_deleted.{entity.value}")["id"].to_list()
        absent = self._staging.read(f"crm_missing.{entity.value}")["id"].to_list()
        if self._staging.exists(f"crm_ids.{entity.value}"):  # a full read says nothing of deletions (§4.3)
            present = self._staging.read(f"crm_ids.{entity.value}")["id"].to_list()
            absent += self._links.absent(entity, present)
            living = living or present[:SLICE]
        if not reported and not absent:
            return events([])
        removed = removed_rows(self._engine, entity, reported, absent, living)
        touched = removed.filter(pl.col("link_id").is_in(list(self._fates.touched)))["link_id"].to_list()
        # Nobody reports a deletion twice: a link whose person was merged in the same run is looked at once more.
        self._fates.again |= {i for i in touched if i in self._fates.moves and not self._fates.moves[i].successor}
        removed = removed.filter(~pl.col("link_id").is_in(touched))
        self._without_row |= set(removed.filter(_DELETED)["link_id"].to_list())
        return removed

    def _requested(self, raw_persons: pa.Table) -> None:
        requests = self._staging.read("requests")
        if requests.is_empty():
            return
        before = PersonMerges(self._engine.store).survivors(requests["person_id"].to_list())
        latest = self._fates.survivors
        survivors = {**latest, **{loser: latest.get(winner, winner) for loser, winner in before.items()}}
        if survivors:  # what was asked for a person that was merged away is asked for its survivor
            requests = requests.with_columns(pl.col("person_id").replace(survivors))
        answers = Requests(
            self._engine,
            self._schema,
            self._people,
            self._claimed,
            self._paired,
            self._next_id,
            self._freed,
            {*self._vacant.link_ids, *self._fates.unwanted},
        )
        outcome = answers.answer(requests, raw_persons)
        self._events.append(outcome.events)
        for entity, frames in outcome.pairs.items():
            for frame in frames:
                self._vacant.take(frame)
            if frames:
                self._publish(entity, pl.concat(frames))

    def _publish(self, entity: Entity, pairs: pl.DataFrame) -> None:
        if pairs.is_empty():
            return
        number = len(self._slices)
        if self._freed:
            again = pairs.filter((pl.col("link_id") < 0) & pl.col("person_id").is_in(list(self._freed)))
            self._renewed |= dict(again.select("person_id", "crm_id").iter_rows())
        self._closed.append(closed_pairs(pairs, entity))
        self._staging.write(f"pairs.{entity.value}.{number}", pairs)
        self._slices.append((entity.value, number))
        self._counts["pairs"] += pairs.height


def slices(engine: Engine, run: RunRequest) -> Iterator[tuple[Entity, int]]:
    """The slices the link step staged, as (entity, number)."""
    for entity, number in engine.staging(run).read_json("slices") or []:
        yield Entity(entity), int(number)
