"""Partners that must be read after all, although nothing of them changed.

What a link stores of the side that did not change covers the fields the map had when it was stored. For a
field that the map gained since, that side's value is unknown, and unknown is not empty: without reading
it, the other side's value would run over it (D4, D69).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl
import pyarrow as pa

from include.leadsync.context import Engine
from include.leadsync.extract.identity import canonical_records, record_columns
from include.leadsync.link.people import People
from include.leadsync.model import Entity, FieldMap, LinkStatus
from include.leadsync.schema import Schema


def outgrown(links: pl.DataFrame, layouts: Mapping[int, Sequence[str]], field_map: FieldMap) -> pl.DataFrame:
    """Links whose stored baseline lacks a field of the map."""
    wanted = set(field_map.names)
    complete = {number for number, names in layouts.items() if wanted <= set(names)}
    if complete.issuperset(links["layout_id"].to_list()):
        return links.clear()
    return links.filter(~pl.col("layout_id").is_in(list(complete)).fill_null(value=False))


def persons_to_add(people: People, links: pl.DataFrame, known: pl.DataFrame) -> pa.Table:
    """Raw persons of links that `known` (column `id`) lacks."""
    if links.is_empty():
        return pa.table({})
    wanted = links.filter(~pl.col("person_id").is_in(known["id"].to_list()))["person_id"].drop_nulls().to_list()
    return people.by_id(wanted) if wanted else pa.table({})


def resuming(links: pl.DataFrame, rows: pl.DataFrame, persons: pl.DataFrame) -> pl.DataFrame:
    """Suspended links of which a freshly read side may be synced again: the other side has a say too (D72).

    `rows`: CRM records with `allowed`; `persons` with `sys_allowed`.
    """
    if not (links["status"] == LinkStatus.SUSPENDED).any():
        return links.clear()
    fine_rows = rows.filter(pl.col("allowed"))["id"].to_list()
    fine_persons = persons.filter(pl.col("sys_allowed"))["id"].to_list()
    may = pl.col("crm_id").is_in(fine_rows) | pl.col("person_id").is_in(fine_persons)
    return links.filter((pl.col("status") == LinkStatus.SUSPENDED) & may.fill_null(value=False))


def rows_to_add(
    engine: Engine, schema: Schema, entity: Entity, links: pl.DataFrame, known: pl.DataFrame
) -> pl.DataFrame:
    """Canonical CRM records of links that `known` lacks, in the columns that both have; `known` with them."""
    field_map, reference = schema.map(entity), engine.settings.lifecycle.conversion_reference
    shared = ["id", "etag", "allowed", "@state", *field_map.names]
    known = known[shared]
    if links.is_empty():
        return known
    wanted = links.filter(~pl.col("crm_id").is_in(known["id"].to_list()))["crm_id"].drop_nulls().to_list()
    raw = engine.dynamics.rows(entity, wanted, record_columns(schema, entity, reference)) if wanted else None
    if raw is None or raw.num_rows == 0:
        return known
    more = canonical_records(raw, schema, entity, reference)
    return pl.concat([known, more.select(pl.col(name).cast(known.schema[name]) for name in shared)])
