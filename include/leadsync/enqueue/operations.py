"""Plan rows → operations, ledger rows and activity rows as they are to be stored."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from include.leadsync.enqueue.fates import KINDS
from include.leadsync.link.frames import DELETED_UNTOLD
from include.leadsync.merge import Change
from include.leadsync.model import Direction, OperationState
from include.leadsync.no_rows import left_joined, no_rows
from include.leadsync.plan.brake import Held
from include.leadsync.plan.suspended import KEPT_OUT

_WRITE = ("field", "after", "before", "base", "change", "lost", "rule", "system")
"""Members of one write in an operation's payload."""

_TARGET = ("link_id", "entity", "direction", "kind", "lane", "person_id", "crm_id", "version")


LEDGER_SCHEMA = pl.Schema(
    [
        *((name, pl.String()) for name in ("run_id", "crm_id", "entity", "field", "direction", "kind")),
        ("link_id", pl.Int64()),
        ("person_id", pl.Int64()),
        *((name, pl.String()) for name in ("base", "before", "after", "lost", "rule")),
        ("at", pl.Datetime("us", "UTC")),
    ]
)
"""Columns of `decision_ledger`."""

_NOTABLE = {Change.COLLISION.value, Change.FIRST_LINK.value, Change.OVERWRITTEN.value}


def operation_rows(
    plan: pl.DataFrame, failures: pl.DataFrame, refused: list[str], held: Held, run_id: str, now: datetime
) -> pl.DataFrame:
    """One row per operation. Refused ones are parked with their first failure, braked ones held."""
    if plan.is_empty():
        return plan.select("op_id", "link_id")
    grouped = plan.group_by("op_id", maintain_order=True).agg(
        pl.col(*_TARGET, "request_id", "binds").first(), pl.struct(*_WRITE).alias("writes")
    )
    first = failures.filter(pl.col("op_id").is_in(refused)).unique("op_id", keep="first", maintain_order=True)
    state = (
        pl.when(pl.col("op_id").is_in(refused))
        .then(pl.lit(OperationState.PARKED.value))
        .when(pl.col("op_id").is_in(held.every))
        .then(pl.lit(OperationState.HELD.value))
        .otherwise(pl.lit(OperationState.PENDING.value))
    )
    kept = pl.col("op_id").replace_strict(dict(held.kept), default=None, return_dtype=pl.String)
    held_by = pl.when(pl.col("op_id").is_in(list(held.op_ids))).then(pl.lit(held.plan_hash)).otherwise(kept)
    return left_joined(grouped, first.select("op_id", "code", "message"), "op_id").select(
        "op_id",
        pl.lit(run_id).alias("run_id"),
        "link_id",
        "entity",
        "direction",
        "kind",
        "lane",
        "person_id",
        "crm_id",
        pl.struct("writes", "request_id", "binds").struct.json_encode().alias("payload"),
        pl.col("version").alias("base_version"),
        state.alias("state"),
        pl.lit(0).alias("attempts"),
        "code",
        "message",
        held_by.alias("plan_hash"),
        pl.lit(now).alias("created_at"),
        pl.lit(now).alias("updated_at"),
    )


def decision_ledger(
    pairs: pl.DataFrame, decisions: pl.DataFrame, entity: str, run_id: str, now: datetime
) -> pl.DataFrame:
    """Ledger rows (`LEDGER_SCHEMA`) for what the merge decided beyond plain writes: collisions and lost edits (P2, P9).

    `lost` is the value that does not survive; the writes themselves enter the ledger when acknowledged.
    """
    if _NOTABLE.isdisjoint(decisions["change"].unique()):
        return no_rows(LEDGER_SCHEMA)
    rows = decisions.filter(pl.col("change").is_in(_NOTABLE) & (pl.col("rule") != KEPT_OUT))
    rows = rows.join(pairs.select("link_id", "person_id", "crm_id").with_row_index("row"), on="row", how="left")
    person_lost = (pl.col("direction") == Direction.INBOUND.value) | (pl.col("change") == Change.OVERWRITTEN.value)
    lost = pl.when(person_lost).then(pl.col("person")).otherwise(pl.col("crm"))
    entries = rows.select(
        pl.lit(run_id).alias("run_id"),
        "crm_id",
        pl.lit(entity).alias("entity"),
        "field",
        pl.coalesce("direction", pl.lit(Direction.INBOUND.value)).alias("direction"),
        pl.col("change").alias("kind"),
        "link_id",
        "person_id",
        "base",
        pl.lit(None, pl.String).alias("before"),
        "after",
        lost.alias("lost"),
        "rule",
        pl.lit(now).alias("at"),
    )
    return entries.cast(LEDGER_SCHEMA)


