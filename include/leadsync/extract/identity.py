"""What a CRM record says of its own fate: open or closed, merged into which record, made of which lead.

Columns beside the fields have names that no Marketo field can have: `@state` (int64, statecode) · `@merged` (bool: it
was merged away) · `@master` (into which record; Dynamics forgets one that is deleted) · `@contact` (of a qualified
lead: the contact it was qualified into, when the lead names it) · `@partition` (where a new person would go; null:
Marketo's default) · `origin` (of a contact: the lead it came from).
"""

from __future__ import annotations

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from include.leadsync.fields import Wire, canonical_rows, row_hash
from include.leadsync.model import Entity
from include.leadsync.no_rows import frame_of
from include.leadsync.schema import Schema

STATE, MERGED, MASTER = "statecode", "merged", "_masterid_value"
ORIGIN, CONTACT = "_originatingleadid_value", "_parentcontactid_value"
STATE_SEEN, PLACE = "@state", "@partition"
OPEN, QUALIFIED = 0, 1
"""statecode of open leads and active contacts, and of qualified leads (dataverse-api §14)."""

_GUID = r"([0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12})"

IDENTITY_SCHEMA = [
    ("link_id", pa.int64()),
    ("id", pa.string()),
    ("etag", pa.string()),
    ("hash", pa.int64()),
    ("origin", pa.string()),
    ("allowed", pa.bool_()),
    ("@state", pa.int64()),
    ("@merged", pa.bool_()),
    ("@master", pa.string()),
    ("@contact", pa.string()),
    (PLACE, pa.string()),
]
"""Columns of an extracted CRM record before those of its fields."""


def record_columns(schema: Schema, entity: Entity, reference: str | None) -> dict[str, Wire]:
    """Columns to read for records of one entity. `reference`: the configured one from contact to lead (D40)."""
    wanted: dict[str, Wire] = {STATE: "integer", MERGED: "boolean", MASTER: "text"}
    wanted |= {CONTACT: "text"} if entity is Entity.LEAD else {ORIGIN: "text"}
    named = reference_column(schema, reference) if entity is Entity.CONTACT else None
    return {**schema.row_columns(entity), **wanted, **({named: "text"} if named else {})}


def reference_column(schema: Schema, reference: str | None) -> str | None:
    """The configured reference as it is read: a look-up as `_x_value` (V14); None when contacts have none."""
    found = next((a for a in schema.dynamics[Entity.CONTACT] if a.name == reference), None) if reference else None
    if found is None or not found.readable:
        return None
    return f"_{found.name}_value" if found.type in {"Lookup", "Customer", "Owner"} else found.name


def canonical_records(raw: pa.Table, schema: Schema, entity: Entity, reference: str | None) -> pl.DataFrame:
    """Records as read → `IDENTITY_SCHEMA` without link_id, then the fields in canonical form; each once."""
    field_map = schema.map(entity)
    frame = frame_of(canonical_rows(raw, field_map))
    merged = pc.fill_null(_column(raw, MERGED, pa.bool_()), fill_value=False)
    state = _column(raw, STATE, pa.int64())
    qualified = pc.fill_null(pc.equal(state, QUALIFIED), fill_value=False)
    nothing = pa.nulls(raw.num_rows, pa.string())
    origin = pl.Series(nothing)
    if entity is Entity.CONTACT:
        origin = _origin(raw, reference_column(schema, reference))
    return frame.with_columns(
        pl.Series("hash", row_hash(frame, field_map.names), dtype=pl.Int64),
        origin.alias("origin"),
        schema.filters[entity].allows_rows(raw).alias("allowed"),
        pl.Series("@state", state),
        pl.Series("@merged", merged),
        pl.Series("@master", pc.if_else(merged, _text(raw, MASTER), nothing)),
        pl.Series("@contact", pc.if_else(qualified, _text(raw, CONTACT), nothing)),
        schema.partitions[entity].of_rows(raw).alias(PLACE),
    ).unique("id", keep="last", maintain_order=True)


def _origin(raw: pa.Table, named: str | None) -> pl.Series:
    """The lead that contacts came from: their own look-up, or else the configured column says it."""
    origin = pl.Series(_text(raw, ORIGIN))
    if named:  # a text may have braces around the id, or say something else altogether
        of_its_own = pl.Series(_text(raw, named)).str.extract(_GUID)
        origin = pl.select(pl.coalesce(origin, of_its_own)).to_series()
    return origin.str.to_lowercase()


def _column(raw: pa.Table, name: str, kind: pa.DataType) -> pa.Array:
    if name not in raw.column_names:
        return pa.nulls(raw.num_rows, kind)
    return raw[name].combine_chunks().cast(kind)


def _text(raw: pa.Table, name: str) -> pa.Array:
    return _column(raw, name, pa.string())
