"""Pairs that are linked already: open their baseline and lay the fresh values over it."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from include.leadsync.baseline import decode_links, refresh, side_values
from include.leadsync.fields import hash_tag, row_hash
from include.leadsync.link.frames import PAIR_SCHEMA, SYSTEM
from include.leadsync.model import FieldMap, FieldType, Lane, LinkStatus
from include.leadsync.no_rows import left_joined


def known_pairs(
    links: pl.DataFrame,
    layouts: dict[int, list[str]],
    rows: pl.DataFrame,
    persons: pl.DataFrame,
    field_map: FieldMap,
    *,
    forced: Sequence[int] = (),
    lane: Lane = Lane.INCREMENT,
) -> pl.DataFrame:
    """Linked pairs with what each side shows now.

    `links`: link rows of one entity. `rows`, `persons`: fresh records, keyed by `id`. A person whose
    hash is the one last seen is an echo or an unmapped change: the pair is left out, unless its
    CRM record changed too or the link is in `forced` (facts: performance, "Hash first").
    """
    names = field_map.names
    wide = decode_links(links, layouts, field_map.layout_names)
    wide = refresh(wide, rows, "crm_id", "id", "c", names)
    wide = refresh(wide, persons, "person_id", "id", "p", names)
    record = _said(wide, "crm_id", rows, ["etag", "@state", "allowed"])
    person = _said(wide, "person_id", persons, [*SYSTEM, "sys_allowed"])
    status = _filtered(wide, record["allowed"], person["sys_allowed"])
    turned = (status == LinkStatus.SUSPENDED) != (wide["status"] == LinkStatus.SUSPENDED)
    keep = wide["c_fresh"] | _person_changed(wide, names) | turned | wide["link_id"].is_in(list(forced))
    fixed = wide.with_columns(status, *_beside(wide, record, person), pl.lit(int(lane)).alias("lane"))
    empty = pl.col("create").eq_missing("person") & ~pl.col("c_fresh")  # gone before its person could be made
    value_columns = [
        name for name in fixed.columns if name[:2] in {"b.", "n.", "p.", "c."} or name[:3] in {"ps.", "cs."}
    ]
    return fixed.filter(keep & ~empty)[[*PAIR_SCHEMA, *value_columns]].cast(PAIR_SCHEMA)  # type: ignore[arg-type]


def _person_changed(wide: pl.DataFrame, names: Sequence[str]) -> pl.Series:
    """Pairs whose person was read and does not show what it showed last."""
    if not wide["p_fresh"].any():
        return wide["p_fresh"]
    shown = pl.Series(row_hash(side_values(wide, "p", names), names))
    unchanged = (shown == wide["person_hash"]) & (wide["hash_tag"] == hash_tag())
    return wide["p_fresh"] & ~unchanged.fill_null(value=False)


def _said(wide: pl.DataFrame, key: str, fresh: pl.DataFrame, columns: list[str]) -> pl.DataFrame:
    """What freshly read records say of themselves, row by row beside the pairs; null for those that were not read."""
    return left_joined(wide.select(key), fresh.select(pl.col("id").alias(key), *columns), key)


def _beside(wide: pl.DataFrame, record: pl.DataFrame, person: pl.DataFrame) -> list[pl.Series | pl.Expr]:
    """The columns of `PAIR_SCHEMA` that are no values: what the records say of themselves, which one is missing."""
    creating = pl.col("status") == LinkStatus.CREATING
    missing = (
        pl.when(pl.col("person_id").is_null())
        .then(pl.lit("person"))
        .when(creating & ~pl.col("c_fresh") & pl.col("crm_hash").is_null())  # never seen: it does not exist yet
        .then(pl.lit("crm"))
    )
    return [
        pl.coalesce(record["etag"], wide["crm_etag"]).alias("etag"),
        pl.coalesce(record["@state"], wide["crm_state"]).alias("crm_state"),
        missing.alias("create"),
        pl.lit(None, pl.String).alias("request_id"),
        pl.lit(None, pl.String).alias("binds"),
        *(person[name] for name in SYSTEM),
    ]


def _filtered(wide: pl.DataFrame, row_allowed: pl.Series, person_allowed: pl.Series) -> pl.Series:
    """Status after the filters: suspended while either side is kept out (R113, R116, D70, D73).

    A side that was not read keeps the verdict it had.
    """
    was = pl.col("status") == LinkStatus.SUSPENDED
    row_fine = pl.coalesce(row_allowed, ~was)
    person_fine = pl.coalesce(person_allowed, ~was | pl.col("person_id").is_null())
    being_made = (pl.col("status") == LinkStatus.CREATING) & pl.col("person_id").is_not_null()
    status = (
        pl.when(~(row_fine & person_fine) & ~being_made)
        .then(pl.lit(LinkStatus.SUSPENDED.value))
        .when(was)
        .then(pl.lit(LinkStatus.ACTIVE.value))
        .otherwise(pl.col("status"))
    )
    return wide.select(status.alias("status"))["status"]


def exchanged(pairs: pl.DataFrame, records: Sequence[int], persons: Sequence[int], field_map: FieldMap) -> pl.DataFrame:
    """Pairs of which one side is another record now keep their baseline, with two exceptions (D36, D43, D44).

    What the new CRM record leaves empty is nobody's clearing, and an opt-out on either side stands: these fields are
    treated as on a first link, also when their write fails and they are looked at again: their baseline is forgotten.
    What a surviving person leaves empty was cleared: a merge in Marketo fills it from the person merged away (M49).
    `records`, `persons`: links whose CRM record or person was exchanged.
    """
    if not records and not persons:
        return pairs
    by_record, by_person = pl.col("link_id").is_in(list(records)), pl.col("link_id").is_in(list(persons))
    columns = []
    for field in field_map.fields:
        name = field.name
        blank = by_record & pl.col(f"c.{name}").is_null()
        new = (by_record | by_person) if field.rule.consent else blank
        columns.append((pl.col(f"n.{name}") | new).alias(f"n.{name}"))
        nothing = pl.lit("false" if field.rule.type is FieldType.BOOLEAN else None, pl.String)  # no third state (D62)
        agreed = [at for at in (f"b.{name}", f"ps.{name}", f"cs.{name}") if at in pairs.columns]
        columns += [pl.when(new).then(nothing).otherwise(pl.col(at)).alias(at) for at in agreed]
    return pairs.with_columns(columns)
