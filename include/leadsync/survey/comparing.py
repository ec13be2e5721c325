"""What a first link would write: every matched pair merged as the cycle would merge it, in slices (D4, D19)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack

import polars as pl
import pyarrow as pa

from include.leadsync.context import Engine
from include.leadsync.enqueue.links import link_rows
from include.leadsync.link.frames import unlinked_pairs
from include.leadsync.link.people import People
from include.leadsync.merge import merge
from include.leadsync.model import Entity, LinkStatus, System
from include.leadsync.plan.suspended import without_writes
from include.leadsync.schema import Schema
from include.leadsync.staging import Staging

SLICE = 20_000
"""Pairs held in memory at once, wide: about half a gigabyte."""
_STORED = {
    "entity": pl.String,
    "person_id": pl.Int64,
    "crm_id": pl.String,
    "status": pl.String,
    "version": pl.Int64,
    "base": pl.String,
    "person_side": pl.String,
    "crm_side": pl.String,
    "person_open": pl.String,
    "crm_open": pl.String,
    "person_hash": pl.Int64,
    "crm_hash": pl.Int64,
    "hash_tag": pl.String,
    "crm_etag": pl.String,
    "crm_state": pl.Int64,
    "dirty": pl.String,
}
"""Columns of links as they will be stored; a pair that differs has no base, and is read afresh by the next cycle."""

Differing = Counter[tuple[str, str, str]]
"""(entity, field, direction) → pairs."""


class Comparing:
    """Compares the matches of a survey and stages `survey.links.E.N`."""

    def __init__(self, engine: Engine, schema: Schema, staging: Staging) -> None:
        self._engine, self._schema, self._staging = engine, schema, staging
        self._people = People(engine, schema)
        self.differing: Differing = Counter()
        self.equal = 0
        self.slices: list[tuple[str, int]] = []

    def compare(self, matches: pl.DataFrame) -> None:
        """`matches` as `matching.MATCH`."""
        for entity in Entity:
            mine = matches.filter(pl.col("entity") == entity.value).with_row_index("_n")
            mine = mine.with_columns((pl.col("_n") // SLICE).cast(pl.Int64).alias("_slice"))
            count = int(mine["_slice"].max()) + 1 if mine.height else 0  # type: ignore[arg-type]
            self._shuffle(f"survey.rows.{entity.value}", "id", mine.select(id="crm_id", slice="_slice"), count)
            self._shuffle("survey.persons", "id", mine.select(id="person_id", slice="_slice"), count)
            for number in range(count):
                self._slice(entity, number, mine.filter(pl.col("_slice") == number))

    def _shuffle(self, name: str, key: str, where: pl.DataFrame, count: int) -> None:
        """Cut a dataset into one per slice, streaming."""
        if not count:
            return
        with ExitStack() as stack:
            writers = None
            for batch in self._staging.batches(name):
                if writers is None:
                    writers = [
                        stack.enter_context(self._staging.writer(f"{name}.part.{n}", batch.schema))
                        for n in range(count)
                    ]
                slices = pl.DataFrame({key: pl.Series(batch[key])}).join(
                    where, left_on=key, right_on="id", how="left", maintain_order="left"
                )["slice"]
                for number in slices.drop_nulls().unique().to_list():
                    chosen = (slices == number).fill_null(value=False)
                    writers[number].write(batch.filter(chosen.to_arrow()))

    def _slice(self, entity: Entity, number: int, matches: pl.DataFrame) -> None:
        rows = self._staging.read(f"survey.rows.{entity.value}.part.{number}").unique("id", keep="last")
        raw: pa.Table = self._staging.read(f"survey.persons.part.{number}").unique("id", keep="last").to_arrow()
        persons = self._people.canonical(raw, entity)
        pairs = self._pairs(entity, matches, persons, rows)
        field_map = self._schema.map(entity)
        policy = self._engine.settings.policies.first_link
        outbound = self._schema.filters[entity].outbound
        first_link = None if policy == "by_type" else System(policy)
        decisions = without_writes(merge(pairs, field_map, first_link), pairs, outbound=outbound)
        writes = decisions.filter(pl.col("direction").is_not_null())
        for field, direction, pairs_that in writes.group_by("field", "direction").len().iter_rows():
            self.differing[entity.value, field, direction] += pairs_that
        to_fill = self._to_fill(entity, pairs, writes)
        done = pairs.filter(~to_fill)
        self.equal += done.height
        agreed = without_writes(merge(done, field_map, first_link), done, outbound=outbound)
        based = link_rows(done, agreed, field_map, 0, self._engine.now())
        bare = (
            pairs.filter(to_fill)
            .select("person_id", "crm_id", "status", "crm_state")
            .with_columns(
                entity=pl.lit(entity.value),
                version=pl.lit(0),
                dirty=pl.lit("first link: both sides are read and filled"),
            )
        )
        stored = pl.concat([_shaped(based), _shaped(bare)])
        self._staging.write(f"survey.links.{entity.value}.{number}", stored)
        self.slices.append((entity.value, number))

    def _pairs(self, entity: Entity, matches: pl.DataFrame, persons: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
        allowed = set(rows.filter("allowed")["id"]) if rows.height else set()
        fine = set(persons.filter(pl.col("sys_allowed"))["id"].to_list())
        synced = [p in fine and c in allowed for p, c in matches.select("person_id", "crm_id").iter_rows()]
        fixed = matches.select("person_id", "crm_id").with_columns(
            pl.Series("link_id", range(-1, -matches.height - 1, -1), dtype=pl.Int64),
            pl.Series("status", [LinkStatus.ACTIVE.value if ok else LinkStatus.SUSPENDED.value for ok in synced]),
        )
        return unlinked_pairs(fixed, persons, rows, self._schema.map(entity).names)

    @staticmethod
    def _to_fill(entity: Entity, pairs: pl.DataFrame, writes: pl.DataFrame) -> pl.Series:
        """Pairs with anything to write: a field, or the Microsoft … fields of the person."""
        named = (
            pl.col("sys_id").ne_missing(pl.col("crm_id"))
            | pl.col("sys_type").ne_missing(pl.lit(entity.value.capitalize()))
            | pl.col("sys_deleted").fill_null(value=False)
        )
        differ = pl.int_range(pl.len()).is_in(writes["row"].unique().cast(pl.Int64).implode())
        return pairs.select((differ | named) & (pl.col("status") != LinkStatus.SUSPENDED.value)).to_series()


def _shaped(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select(
        (pl.col(name) if name in rows.columns else pl.lit(None)).cast(dtype).alias(name)
        for name, dtype in _STORED.items()
    )


def field_counts(differing: Mapping[tuple[str, str, str], int]) -> list[dict[str, object]]:
    """One row per entity and field: entity, field, to_marketo (Dynamics wins), to_dynamics (Marketo wins)."""
    named: dict[tuple[str, str], dict[str, object]] = {}
    for (entity, field, direction), pairs in sorted(differing.items()):
        row = named.setdefault((entity, field), {"entity": entity, "field": field, "to_marketo": 0, "to_dynamics": 0})
        row["to_marketo" if direction == "inbound" else "to_dynamics"] = pairs
    return list(named.values())