def still_open(plan: pl.DataFrame, failures: pl.DataFrame, refused: list[str]) -> pl.DataFrame:
    """Fields that this run finds failing again or whose outcome it does not settle yet: link_id, direction, field.

    A field that was put right is over, also when another one of its record is refused still.
    """
    names = ("link_id", "direction", "field")
    if failures.is_empty() and not refused:
        return plan.select(names)
    again = failures.join(plan.unique("op_id").select("op_id", "link_id", "direction"), on="op_id")
    sent = plan.filter(~pl.col("op_id").is_in(refused))
    return pl.concat([sent.select(names), again.select(names)])


def failure_activities(plan: pl.DataFrame, failures: pl.DataFrame, run_id: str, now: datetime) -> pl.DataFrame:
    """Activity rows for values that validation refused (R110, P6)."""
    operations = plan.unique("op_id").select("op_id", "link_id", "entity", "direction", "kind", "person_id", "crm_id")
    rows = failures.join(operations, on="op_id", how="inner", maintain_order="left")
    return _activities(rows.with_columns(pl.col("kind").alias("operation")), "failed", run_id, now)


def held_activities(events: pl.DataFrame, run_id: str, now: datetime) -> pl.DataFrame:
    """Activity rows for records that wait for a human (D13, D24, D51) and for requests that failed."""
    waiting = (pl.col("kind") == "held") | ((pl.col("kind") == "request") & pl.col("outcome").is_in(["held", "failed"]))
    outbound = pl.col("kind") == "request"
    rows = events.filter(waiting).with_columns(
        pl.when(outbound)
        .then(pl.lit(Direction.OUTBOUND.value))
        .otherwise(pl.lit(Direction.INBOUND.value))
        .alias("direction"),
        pl.when(outbound).then(pl.lit("sync_person")).otherwise(pl.lit("link")).alias("operation"),
        pl.lit(None, pl.String).alias("op_id"),
    )
    return _activities(rows, "held", run_id, now)


def notice_activities(events: pl.DataFrame, run_id: str, now: datetime) -> pl.DataFrame:
    """Closed activity rows: what somebody should know, but nothing waits for (D14, D17, D30, D36–D44)."""
    rows = events.filter(pl.col("kind").is_in(["notice", "duplicate", *KINDS])).with_columns(
        pl.when(pl.col("kind") == "notice")
        .then(pl.lit(Direction.OUTBOUND.value))
        .otherwise(pl.lit(Direction.INBOUND.value))
        .alias("direction"),
        pl.coalesce(
            "operation", pl.when(pl.col("kind") == "duplicate").then(pl.lit("link")), pl.lit("sync_person")
        ).alias("operation"),
        pl.lit(None, pl.String).alias("op_id"),
    )
    untold = pl.when(rows["code"] == DELETED_UNTOLD).then(pl.lit(now).cast(pl.Datetime("us", "UTC")))
    notices = _activities(rows, "notice", run_id, now)
    return notices.with_columns(pl.lit(value=False).alias("open"), untold.alias("delivered_at"))


def _activities(rows: pl.DataFrame, outcome: str, run_id: str, now: datetime) -> pl.DataFrame:
    return rows.select(
        pl.lit(outcome).alias("outcome"),
        "operation",
        "direction",
        "field",
        "value",
        "code",
        "message",
        "rule",
        pl.lit(run_id).alias("run_id"),
        "link_id",
        "person_id",
        "crm_id",
        "entity",
        pl.lit(now).alias("at"),
        "op_id",
    )
