"""The merge and plan steps: pairs → decisions → rows of the plan, slice by slice."""

from __future__ import annotations

import math

import polars as pl

from include.leadsync.backfills import staged_stretch
from include.leadsync.column_security import without_hidden_clears
from include.leadsync.context import Engine, Json, RunRequest
from include.leadsync.link.by_email import SEVERAL
from include.leadsync.link.step import slices
from include.leadsync.load.outcome import Fate
from include.leadsync.merge import DECISION_SCHEMA, Change
from include.leadsync.merge import merge as merge_pairs
from include.leadsync.model import Direction, Lane, LinkStatus, OperationState, System
from include.leadsync.plan.backfill_marks import Unfinished, with_marks
from include.leadsync.plan.blocked import DATASET as BLOCKED
from include.leadsync.plan.blocked import SCHEMA as BLOCKED_SCHEMA
from include.leadsync.plan.blocked import expected, without_blocked
from include.leadsync.plan.brake import HELD_SCHEMA, Limit, apply_brake
from include.leadsync.plan.concurrent import restored_edits
from include.leadsync.plan.consent import spread
from include.leadsync.plan.endings import flag_rows, merge_rows, unwanted_rows
from include.leadsync.plan.first_sync import guesses, require_acceptance
from include.leadsync.plan.opting_out import in_doubt, with_opt_outs, without_lifts
from include.leadsync.plan.refresh import refreshed
from include.leadsync.plan.rows import (
    PLAN_SCHEMA,
    create_rows,
    filter_rows,
    system_rows,
    update_rows,
    with_operation_ids,
)
from include.leadsync.plan.shared_addresses import shared_addresses
from include.leadsync.plan.suspended import without_writes
from include.leadsync.schema import current_schema, staged_schema
from include.leadsync.state import Echoes, Links, Outbox

APPROVED = "approved:"
"""Beginning of a link's `dirty` reason after its held operations were released."""

LEFT_OUT = "left_out"
"""Dataset of links (link_id) with changes in other fields than those the run was asked for."""

_PERSONS_A_CALL = 300
_ECHO = {"person_id": pl.Int64, "field": pl.String, "op_id": pl.String}


def merge(engine: Engine, run: RunRequest) -> dict[str, Json]:
    """Stage `decisions.E.N` for every slice of pairs; returns how often each kind of change occurred."""
    staging, schema = engine.staging(run), staged_schema(engine, run)
    overwritten = pl.concat([staging.read("overwritten"), staging.read("carried")])
    moved = staging.read("events").filter(pl.col("kind") == "moved")["link_id"].to_list()
    policy = engine.settings.policies.first_link
    first_link = None if policy == "by_type" else System(policy)
    counts: dict[str, int] = dict.fromkeys(Change, 0)
    left_out: list[int] = []
    matched = staging.read("echoes") if staging.exists("echoes") else pl.DataFrame(schema=_ECHO)
    blocked = [pl.DataFrame(schema=BLOCKED_SCHEMA)]
    opt_outs, versions = staging.read("opt_outs"), _unanswered(engine, staging.read("selection"))
    for entity, number in slices(engine, run):
        pairs = staging.read(f"pairs.{entity.value}.{number}").with_row_index("_row")
        both = pairs.filter(pl.col("create").is_null())
        field_map = schema.map(entity)
        decisions = merge_pairs(both, field_map, first_link)
        restored, taken = restored_edits(both, overwritten, field_map)
        decisions = pl.concat([decisions.join(taken, on=["row", "field"], how="anti"), restored])
        echoes = expected(Echoes(engine.store).of_persons(both["person_id"].drop_nulls().to_list()), matched)
        decisions, kept = without_blocked(decisions, both, echoes, entity, engine.now())
        blocked.append(kept)
        decisions = with_opt_outs(decisions, both, opt_outs, in_doubt(both, versions), field_map)
        decisions, concealed = without_hidden_clears(engine, decisions, both, field_map)
        left_out += concealed
        if concealed:
            current_schema(engine, refresh=True)  # the next run sets the column aside
        if not run.incremental:  # it has not read the feed: an opt-out may have been made meanwhile
            decisions, waiting = without_lifts(decisions, both, field_map)
            left_out += waiting
        stretch = staged_stretch(engine, run, entity)
        decisions = refreshed(decisions, both, field_map, engine.settings.backfill.direction, stretch, moved)
        decisions = without_writes(decisions, both, outbound=schema.filters[entity].outbound)
        decisions = decisions.with_columns(both["_row"].gather(decisions["row"]).alias("row"))
        if run.fields:
            chosen = pl.col("field").is_in(list(run.fields))
            left_out += pairs["link_id"].gather(decisions.filter(~chosen)["row"].unique()).to_list()
            decisions = decisions.filter(chosen)
        staging.write(f"decisions.{entity.value}.{number}", decisions.select(list(DECISION_SCHEMA)))
        for change, count in decisions.group_by("change").len().iter_rows():
            counts[change] += count
    staging.write(BLOCKED, pl.concat(blocked))
    staging.write(LEFT_OUT, pl.DataFrame({"link_id": left_out}, schema={"link_id": pl.Int64}))
    return {str(change): count for change, count in counts.items()}


