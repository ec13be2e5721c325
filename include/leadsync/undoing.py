"""What a run has written, as the work of another one that takes it back (P9, DECISIONS 26).

Staged by `recover`: `undoing` (`CELL_SCHEMA`: the fields that were updated, each with the value before and after) ·
`undo_list` (`LISTED_SCHEMA`: at first what no undo takes back; the merge step adds what becomes of every field) ·
`busy` (JSON: links that another run is changing).
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import polars as pl

from include.leadsync.approval import APPROVED
from include.leadsync.clock import iso
from include.leadsync.context import Engine, Json, RunRequest
from include.leadsync.errors import FixConfiguration
from include.leadsync.load.outcome import Fate
from include.leadsync.model import OperationKind
from include.leadsync.no_rows import frame_of
from include.leadsync.staging import Staging
from include.leadsync.state import Ledger, Links, Outbox, Runs

KIND = "undo"
CELLS, LISTED, BUSY = "undoing", "undo_list", "busy"
_SUBJECT = {"link_id": pl.Int64, "entity": pl.String, "person_id": pl.Int64, "crm_id": pl.String}
CELL_SCHEMA = _SUBJECT | dict.fromkeys(("field", "direction", "before", "after"), pl.String)
LISTED_SCHEMA = CELL_SCHEMA | {"present": pl.String, "fate": pl.String}

RESTORED, EDITED, ALREADY, NEVER_LIFTED = "restored", "edited", "already", "never_lifted"
GONE, IN_MOTION, UNMAPPED, KEPT_OUT = "gone", "in_motion", "unmapped", "kept_out"
CREATED, STANDS, WAITS = "created", "stands", "waits"
LISTED_ONLY = (CREATED, STANDS, WAITS)
MEANING = {
    RESTORED: "gets the value that it had before",
    ALREADY: "shows the value that it had before already",
    EDITED: "kept, edited since",
    NEVER_LIFTED: "kept: it would subscribe somebody again, which no undo does",
    KEPT_OUT: "kept: a filter keeps this pair from syncing",
    UNMAPPED: "kept: the field is not synced any more",
    GONE: "kept: the record is gone, or belongs to another link now",
    IN_MOTION: "kept: another write of this record is under way; run a cycle, then undo again",
    CREATED: "a record that the run created; an undo deletes nothing",
    STANDS: "an id, flag, deletion or merge; an undo leaves it",
    WAITS: "not written yet; run a cycle, then undo again",
}
"""What becomes of each write of the run, in words."""

_MARK_RULE = "D19"
_RUN_ID = re.compile(r"^(\d{8}T\d{6}Z)-")
_UNSETTLED = f"^({Fate.UNKNOWN.value} |{Fate.CONFLICT.value} |{APPROVED})"


def stage_undo(engine: Engine, run: RunRequest) -> pl.DataFrame:
    """Stage what `run.undoes` wrote; returns its links: link_id, entity, person_id, crm_id, reason, version."""
    entries = frame_of(Ledger(engine.store).of_run(run.undoes or ""))
    written = entries.filter(pl.col("op_id").is_not_null())
    updates = (pl.col("kind") == OperationKind.UPDATE.value) & pl.col("field").is_not_null()
    cells = (
        written.filter(updates & (pl.col("rule") != _MARK_RULE) & pl.col("link_id").is_not_null())
        .sort("entry_id")
        .group_by("link_id", "field", "direction", maintain_order=True)
        .agg(pl.col("entity", "person_id", "crm_id").last(), pl.col("before").first(), pl.col("after").last())
        .filter(pl.col("before").ne_missing(pl.col("after")))
        .select(list(CELL_SCHEMA))
    )
    kinds = {CREATED: pl.col("kind") == OperationKind.CREATE.value}
    kinds[STANDS] = pl.col("kind").is_in([k.value for k in OperationKind if k.value not in {"update", "create"}])
    parts = [
        written.filter(of_kind)
        .unique("op_id", keep="first", maintain_order=True)
        .select(*_SUBJECT, pl.lit(None, pl.String).alias("field"), "direction", pl.lit(fate).alias("fate"))
        for fate, of_kind in kinds.items()
    ]
    waiting = frame_of(Outbox(engine.store).under_way(run.undoes or ""))
    waiting = waiting.filter(pl.col("kind") != OperationKind.ACTIVITY.value)
    parts.append(listed(waiting.with_columns(pl.lit(WAITS).alias("fate"))).select(parts[0].columns))
    staging = engine.staging(run)
    staging.write(CELLS, cells)
    staging.write(LISTED, listed(pl.concat(parts)))
    return _selection(engine, run, cells["link_id"].unique().sort().to_list())


def listed(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows in the shape of `LISTED_SCHEMA`; columns that are not there are null."""
    columns = [
        (pl.col(name) if name in rows.columns else pl.lit(None)).cast(dtype).alias(name)
        for name, dtype in LISTED_SCHEMA.items()
    ]
    return rows.select(columns)


