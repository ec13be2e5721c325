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
from include.leadsync.fields import Wire, canonical_rows
from include.leadsync.link.people import People
from include.leadsync.model import FieldMap


def outgrown(links: pl.DataFrame, layouts: Mapping[int, Sequence[str]], field_map: FieldMap) -> pl.DataFrame:
    """Links whose stored baseline lacks a field of the map."""
    complete = [number for number, names in layouts.items() if set(field_map.names) <= set(names)]
    return links.filter(~pl.col("layout_id").is_in(complete).fill_null(value=False))


def persons_to_add(people: People, links: pl.DataFrame, known: pl.DataFrame) -> pa.Table:
    """Raw persons of links that `known` (column `id`) lacks."""
    wanted = links.filter(~pl.col("person_id").is_in(known["id"].to_list()))["person_id"].drop_nulls().to_list()
    return people.by_id(wanted) if wanted else pa.table({})


def rows_to_add(
    engine: Engine, field_map: FieldMap, columns: Mapping[str, Wire], links: pl.DataFrame, known: pl.DataFrame
) -> pl.DataFrame:
    """Canonical CRM records of links that `known` lacks, in the columns that both have; `known` with them."""
    shared = ["id", "etag", *field_map.names]
    known = known.select(shared)
    wanted = links.filter(~pl.col("crm_id").is_in(known["id"].to_list()))["crm_id"].drop_nulls().to_list()
    raw = engine.dynamics.rows(field_map.entity, wanted, columns) if wanted else None
    if raw is None or raw.num_rows == 0:
        return known
    more: pl.DataFrame = pl.from_arrow(canonical_rows(raw, field_map))  # type: ignore[assignment]
    return pl.concat([known, more.select(pl.col(name).cast(known.schema[name]) for name in shared)])
