"""Dynamics → staging: one table's changed, deleted and selected rows.

Datasets of entity E:
`crm.E` rows to merge: link_id (int64, null when unlinked), id, etag, hash (int64), allowed (bool: the filter of
the entity lets the row be synced), what the record says of its fate (see `identity`),
where a new person would go, then one canonical column
per field ·
`crm_seen.E` rows that changed in no mapped field: link_id, etag · `crm_deleted.E` id ·
`crm_missing.E` ids asked for that do not exist · `crm_ids.E` every id, after a full read only.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from functools import cached_property, lru_cache

import polars as pl
import pyarrow as pa

from include.leadsync.clients.dynamics import TrackedPage
from include.leadsync.clock import iso
from include.leadsync.context import Engine, Json, RunRequest
from include.leadsync.errors import ReadAgain
from include.leadsync.extract.identity import IDENTITY_SCHEMA, canonical_records, record_columns
from include.leadsync.extract.older import unchanged_under_older_map
from include.leadsync.fields import hash_tag
from include.leadsync.model import Entity, FieldMap, LinkStatus
from include.leadsync.no_rows import frame_of
from include.leadsync.progress import Progress, once
from include.leadsync.schema import Schema, current_schema, stage_schema, staged_schema
from include.leadsync.staging import Staging
from include.leadsync.state import Cursors, Layouts, Links
from include.leadsync.turn import take_turn

_SEEN = pa.schema([("link_id", pa.int64()), ("etag", pa.string())])
_IDS = pa.schema([("id", pa.string())])


@lru_cache(maxsize=16)
def _no_records(names: tuple[str, ...]) -> pa.Table:
    return pa.schema(IDENTITY_SCHEMA + [(name, pa.string()) for name in names]).empty_table()


def stream_name(entity: Entity) -> str:
    """Name of the cursor of one table."""
    return f"dynamics:{entity.value}"


def extract_crm(engine: Engine, run: RunRequest, entity: Entity) -> dict[str, Json]:
    """Stage one table's part of the run; returns counts.

    Raises nothing for an expired delta link: the table is then read in full (D91), after its
    metadata was read again, because a change of metadata is one cause of expiry (V29).
    """
    schema = staged_schema(engine, run)
    reader = CrmReader(engine, run, entity, schema)
    if schema.filters[entity].blocked:
        return reader.nothing()
    if not run.incremental:
        return reader.selected()
    cursor = Cursors(engine.store).get(stream_name(entity))
    try:
        return reader.tracked((cursor.token or None) if cursor else None, cursor.version if cursor else 0)
    except ReadAgain:
        schema = current_schema(engine, refresh=True)
        stage_schema(engine, run, schema)
        reader = CrmReader(engine, run, entity, schema)
        if schema.filters[entity].blocked:
            return reader.nothing()
        return reader.tracked(None, cursor.version if cursor else 0)


class CrmReader:
    """Reads one table for one run and sorts its rows into the datasets above."""

    def __init__(self, engine: Engine, run: RunRequest, entity: Entity, schema: Schema) -> None:
        self._engine, self._run, self._entity = engine, run, entity
        self._map: FieldMap = schema.map(entity)
        self._schema, self._reference = schema, engine.settings.lifecycle.conversion_reference
        self._columns = record_columns(schema, entity, self._reference)
        self._staging: Staging = engine.staging(run)
        self._links = Links(engine.store)
        self._counts = {"changed": 0, "unchanged": 0, "deleted": 0, "missing": 0}

    def tracked(self, token: str | None, version: int) -> dict[str, Json]:
        """Follow change tracking from `token` (None: read in full) and stage the next delta link."""
        started = self._engine.now()
        full = token is None
        all_of = once(lambda: self._engine.dynamics.record_count(self._entity)) if full else None
        progress = Progress(self._engine, self._run.run_id, f"records of {self._entity.value}", all_of)
        with ExitStack() as stack:
            changed = stack.enter_context(self._staging.writer(self._name("crm"), self._row_schema))
            seen = stack.enter_context(self._staging.writer(self._name("crm_seen"), _SEEN))
            deleted = stack.enter_context(self._staging.writer(self._name("crm_deleted"), _IDS))
            every = stack.enter_context(self._staging.writer(self._name("crm_ids"), _IDS)) if full else None
            for page in self._engine.dynamics.track(self._entity, self._columns, token):
                rows, unchanged = self._sorted_out(page.rows)
                changed.write(rows)
                seen.write(unchanged)
                deleted.write(pa.table({"id": page.deleted}, schema=_IDS))
                self._counts["deleted"] += len(page.deleted)
                if every is not None:
                    every.write(page.rows.select(["id"]).cast(_IDS))
                self._stage_cursor(page, version, iso(started))
                progress.advance(page.rows.num_rows)
                take_turn(self._engine, self._run)
            changed.write(self._asked_for())
        return dict(self._counts)

    def nothing(self) -> dict[str, Json]:
        """Stage no rows, and no cursor: what changes meanwhile is read when the filter can be read again (D68)."""
        self._staging.write(self._name("crm"), self._no_rows)
        self._staging.write(self._name("crm_seen"), _SEEN.empty_table())
        for name in ("crm_deleted", "crm_missing"):
            self._staging.write(self._name(name), _IDS.empty_table())
        return dict(self._counts)

    def selected(self) -> dict[str, Json]:
        """Stage the rows a backfill or request selects, all of them, changed or not."""
        progress = Progress(self._engine, self._run.run_id, f"records of {self._entity.value}")
        with self._staging.writer(self._name("crm"), self._row_schema) as changed:
            for table in self._window_rows():
                changed.write(self._with_links(table, keep_unchanged=True)[0])
                progress.advance(table.num_rows)
            changed.write(self._asked_for())
        self._staging.write(self._name("crm_seen"), _SEEN.empty_table())
        self._staging.write(self._name("crm_deleted"), _IDS.empty_table())
        return dict(self._counts)

    def _window_rows(self) -> Iterator[pa.Table]:
        window = self._run.window
        if (
            self._run.persons
            or self._run.of_fields
            or (window.since is None and window.until is None)
            or self._entity not in self._run.entities
        ):
            return
        column = "createdon" if self._run.window_on == "created" else "modifiedon"  # R97
        bounds = [f"{column} ge {iso(window.since)}"] if window.since else []
        bounds += [f"{column} lt {iso(window.until)}"] if window.until else []
        yield from self._engine.dynamics.rows_where(self._entity, " and ".join(bounds), self._columns)

    def _asked_for(self) -> pa.Table:
        """Rows of links that must be read afresh, and of selected persons; missing ids are staged apart."""
        selection = self._staging.read("selection")
        ids: list[str] = []
        if selection.height:
            mine = (selection["entity"] == self._entity.value) & selection["crm_id"].is_not_null()
            ids = [*dict.fromkeys(selection["crm_id"].filter(mine))]
        raw = self._engine.dynamics.rows(self._entity, ids, self._columns) if ids else None
        found = set(raw["id"].to_pylist()) if raw is not None else set()
        missing = [crm_id for crm_id in ids if crm_id not in found]
        self._staging.write(self._name("crm_missing"), pa.table({"id": missing}, schema=_IDS))
        self._counts["missing"] = len(missing)
        if raw is None:
            return self._no_rows
        return self._with_links(raw, keep_unchanged=True)[0]

    def _sorted_out(self, raw: pa.Table) -> tuple[pa.Table, pa.Table]:
        return self._with_links(raw, keep_unchanged=False)

    def _with_links(self, raw: pa.Table, *, keep_unchanged: bool) -> tuple[pa.Table, pa.Table]:
        """Canonical rows with their links; rows whose hash is the one last seen go to the second table."""
        if raw.num_rows == 0:
            return self._no_rows, _SEEN.empty_table()
        joined = self.compared(raw)
        allowed = (pl.col("allowed") == (pl.col("status") != LinkStatus.SUSPENDED)).fill_null(value=False)
        same, names = pl.col("same") & allowed, self._row_schema.names
        if keep_unchanged:
            self._counts["changed"] += joined.height
            return joined.select(names).to_arrow(), _SEEN.empty_table()
        unchanged = joined.filter(same & pl.col("crm_etag").ne_missing(pl.col("etag"))).select("link_id", "etag")
        changed = joined.filter(~same)
        self._counts["changed"] += changed.height
        self._counts["unchanged"] += joined.height - changed.height
        return changed.select(names).to_arrow(), unchanged.to_arrow()

    def compared(self, raw: pa.Table) -> pl.DataFrame:
        """Canonical rows beside the state of their links, null where there is none.

        `same`: nothing but the filter's verdict can have changed since the link last saw the record.
        """
        rows = canonical_records(raw, self._schema, self._entity, self._reference)
        links = frame_of(self._links.by_crm(rows["id"].to_list()))
        kept = ("link_id", "status", "crm_id", "crm_hash", "crm_etag", "hash_tag", "dirty", "crm_state", "version")
        known = links.select(*kept)
        as_before = unchanged_under_older_map(rows, links, Layouts(self._engine.store).all(), self._map)
        joined = rows.join(known, left_on="id", right_on="crm_id", how="left", maintain_order="left")
        same = (
            (
                (pl.col("hash") == pl.col("crm_hash")) & (pl.col("hash_tag") == hash_tag())
                | pl.col("id").is_in(as_before)
            )
            & pl.col("dirty").is_null()
            & pl.col("@state").eq_missing(pl.col("crm_state"))
            & pl.col("@master").is_null()
        )
        return joined.with_columns(same.fill_null(value=False).alias("same"))

    @property
    def _row_schema(self) -> pa.Schema:
        return self._no_rows.schema

    @cached_property
    def _no_rows(self) -> pa.Table:
        return _no_records(self._map.names)

    def _stage_cursor(self, page: TrackedPage, version: int, as_of: str) -> None:
        if page.delta_link:
            document = {"token": page.delta_link, "version": version, "as_of": as_of}
            self._staging.write_json(f"cursor.{stream_name(self._entity).replace(':', '_')}", document)

    def _name(self, dataset: str) -> str:
        return f"{dataset}.{self._entity.value}"
