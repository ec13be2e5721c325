"""Rows of the plan about links that end: flags on their persons, and merges of persons in Marketo."""

from __future__ import annotations

from collections.abc import Collection

import polars as pl

from include.leadsync.config import SystemFields
from include.leadsync.link.frames import DELETED_UNTOLD, FLAGGED, SUPERSEDED
from include.leadsync.model import Direction, Entity, Lane, OperationKind
from include.leadsync.no_rows import no_rows
from include.leadsync.plan.rows import PLAN_SCHEMA, shaped

LOSER = "mergedPerson"
"""Stands for the field in rows that merge a person into another one; the value is the loser's id."""
MASTER = "mergedRecord"
"""Likewise for CRM records."""


def flag_rows(
    events: pl.DataFrame, names: SystemFields, *, merged_into: bool, survivors: Collection[int] = ()
) -> pl.DataFrame:
    """What persons without a CRM record are marked with.

    Microsoft is Deleted = true for deletions and records merged away (R75, D42); for the latter, and for leads
    qualified into a contact that has a person (D37), also the record that took the place of theirs, where Marketo
    has that field (`merged_into`). Of somebody whom others were merged into just then (`survivors`) it is emptied when
    the record was deleted: Marketo may have filled it from theirs (M49).
    """
    if events.is_empty():
        return no_rows(PLAN_SCHEMA)
    deleted = (pl.col("kind") == "crm_deleted") & (pl.col("code") != DELETED_UNTOLD)
    ended = (pl.col("kind") == "ended") & (pl.col("outcome") == FLAGGED)
    known = events.filter(pl.col("person_id").is_not_null())
    gone = known.filter(deleted | (ended & (pl.col("code") != SUPERSEDED)))
    parts = [_flags(gone, names.is_deleted, pl.lit("true"), pl.lit("false"))]
    if merged_into:
        parts.append(_flags(known.filter(ended), names.merged_into, pl.col("became_crm"), pl.lit(None, pl.String)))
        filled = known.filter(deleted & pl.col("person_id").is_in(list(survivors)))
        parts.append(_flags(filled, names.merged_into, pl.lit(None, pl.String), pl.lit(None, pl.String)))
    return pl.concat(parts)


def _flags(rows: pl.DataFrame, name: str, after: pl.Expr, before: pl.Expr) -> pl.DataFrame:
    return _facts(
        rows.with_columns(before.alias("before")),
        (Direction.INBOUND, Lane.CONSENT, pl.lit(OperationKind.FLAG_DELETED.value)),
        (name, after, "deleted"),
        pl.col("rule"),
    )


def unwanted_rows(unwanted: pl.DataFrame) -> pl.DataFrame:
    """CRM records to be closed or deleted, because their person was deleted in Marketo (D53)."""
    closed = pl.when(pl.col("entity") == Entity.LEAD.value).then(pl.lit("2")).otherwise(pl.lit("1"))
    state = pl.when(pl.col("action") == OperationKind.DEACTIVATE.value).then(closed)
    return _facts(
        unwanted, (Direction.OUTBOUND, Lane.CONSENT, pl.col("action")), ("statecode", state, "deleted"), pl.lit("D53")
    )


def merge_rows(merging: pl.DataFrame) -> pl.DataFrame:
    """Persons to be merged in Marketo, where the configuration wants that (D37, D42)."""
    if merging.is_empty():
        return no_rows(PLAN_SCHEMA)
    return _facts(
        merging.with_columns(pl.col("winner").alias("person_id"), pl.lit("contact").alias("entity")),
        (Direction.INBOUND, Lane.INCREMENT, pl.lit(OperationKind.MERGE_PERSONS.value)),
        (LOSER, pl.col("loser").cast(pl.String), "merged"),
        pl.lit("D42"),
    )


def merge_record_rows(merging: pl.DataFrame) -> pl.DataFrame:
    """CRM records to be merged in Dynamics, because their persons were merged in Marketo (D44)."""
    return _facts(
        merging,
        (Direction.OUTBOUND, Lane.INCREMENT, pl.lit(OperationKind.MERGE_ROWS.value)),
        (MASTER, pl.col("loser"), "merged"),
        pl.lit("D44"),
    )


def _facts(
    rows: pl.DataFrame, way: tuple[Direction, Lane, pl.Expr], write: tuple[str, pl.Expr, str], rule: pl.Expr
) -> pl.DataFrame:
    """One write of our own for each row. `way`: direction, lane, kind; `write`: field, value, what happened."""
    if rows.is_empty():
        return no_rows(PLAN_SCHEMA)
    (direction, lane, kind), (field, after, change) = way, write
    return shaped(
        rows.with_columns(
            pl.lit(0, pl.Int64).alias("version"),
            pl.lit(direction.value).alias("direction"),
            kind.alias("kind"),
            pl.lit(int(lane)).alias("lane"),
            pl.lit(field).alias("field"),
            pl.lit(value=True).alias("system"),
            after.alias("after"),
            pl.lit(change).alias("change"),
            rule.alias("rule"),
            pl.lit(None, pl.String).alias("request_id"),
        )
    )
