"""The pairs of stored links that a run has something to do with (`frames`), slice by slice."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import timedelta

import polars as pl
import pyarrow as pa

from include.leadsync.context import Engine, RunRequest
from include.leadsync.extract.identity import PLACE
from include.leadsync.link.arrivals import placed
from include.leadsync.link.creations import with_requests
from include.leadsync.link.fates import Fates
from include.leadsync.link.known import known_pairs
from include.leadsync.link.landed import LANDED_SCHEMA, landed_entries, with_landed
from include.leadsync.link.partners import outgrown, persons_to_add, resuming, rows_to_add
from include.leadsync.link.people import People
from include.leadsync.model import Entity, Lane, LinkStatus
from include.leadsync.no_rows import frame_of, no_rows
from include.leadsync.schema import Schema
from include.leadsync.staging import Staging
from include.leadsync.state import Layouts, Links

SLICE = 50_000
"""Pairs held in memory at once; each slice is a staged dataset of its own."""

_SETTLING = timedelta(seconds=90)
"""Marketo may still commit a create for this long after we lost its answer (DECISIONS 22)."""


class LinkedPairs:
    """`events`, `landed` and `moved_on` (links that another run has changed) fill up with each slice."""

    def __init__(
        self,
        engine: Engine,
        run: RunRequest,
        schema: Schema,
        people: People,
        fates: Fates,
        *,
        raw_persons: pa.Table,
        ended: Collection[int],
    ) -> None:
        """`raw_persons`: as this run has read them.

        `ended`: links with one side gone: nothing is planned for them, the other side collects nowhere (D46).
        """
        self._engine, self._run, self._schema = engine, run, schema
        self._people, self._fates, self._links = people, fates, Links(engine.store)
        staging = engine.staging(run)
        self._raw_persons = raw_persons
        found = self._links.by_person(raw_persons["id"].to_pylist())
        self._by_person = frame_of(found.select(["link_id", "entity", "person_id"]))
        self._selection = staging.read("selection")
        # Persons that others were merged into may have taken over values, also in the fields that are ours.
        self._told = [*_persons(staging, "overwritten", "opt_outs"), *fates.survivors.values()]
        gone = _persons(staging, "persons_missing", "persons_deleted")
        nowhere = pl.col("person_id").is_in(gone) | pl.col("link_id").is_in([*ended])
        self._somewhere = ~nowhere.fill_null(value=False)
        self.events: list[pl.DataFrame] = []
        self.landed = [no_rows(LANDED_SCHEMA)]
        self.moved_on: list[int] = []

    def of(self, entity: Entity, rows: pl.DataFrame, changed: Collection[int]) -> Iterator[pl.DataFrame]:
        """`rows`: extracted records. `changed`: links to be read afresh, whatever was extracted."""
        rows = rows.filter(pl.col("link_id").is_not_null()) if rows["link_id"].null_count() else rows
        of_entity, forced = list[int](), set(changed)
        if self._by_person.height:
            of_entity = self._by_person.filter(pl.col("entity") == entity.value)["link_id"].to_list()
            forced |= set(self._by_person.filter(pl.col("person_id").is_in(self._told))["link_id"].to_list())
        chosen = self._selection
        if chosen.height:
            chosen = chosen.filter((pl.col("entity") == entity.value) & pl.col("link_id").is_not_null())
            forced |= set(chosen["link_id"].to_list())
        link_ids = sorted({*rows["link_id"].to_list(), *of_entity, *chosen["link_id"].to_list(), *changed})
        layouts = Layouts(self._engine.store).all() if link_ids else {}
        for start in range(0, len(link_ids), SLICE):
            links = frame_of(self._links.by_id(link_ids[start : start + SLICE]))
            links = self._fates.links(self._still_there(links, chosen))
            links = links.filter(self._somewhere, pl.col("entity") == entity.value)
            yield self._slice(entity, links, rows, layouts, changed, forced)

    def _slice(
        self,
        entity: Entity,
        links: pl.DataFrame,
        rows: pl.DataFrame,
        layouts: dict[int, list[str]],
        changed: Collection[int],
        forced: Collection[int],
    ) -> pl.DataFrame:
        store, field_map = self._engine.store, self._schema.map(entity)
        links, extra = self._found_again(links)
        late = outgrown(links, layouts, field_map)
        if self._schema.filters[entity].blocked:  # what the records show cannot be known now (D68)
            unknown = pl.col("link_id").is_in(late["link_id"].to_list()) | pl.col("dirty").is_not_null()
            links, late = links.filter(~unknown), late.clear()
        here = self._people.canonical(_of(self._raw_persons, links), entity)
        unsure = links.filter(pl.col("link_id").is_in(list(changed)) | pl.col("dirty").is_not_null())
        late = pl.concat([late, resuming(links, rows, here), unsure]).unique("link_id", maintain_order=True)
        more = self._people.canonical(persons_to_add(self._people, late, here), entity)
        persons = pl.concat([self._people.canonical(extra, entity), here, more])
        persons = persons.unique("id", keep="first", maintain_order=True)
        fresh = rows_to_add(self._engine, self._schema, entity, late, rows)
        lane = Lane.INCREMENT if self._run.incremental else Lane.BACKFILL
        pairs = known_pairs(links, layouts, fresh, persons, field_map, forced=sorted(forced), lane=lane)
        self.landed.append(landed_entries(pairs, links, store))
        pairs = with_landed(pairs, links, store, field_map)
        pairs = self._fates.settled(_as_backfill(pairs, links, self._fates.begun_anew), field_map)
        pairs, answered = with_requests(store, pairs)
        self.events.append(answered)
        return _placed_anew(pairs, rows)

    def _still_there(self, links: pl.DataFrame, chosen: pl.DataFrame) -> pl.DataFrame:
        """Links without those that moved on since this run chose them: what it read of them is older than they are."""
        if chosen.is_empty():
            return links
        known = links.select("link_id").join(
            chosen.select("link_id", "version").drop_nulls().unique("link_id"),
            on="link_id",
            how="left",
            maintain_order="left",
        )
        moved = (known["version"] != links["version"]).fill_null(value=False)
        self.moved_on += links.filter(moved)["link_id"].to_list()
        return links.filter(~moved)

    def _found_again(self, links: pl.DataFrame) -> tuple[pl.DataFrame, pa.Table]:
        """Creations in Marketo whose answer was lost: the person is looked up by its CRM id before anything else."""
        nobody = pa.table({})
        creating = links["status"] == LinkStatus.CREATING
        if not creating.any():
            return links, nobody
        lost = links.filter(creating & pl.col("person_id").is_null() & pl.col("dirty").is_not_null())
        if lost.is_empty():
            return links, nobody
        too_early = lost.filter(pl.col("changed_at") > self._engine.now() - _SETTLING)["link_id"].to_list()
        links = links.filter(~pl.col("link_id").is_in(too_early))
        lost = lost.filter(~pl.col("link_id").is_in(too_early))
        raw = self._people.by_microsoft_id(lost["crm_id"].to_list())
        if raw is None or raw.num_rows == 0:
            return links, nobody
        found = self._people.canonical(raw, Entity.LEAD).unique("sys_id", keep="first", maintain_order=True)
        known = found.select(pl.col("sys_id").alias("crm_id"), pl.col("id").alias("_found"))
        joined = links.join(known, on="crm_id", how="left", maintain_order="left")
        person = pl.coalesce("person_id", "_found").alias("person_id")
        return joined.with_columns(person).drop("_found"), raw


def _persons(staging: Staging, *names: str) -> list[int]:
    columns = {"overwritten": "person_id", "opt_outs": "person_id"}
    return [person for name in names for person in staging.read(name)[columns.get(name, "id")].to_list()]


def _of(raw_persons: pa.Table, links: pl.DataFrame) -> pa.Table:
    if raw_persons.num_rows == 0:
        return raw_persons
    wanted = pa.array(links["person_id"].drop_nulls().to_list(), pa.int64())
    return raw_persons.filter(pa.compute.is_in(raw_persons["id"], value_set=wanted))


def _as_backfill(pairs: pl.DataFrame, links: pl.DataFrame, besides: Collection[int]) -> pl.DataFrame:
    """Linked pairs that never agreed on anything are filled in the backfill lane, and marked there (D19).

    `besides`: links whose first record has just arrived.
    """
    if not links["layout_id"].null_count():
        return pairs
    blank = links.filter(pl.col("layout_id").is_null() & (pl.col("status") != LinkStatus.CREATING))["link_id"].to_list()
    first = pl.col("link_id").is_in(sorted({*blank} - {*besides}))
    return pairs.with_columns(pl.when(first).then(int(Lane.BACKFILL)).otherwise(pl.col("lane")).alias("lane"))


def _placed_anew(pairs: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """Persons that are still to be created go where the rules send them now (D20)."""
    where = {crm_id: placed(name) for crm_id, name in rows.select("id", PLACE).iter_rows() if name}
    if not where:
        return pairs
    to_make = pairs["create"].eq_missing("person")
    binds = pairs["crm_id"].replace_strict(where, default=None, return_dtype=pl.String)
    return pairs.with_columns(pl.when(to_make).then(binds).otherwise(pairs["binds"]).alias("binds"))