def _selection(engine: Engine, run: RunRequest, link_ids: list[int]) -> pl.DataFrame:
    """Links to be read afresh; not those of which a cycle has to find out first what became of a write."""
    links = frame_of(Links(engine.store).by_id(link_ids))
    approved = f"{APPROVED}{run.approve}"
    unsettled = pl.col("dirty").str.contains(_UNSETTLED).fill_null(value=False) & pl.col("dirty").ne_missing(approved)
    engine.staging(run).write_json(BUSY, links.filter(unsettled)["link_id"].to_list())
    reason = pl.when(pl.col("dirty") == approved).then("dirty").otherwise(pl.lit(KIND)).alias("reason")
    return links.filter(~unsettled).select(*_SUBJECT, reason, "version")


def require_run(engine: Engine, run: RunRequest) -> None:
    """Raises `FixConfiguration` when an undo names no run, or one whose old values are not kept any more."""
    if run.kind != KIND:
        return
    run_id = run.undoes or ""
    known = Runs(engine.store).get(run_id)
    if Ledger(engine.store).of_run(run_id).num_rows:
        return
    began = known.started_at if known else _moment(run_id)
    days = engine.settings.retention.ledger_days
    if began is not None and began < engine.now() - timedelta(days=days):
        raise FixConfiguration(
            f"run {run_id} is older than the ledger, which goes back {days} days (retention.ledger_days), to"
            f" {iso(engine.now() - timedelta(days=days))}; the values from before it are not kept any more"
        )
    if known is None:
        raise FixConfiguration(f"no run is called {run_id!r}; `status` shows the last one, `why` the run of each value")


def _moment(run_id: str) -> datetime | None:
    """A run id begins with its time."""
    found = _RUN_ID.match(run_id)
    try:
        return datetime.strptime(f"{found[1]}+0000", "%Y%m%dT%H%M%SZ%z") if found else None
    except ValueError:
        return None


def undo_list(staging: Staging) -> list[dict[str, Json]]:
    """What becomes of each write of the run, as rows of `LISTED_SCHEMA`, with what validation or the brake says."""
    return undo_frame(staging).to_dicts()


def undo_frame(staging: Staging) -> pl.DataFrame:
    """`undo_list` as a frame."""
    rows = staging.read(LISTED)
    where = ["link_id", "direction", "field"]
    planned = staging.read("plan").select(*where, "op_id").unique(where)
    summary = staging.read_json("plan_summary")
    refused, held = staging.read("refused")["op_id"].to_list(), [*summary["held_ops"], *summary["kept_ops"]]
    restored = pl.col("fate") == RESTORED
    fate = (
        pl.when(restored & pl.col("op_id").is_in(refused))
        .then(pl.lit("refused"))
        .when(restored & pl.col("op_id").is_in(held))
        .then(pl.lit("held"))
        .otherwise("fate")
        .alias("fate")
    )
    told = rows.join(planned, on=where, how="left", maintain_order="left").with_columns(fate).drop("op_id")
    return told.sort("entity", "link_id", "field", nulls_last=True)
