"""The merge and plan steps: pairs → decisions → rows of the plan, slice by slice."""

from __future__ import annotations

import math

import polars as pl

from include.leadsync.approval import APPROVED, REJECTED, UNANSWERED
from include.leadsync.context import Engine, Json, RunRequest
from include.leadsync.link.by_email import SEVERAL
from include.leadsync.link.step import slices
from include.leadsync.merge import DECISION_SCHEMA, Change
from include.leadsync.model import Direction, Lane, LinkStatus, OperationState
from include.leadsync.no_rows import frame_of, no_rows
from include.leadsync.plan.backfill_marks import Unfinished, with_marks
from include.leadsync.plan.blocked import DATASET as BLOCKED
from include.leadsync.plan.brake import HELD_SCHEMA, Held, Limit, again, apply_brake
from include.leadsync.plan.consent import spread
from include.leadsync.plan.deciding import Deciding, selected
from include.leadsync.plan.endings import flag_rows, merge_record_rows, merge_rows, unwanted_rows
from include.leadsync.plan.first_sync import guesses, require_acceptance
from include.leadsync.plan.rows import (
    PLAN_SCHEMA,
    create_rows,
    filter_rows,
    system_rows,
    update_rows,
    with_operation_ids,
)
from include.leadsync.plan.shared_addresses import shared_addresses
from include.leadsync.quiet import is_quiet
from include.leadsync.restored import is_restored
from include.leadsync.schema import staged_schema
from include.leadsync.state import Links, Outbox

LEFT_OUT = "left_out"
"""Dataset of links (link_id) with changes in other fields than those the run was asked for."""

_PERSONS_A_CALL = 300


def merge(engine: Engine, run: RunRequest) -> dict[str, Json]:
    """Stage `decisions.E.N` for every slice of pairs; returns how often each kind of change occurred."""
    if is_quiet(engine, run):
        return {str(change): 0 for change in Change}
    staging = engine.staging(run)
    deciding = Deciding(engine, run, staged_schema(engine, run))
    counts: dict[str, int] = dict.fromkeys(Change, 0)
    for entity, number in slices(engine, run):
        decisions = deciding.decide(entity, staging.read(f"pairs.{entity.value}.{number}"))
        staging.write(f"decisions.{entity.value}.{number}", decisions.select(list(DECISION_SCHEMA)))
        for change, count in decisions["change"].value_counts().iter_rows():
            counts[change] += count
    staging.write(BLOCKED, pl.concat(deciding.blocked))
    staging.write(LEFT_OUT, pl.DataFrame({"link_id": deciding.left_out}, schema={"link_id": pl.Int64}))
    undo = deciding.stage_list()
    return {str(change): count for change, count in counts.items()} | ({"undo": undo} if undo else {})


def plan(engine: Engine, run: RunRequest) -> dict[str, Json]:
    """Stage `plan` and `plan_summary`; returns the summary: operations, fields, calls, what is held."""
    if is_quiet(engine, run):
        return _staged(engine, run, no_rows(PLAN_SCHEMA), Held())
    staging, schema = engine.staging(run), staged_schema(engine, run)
    system = engine.settings.marketo.system_fields
    parts = [no_rows(PLAN_SCHEMA)]
    addresses = [no_rows({"link_id": pl.Int64, "address": pl.String})]
    selection = staging.read("selection")
    unfinished = Unfinished(Outbox(engine.store), selection["link_id"].drop_nulls().to_list())
    backfilled: set[int] = set()
    by_email = 0
    for entity, number in slices(engine, run):
        pairs = unfinished.in_their_lane(staging.read(f"pairs.{entity.value}.{number}"))
        decisions = staging.read(f"decisions.{entity.value}.{number}")
        field_map = schema.map(entity)
        backfilled |= set(pairs["link_id"].filter(pairs["lane"] == int(Lane.BACKFILL)))
        by_email += guesses(pairs)
        parts.append(update_rows(pairs, decisions, field_map))
        if "email" in field_map.names:
            address = pl.coalesce("p.email", "c.email").str.to_lowercase().alias("address")
            addresses.append(pairs.select("link_id", address))
        synced = pairs.filter(pairs["status"] != LinkStatus.SUSPENDED.value)
        parts.append(create_rows(synced, field_map))
        parts.append(filter_rows(synced, schema.filters[entity]))
        parts.append(system_rows(synced, entity, system))
    events = staging.read("events")
    named = any(field.name == system.merged_into for field in schema.marketo)
    survivors = staging.read("persons_merged")["winner"].to_list()
    parts.append(flag_rows(events, system, merged_into=named, survivors=survivors))
    parts.append(merge_rows(staging.read("merging")))
    parts.append(merge_record_rows(staging.read("merging_rows")))
    parts.append(unwanted_rows(staging.read("unwanted")))
    require_acceptance(engine, run, by_email, int((events["code"] == SEVERAL).sum()))
    rows = with_operation_ids(spread(pl.concat(parts), pl.concat(addresses)), run.run_id)
    staging.write("notices", shared_addresses(engine, rows))
    if any(field.name == system.backfilled_at for field in schema.marketo):
        rows = with_marks(rows, backfilled | unfinished.links, system.backfilled_at, engine.now())
    return _staged(engine, run, rows, _held(engine, rows, selection))