def _unanswered(engine: Engine, selection: pl.DataFrame) -> dict[int, str | None]:
    """Links of which nobody knows whether the last write arrived → the version of the record it was meant for."""
    unknown = selection.filter(pl.col("reason").str.starts_with(Fate.UNKNOWN.value))["link_id"].drop_nulls().to_list()
    links = Links(engine.store).by_id(unknown)
    return dict(zip(links["link_id"].to_pylist(), links["crm_etag"].to_pylist(), strict=True))


def plan(engine: Engine, run: RunRequest) -> dict[str, Json]:
    """Stage `plan` and `plan_summary`; returns the summary: operations, fields, calls, what is held."""
    staging, schema = engine.staging(run), staged_schema(engine, run)
    system = engine.settings.marketo.system_fields
    parts = [pl.DataFrame(schema=PLAN_SCHEMA)]
    addresses = [pl.DataFrame(schema={"link_id": pl.Int64, "address": pl.String})]
    selection = staging.read("selection")
    unfinished = Unfinished(Outbox(engine.store), selection["link_id"].drop_nulls().to_list())
    backfilled: set[int] = set()
    by_email = 0
    for entity, number in slices(engine, run):
        pairs = unfinished.in_their_lane(staging.read(f"pairs.{entity.value}.{number}"))
        decisions = staging.read(f"decisions.{entity.value}.{number}")
        field_map = schema.map(entity)
        backfilled |= set(pairs.filter(pl.col("lane") == int(Lane.BACKFILL))["link_id"].to_list())
        by_email += guesses(pairs)
        parts.append(update_rows(pairs, decisions, field_map))
        if "email" in field_map.names:
            address = pl.coalesce("p.email", "c.email").str.to_lowercase().alias("address")
            addresses.append(pairs.select("link_id", address))
        synced = pairs.filter(pl.col("status") != LinkStatus.SUSPENDED)
        parts.append(create_rows(synced, field_map))
        parts.append(filter_rows(synced, schema.filters[entity]))
        parts.append(system_rows(synced, entity, system))
    events = staging.read("events")
    named = any(field.name == system.merged_into for field in schema.marketo)
    parts.append(flag_rows(events, system, merged_into=named))
    parts.append(merge_rows(staging.read("merging")))
    parts.append(unwanted_rows(staging.read("unwanted")))
    require_acceptance(engine, run, by_email, events.filter(pl.col("code") == SEVERAL).height)
    rows = with_operation_ids(spread(pl.concat(parts), pl.concat(addresses)), run.run_id)
    staging.write("notices", shared_addresses(engine, rows))
    if any(field.name == system.backfilled_at for field in schema.marketo):
        rows = with_marks(rows, backfilled | unfinished.links, system.backfilled_at, engine.now())
    brake = engine.settings.policies.brake
    approved = selection.filter(pl.col("reason").str.starts_with(APPROVED))["link_id"].to_list()
    held = apply_brake(
        rows,
        Links(engine.store).count_live(),
        Limit(brake.deletes.count, brake.deletes.share),
        Limit(brake.overwrites.count, brake.overwrites.share),
        approved,
        _held_now(engine, rows),
        Limit(brake.creations.count, brake.creations.share),
    )
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


def _held_now(engine: Engine, plan: pl.DataFrame) -> pl.DataFrame:
    links = plan["link_id"].unique().sort().to_list()
    held = Outbox(engine.store).of_links(links, states=[OperationState.HELD.value])
    frame: pl.DataFrame = pl.from_arrow(held)  # type: ignore[assignment]
    return frame.select(list(HELD_SCHEMA)).cast(HELD_SCHEMA)


def summarise(rows: pl.DataFrame, batch: int) -> dict[str, Json]:
    """Counts per direction and kind, and the API calls that writing the plan costs."""
    operations = rows.unique("op_id") if rows.height else rows
    by = {
        f"{d}_{k}": n
        for d, k, n in operations.group_by("direction", "kind").len().sort("direction", "kind").iter_rows()
    }
    outbound = operations.filter(pl.col("direction") == Direction.OUTBOUND.value).height
    into_marketo = (
        operations.filter(pl.col("direction") == Direction.INBOUND.value).group_by("kind").len()["len"].to_list()
    )
    return {
        "operations": operations.height,
        "field_writes": rows.height,
        "by_kind": by,
        "dynamics_calls": math.ceil(outbound / batch),
        "marketo_calls": sum(math.ceil(count / _PERSONS_A_CALL) for count in into_marketo),
    }
