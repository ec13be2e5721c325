"""The full compare: every link held against both systems, so that nothing stays different for ever (P1).

Feeds can miss: a column calculated without a change of its row, a purged activity, a restored backup. This step reads
both systems in full, page by page, and hashes what it reads; a link whose hashes are the ones last seen is done with.
The few others, and records that should have a link and have none, become the `selection` of the run: extract reads them
afresh on both sides, and from there on they are merged, braked, validated and written like everything else, in the lane
of backfills. Memory grows with what differs, and by one number a link.

Staged: `selection` (as by `recover`) · `twins` (`TWIN_SCHEMA`).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import polars as pl
import pyarrow as pa

from include.leadsync.baseline import decode_links, outside_layout
from include.leadsync.clock import parse_iso
from include.leadsync.context import Engine, Json, RunRequest
from include.leadsync.errors import RowFailed
from include.leadsync.extract.crm import CrmReader, stream_name
from include.leadsync.extract.identity import QUALIFIED, record_columns
from include.leadsync.fields import hash_tag, row_hash
from include.leadsync.link.people import People
from include.leadsync.model import Entity, FieldMap, LinkStatus
from include.leadsync.no_rows import frame_of, no_rows
from include.leadsync.progress import Progress, once
from include.leadsync.schema import Schema, staged_schema
from include.leadsync.state import Cursors, Layouts, Links

KIND = "reconcile"
TWINS = "twins"
TWIN_SCHEMA = {"entity": pl.String, "link_id": pl.Int64, "person_id": pl.Int64, "crm_id": pl.String}
AT_ONCE = 20_000
"""Links that one run looks at closely; the rest is left to the cycles."""

_PAGE = 6_000  # links held in memory at once: 20 calls to Marketo
_SETTLED = timedelta(minutes=10)
"""A record without a link is missed if it changed that long before a cycle read its table; else it is on its way."""
_STANDING = (LinkStatus.ACTIVE.value, LinkStatus.SUSPENDED.value)
_SUSPECT = {"link_id": pl.Int64, "entity": pl.String, "person_id": pl.Int64, "crm_id": pl.String, "version": pl.Int64}


def compare(engine: Engine, run: RunRequest) -> dict[str, Json]:
    """Stage what is to be read afresh; returns counts. Other kinds of runs have nothing to compare."""
    return _Compare(engine, run, staged_schema(engine, run)).stage() if run.kind == KIND else {}


class _Compare:
    def __init__(self, engine: Engine, run: RunRequest, schema: Schema) -> None:
        self._engine, self._run, self._schema = engine, run, schema
        self._links, self._people = Links(engine.store), People(engine, schema)
        self._layouts = Layouts(engine.store).all()
        self._counts = {"links": 0, "records": 0, "persons": 0}
        self._chosen: list[pl.DataFrame] = [no_rows(_SUSPECT)]
        self._number = 0
        self._later: list[int] = []  # beyond AT_ONCE
        self._twins: list[pl.DataFrame] = [no_rows(TWIN_SCHEMA)]

    def stage(self) -> dict[str, Json]:
        for entity in self._run.entities:
            if self._schema.filters[entity].blocked:  # nothing can be said about what may not be read (D68)
                continue
            self._entity(entity, *self._records(entity))
        staging = self._engine.staging(self._run)
        shape = staging.read("selection")
        chosen = pl.concat(self._chosen).with_columns(pl.lit(KIND).alias("reason"))
        staging.write("selection", chosen.select(pl.col(name).cast(kind) for name, kind in shape.schema.items()))
        twins = pl.concat(self._twins)
        staging.write(TWINS, twins)
        if self._later and not self._run.dry_run:
            self._links.set_dirty(sorted(set(self._later)), "the full compare found more than it could look at")
        return {
            **self._counts,
            "closely": chosen.height,
            "left_to_cycles": len(set(self._later)),
            "twins": twins.height,
        }

    def _records(self, entity: Entity) -> tuple[pl.Series, pl.Series]:
        """Read a table in full; returns the links whose records are there and show what they showed last.

        First those whose records the filter lets through, then the others.
        """
        reader = CrmReader(self._engine, self._run, entity, self._schema)
        reference = self._engine.settings.lifecycle.conversion_reference
        columns = {**record_columns(self._schema, entity, reference), "modifiedon": "text"}
        fine = [[pl.Series("link_id", [], dtype=pl.Int64)] for _ in range(2)]
        all_of = once(lambda: self._engine.dynamics.record_count(entity))
        progress = Progress(self._engine, self._run.run_id, f"records of {entity.value}", all_of)
        for page in self._engine.dynamics.track(entity, columns, None):
            if page.rows.num_rows == 0:
                continue
            rows = reader.compared(page.rows)
            self._counts["records"] += rows.height
            progress.advance(rows.height)
            for place, allowed in enumerate((pl.col("allowed"), ~pl.col("allowed"))):
                fine[place].append(rows.filter(pl.col("same") & allowed)["link_id"])
            self._unlinked(entity, rows.filter(pl.col("link_id").is_null()), page.rows)
        return pl.concat(fine[0]), pl.concat(fine[1])

    def _unlinked(self, entity: Entity, rows: pl.DataFrame, raw: pa.Table) -> None:
        """Records that a cycle should have met: allowed, never met before, and older than its last look."""
        cursor = Cursors(self._engine.store).get(stream_name(entity))
        if cursor is None or rows.is_empty():
            return
        read = f"{parse_iso(cursor.as_of) - _SETTLED:%Y-%m-%dT%H:%M:%SZ}"
        old = pl.DataFrame({"id": raw["id"].to_pylist(), "modified": raw["modifiedon"].to_pylist()}).unique("id")
        qualified = (pl.col("@state") == QUALIFIED) & pl.lit(entity is Entity.LEAD)
        missed = rows.filter(pl.col("allowed") & ~pl.col("@merged") & ~qualified.fill_null(value=False))
        missed = missed.join(old.filter(pl.col("modified") <= read), on="id", how="semi")
        met = self._links.by_crm(missed["id"].to_list(), statuses=None)["crm_id"].to_pylist()
        self._choose(missed.filter(~pl.col("id").is_in(met)).select(pl.lit(entity.value).alias("entity"), crm_id="id"))

    def _entity(self, entity: Entity, allowed: pl.Series, kept_out: pl.Series) -> None:
        """Hold the links of an entity against what was read of its records, and against their persons."""
        standing = sum(self._links.count(entity, status) for status in _STANDING)
        progress = Progress(self._engine, self._run.run_id, f"links of {entity.value}", standing)
        for links in self._pages(entity):
            self._counts["links"] += links.height
            progress.advance(links.height)
            wide = decode_links(links, self._layouts, self._schema.map(entity).layout_names)
            persons = self._persons(entity, links).rename(lambda name: f"now.{name}" if name != "id" else name)
            wide = wide.join(persons, left_on="person_id", right_on="id", how="left", maintain_order="left")
            let_in = links["link_id"].is_in(allowed.implode())
            right = (let_in | links["link_id"].is_in(kept_out.implode())) & self._right(entity, wide, let_in)
            self._choose(links.filter(~right))

    def _pages(self, entity: Entity) -> Iterator[pl.DataFrame]:
        """Links that stand still: one that is being made or waits to be read afresh is a cycle's affair."""
        for page in self._links.pages(entity, _PAGE):
            links = frame_of(page)
            both = pl.col("person_id").is_not_null() & pl.col("crm_id").is_not_null()
            links = links.filter(pl.col("status").is_in(_STANDING) & pl.col("dirty").is_null() & both)
            if not links.is_empty():
                yield links

    def _persons(self, entity: Entity, links: pl.DataFrame) -> pl.DataFrame:
        """The persons of these links, canonical; asked for by Microsoft Id first, which shows who else carries it."""
        ids = links["person_id"].to_list()
        try:
            carrying = self._people.by_microsoft_id(links["crm_id"].to_list())
        except RowFailed:  # a thousand persons carry one id: they are read by their own
            carrying = None
        found = self._people.nobody(entity) if carrying is None else self._people.canonical(carrying, entity)
        missing = sorted(set(ids) - set(found["id"].to_list()))
        by_id = self._people.canonical(self._people.by_id(missing), entity) if missing else found.clear()
        others = found.filter(~pl.col("id").is_in(ids))
        linked = self._links.by_person(others["id"].to_list())["person_id"].to_pylist()
        twins = others.filter(~pl.col("id").is_in(linked)).select(person_id="id", crm_id="sys_id")
        twins = twins.join(links.select("crm_id", "link_id", "entity"), on="crm_id")
        self._twins.append(twins.select(list(TWIN_SCHEMA)))
        persons = pl.concat([found, by_id]).filter(pl.col("id").is_in(ids))
        self._counts["persons"] += persons.height
        return persons

    def _right(self, entity: Entity, wide: pl.DataFrame, let_in: pl.Series) -> pl.Series:
        """Whether the person shows what it showed last, the pair has the status it should, and the store is sound."""
        field_map = self._schema.map(entity)
        told = (
            (pl.col("now.sys_id") == pl.col("crm_id"))
            & (pl.col("now.sys_type") == entity.value.capitalize())
            & ~pl.col("now.sys_deleted").fill_null(value=False)
        )
        suspended = pl.col("status") == LinkStatus.SUSPENDED
        status = (let_in & pl.col("now.sys_allowed")) != suspended
        current = [number for number, names in self._layouts.items() if list(names) == list(field_map.layout_names)]
        shown = _digest(wide, "now.", field_map)
        hashed = (shown == pl.col("person_hash")) & (pl.col("hash_tag") == hash_tag())
        sound = (_digest(wide, "p.", field_map) == pl.col("person_hash")) & (
            _digest(wide, "c.", field_map) == pl.col("crm_hash")
        )
        # Stored when the map had other fields: what joined since is the affair of a backfill (R95).
        older = pl.all_horizontal(
            pl.lit(value=True),
            *(outside_layout(n) | pl.col(f"now.{n}").eq_missing(pl.col(f"p.{n}")) for n in field_map.names),
        )
        same = pl.when(pl.col("layout_id").is_in(current)).then(hashed & sound).otherwise(older)
        # A pair that was suspended before it ever agreed on anything has no baseline to be wrong.
        never = suspended & pl.col("layout_id").is_null()
        right = pl.col("now.sys_id").is_not_null() & status & (never | same) & (suspended | told)
        return wide.select(right.fill_null(value=False).alias("right"))["right"]

    def _choose(self, rows: pl.DataFrame) -> None:
        room = max(AT_ONCE - self._number, 0)
        shaped = rows.select(
            (pl.col(name) if name in rows.columns else pl.lit(None)).cast(kind).alias(name)
            for name, kind in _SUSPECT.items()
        )
        self._chosen.append(shaped.head(room))
        self._number += min(room, shaped.height)
        self._later += shaped.slice(room)["link_id"].drop_nulls().to_list()


def _digest(wide: pl.DataFrame, prefix: str, field_map: FieldMap) -> pl.Series:
    """Row hashes of the values below a prefix."""
    values = wide.select(pl.col(f"{prefix}{name}").alias(name) for name in field_map.names)
    return pl.Series(row_hash(values, field_map.names), dtype=pl.Int64)
