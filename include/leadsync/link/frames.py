"""The shape of a pair: person and CRM record side by side, ready to be merged.

One row per link that this run looks at. `link_id` < 0 marks a link that does not exist yet; `create`
says which side is missing ("person" or "crm", null when both exist). `sys_*` are the person's
system fields when it was read; `binds` are the look-ups that a new CRM record is created with (JSON:
navigation property → row, as `{"ownerid": "/systemusers(…)"}`), or the partition of a new person
(`{"partition": "EU"}`); the stored sparse sides travel along,
because the enqueue step writes them back changed. After them follow the wide columns of `baseline`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import polars as pl

from include.leadsync.model import Lane
from include.leadsync.no_rows import no_rows

PAIR_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "link_id": pl.Int64,
    "status": pl.String,
    "person_id": pl.Int64,
    "crm_id": pl.String,
    "version": pl.Int64,
    "etag": pl.String,
    "create": pl.String,
    "lane": pl.Int64,
    "request_id": pl.String,
    "binds": pl.String,
    "p_fresh": pl.Boolean,
    "c_fresh": pl.Boolean,
    "sys_id": pl.String,
    "sys_type": pl.String,
    "sys_deleted": pl.Boolean,
    "person_side": pl.String,
    "person_open": pl.String,
    "crm_side": pl.String,
    "crm_open": pl.String,
    "crm_state": pl.Int64,
    "sys_merged": pl.String,
    "unlinked": pl.List(pl.String),  # as `baseline` has it
}

SYSTEM = ("sys_id", "sys_type", "sys_deleted", "sys_merged")
"""What a person shows in the fields that the sync itself keeps."""

EVENT_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "kind": pl.String,  # crm_deleted, person_deleted, ended, moved, held, over, notice, duplicate, request, refreshed
    "entity": pl.String,
    "link_id": pl.Int64,
    "person_id": pl.Int64,
    "crm_id": pl.String,
    "code": pl.String,
    "message": pl.String,
    "rule": pl.String,
    "request_id": pl.String,
    "outcome": pl.String,
    "status": pl.String,
    "became_crm": pl.String,
    "became_person": pl.Int64,
    "operation": pl.String,
    "field": pl.String,
    "value": pl.String,
}
"""What happened to links besides field changes; `request_id` with `outcome` settles a request.

`ended` and `moved` carry the link's old entity, person and CRM record, the `status` under which these become history,
and what took their place. `over` closes open rows of the activity log with its code about its person or CRM record.
"""


SEVERAL_CARRY = "several_carry_id"
"""Code of a record whose id several persons carry (D11)."""

PARTITION = "partition"
"""Key in `binds` of a person that is to be created: the partition it goes into (D20)."""

DELETED_UNTOLD = "crm_deleted_kept_out"
"""Code of the deletion of a record that its filter kept out: nobody is told (R119)."""

FLAGGED = "flagged"
"""Outcome of an ended link whose person is told so by its Microsoft fields."""

MERGED_AWAY, SUPERSEDED = "crm_merged", "superseded"
"""Codes of links whose record went into another one that has a person: merged in Dynamics, or qualified (D42, D37)."""


def events(rows: Sequence[dict[str, object]]) -> pl.DataFrame:
    """Event rows as a frame; members left out are null."""
    if not rows:
        return no_rows(EVENT_SCHEMA)
    return pl.DataFrame([{name: row.get(name) for name in EVENT_SCHEMA} for row in rows], schema=EVENT_SCHEMA)


def without_link(rows: pl.DataFrame) -> pl.DataFrame:
    """Those of extracted records that no link has; as a rule there are none."""
    return rows.filter(pl.col("link_id").is_null()) if rows["link_id"].null_count() else rows.clear()


def unlinked_pairs(
    fixed: pl.DataFrame, persons: pl.DataFrame, rows: pl.DataFrame, names: Sequence[str]
) -> pl.DataFrame:
    """Pairs without baseline: `fixed` has PAIR_SCHEMA columns (some may be missing); the sides are joined by id.

    `persons` has `id` and canonical columns plus `sys_*`; `rows` has `id`, `etag`, `@state` and canonical columns.
    """
    frame = _completed(fixed)
    person_side = frame.select(pl.col("person_id").alias("id")).join(
        persons, on="id", how="left", maintain_order="left"
    )
    crm_side = frame.select(pl.col("crm_id").alias("id")).join(rows, on="id", how="left", maintain_order="left")
    wide: list[pl.Series] = []
    never = pl.Series([None], dtype=pl.String).new_from_index(0, frame.height)
    unlinked = pl.Series([True], dtype=pl.Boolean).new_from_index(0, frame.height)
    for name in names:
        wide += [
            never.alias(f"b.{name}"),
            unlinked.alias(f"n.{name}"),
            person_side[name].alias(f"p.{name}"),
            crm_side[name].alias(f"c.{name}"),
        ]
    system = [person_side[column] for column in SYSTEM]
    record = [crm_side["etag"], crm_side["@state"].alias("crm_state")]
    return frame.with_columns(*system, *record).hstack(wide)


def _completed(fixed: pl.DataFrame) -> pl.DataFrame:
    defaults: dict[str, pl.Expr] = {
        "status": pl.lit("active"),
        "version": pl.lit(0),
        "lane": pl.lit(int(Lane.INCREMENT)),
        "p_fresh": pl.lit(value=True),
        "c_fresh": pl.lit(value=True),
    }
    columns = [
        (pl.col(name) if name in fixed.columns else defaults.get(name, pl.lit(None))).cast(dtype).alias(name)
        for name, dtype in PAIR_SCHEMA.items()
    ]
    return fixed.select(columns)


@lru_cache(maxsize=16)
def empty_side(names: tuple[str, ...], key: type[pl.DataType]) -> pl.DataFrame:
    """A side with no records: `id`, the field columns, and what goes with either side."""
    schema: dict[str, pl.DataType | type[pl.DataType]] = {"id": key, "etag": pl.String, "@state": pl.Int64}
    schema |= {"sys_id": pl.String, "sys_type": pl.String, "sys_deleted": pl.Boolean, "sys_merged": pl.String}
    return no_rows(schema | dict.fromkeys(names, pl.String))