def _staged(engine: Engine, run: RunRequest, rows: pl.DataFrame, held: Held) -> dict[str, Json]:
    """Write down the plan and its summary; returns what of it belongs into the report."""
    staging = engine.staging(run)
    staging.write("plan", rows)
    summary = {
        **summarise(rows, engine.settings.batches.dynamics),
        "held": len(held.every),
        "held_ops": sorted(held.op_ids),
        "kept_ops": dict(held.kept),
        "plan_hash": held.plan_hash,
        "held_because": list(held.reasons),
    }
    staging.write_json("plan_summary", summary)
    return {key: value for key, value in summary.items() if key not in {"held_ops", "kept_ops"}}


def _held(engine: Engine, rows: pl.DataFrame, selection: pl.DataFrame) -> Held:
    """What the brake holds of a plan."""
    brake = engine.settings.policies.brake
    return apply_brake(
        rows,
        Links(engine.store).count_live(),
        Limit(brake.deletes.count, brake.deletes.share),
        Limit(brake.overwrites.count, brake.overwrites.share),
        selected(selection, f"^{APPROVED}"),
        _held_now(engine, rows),
        Limit(brake.creations.count, brake.creations.share),
        hold_losers=is_restored(engine),
    )


def _held_now(engine: Engine, plan: pl.DataFrame) -> pl.DataFrame:
    links = plan["link_id"].unique().sort().to_list()
    states = [OperationState.HELD.value, OperationState.PARKED.value]
    found = Outbox(engine.store).of_links(links, states=states)
    if found.num_rows == 0:
        return no_rows(HELD_SCHEMA)
    frame = frame_of(found)
    against = pl.col("code").is_in([REJECTED, UNANSWERED]) & pl.col("plan_hash").is_not_null()
    parked = again(frame.filter((pl.col("state") == OperationState.PARKED.value) & against), plan)
    waiting = pl.concat([frame.filter(pl.col("state") == OperationState.HELD.value), parked])
    return waiting.select(list(HELD_SCHEMA)).cast(HELD_SCHEMA)


def summarise(rows: pl.DataFrame, batch: int) -> dict[str, Json]:
    """Counts per direction and kind, and the API calls that writing the plan costs."""
    operations = rows.unique("op_id") if rows.height else rows
    by = operations.group_by("direction", "kind").len().sort("direction", "kind").rows() if rows.height else []
    outbound = sum(count for direction, _, count in by if direction == Direction.OUTBOUND.value)
    into_marketo = [count for direction, _, count in by if direction == Direction.INBOUND.value]
    return {
        "operations": operations.height,
        "field_writes": rows.height,
        "by_kind": {f"{direction}_{kind}": count for direction, kind, count in by},
        "dynamics_calls": math.ceil(outbound / batch),
        "marketo_calls": sum(math.ceil(count / _PERSONS_A_CALL) for count in into_marketo),
    }
