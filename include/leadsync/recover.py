"""The first step of a run: what a dead run left, what must be read afresh, what the run works on (ARCHITECTURE §5.1).

Staged: `schema` · `selection` link_id, entity, person_id, crm_id, reason, version (links to read on both sides,
persons selected by hand or by request) · `requests` request_id, person_id, sync_as, owner.
"""

from __future__ import annotations

import polars as pl

from include.leadsync.approval import NotHeld, approve
from include.leadsync.backfills import REASON, begin, estimate, take_stretch
from include.leadsync.context import Engine, Json, RunRequest
from include.leadsync.errors import ConfigurationInvalid, FixConfiguration, Problem
from include.leadsync.field_memory import remember_fields
from include.leadsync.filter_memory import remember
from include.leadsync.held_records import held_records
from include.leadsync.load.echoes import echoes_of
from include.leadsync.load.loader import LEASE_SECONDS, WRITER
from include.leadsync.load.outcome import Fate, Operation
from include.leadsync.model import STANDING
from include.leadsync.no_rows import frame_of, no_rows
from include.leadsync.plan.first_sync import require_whole_acceptance
from include.leadsync.preflight.native import require_no_native_sync
from include.leadsync.requests import Channels
from include.leadsync.restored import count_run
from include.leadsync.schema import Schema, current_schema, stage_schema
from include.leadsync.state import ActivityLog, Echoes, Leases, Links, Metadata, Outbox, Requests, Runs
from include.leadsync.sweeping import begin_sweeps
from include.leadsync.turn import take_turn
from include.leadsync.undoing import KIND as UNDO
from include.leadsync.undoing import require_run, stage_undo

_DIRTY_AT_ONCE = 20_000
_REQUESTS_AT_ONCE = 1_000
_TOLD = 20  # ids that a report names
_SUBJECT = ("link_id", "entity", "person_id", "crm_id")
_SELECTION = pl.Schema(
    {
        "link_id": pl.Int64,
        "entity": pl.String,
        "person_id": pl.Int64,
        "crm_id": pl.String,
        "reason": pl.String,
        "version": pl.Int64,  # of the link; a run that says it leaves alone what has another one by then
    }
)
_REQUESTS = pl.Schema({"request_id": pl.String, "person_id": pl.Int64, "sync_as": pl.String, "owner": pl.String})


def recover(engine: Engine, run: RunRequest) -> dict[str, Json]:
    """Begin a run; returns counts.

    Raises `AnotherRunAtWork` when a cycle is running, `FixConfiguration` when the field map or
    Marketo's set-up does not allow a run, or the run asks for what does not exist.
    """
    take_turn(engine, run)
    Runs(engine.store).start(run.run_id, run.kind, run.to_json())
    run.require_selection(engine.now())
    require_no_native_sync(engine, run)
    require_whole_acceptance(engine, run)
    require_run(engine, run)
    schema = current_schema(engine)
    require_setup(engine, schema)
    _require_fields(run, schema)
    recovered, again, told, restored = 0, list[str](), dict[str, list[str]](), False
    if not run.dry_run:
        restored = count_run(engine, run)
        _schema_changes(engine, schema)
        with engine.store.begin() as tx:
            again = remember(engine.store, dict(schema.filters), run.run_id, tx)
            told = remember_fields(engine.store, engine.settings, schema.maps, run.run_id, tx)
        if run.incremental:
            begin_sweeps(engine, schema)
        recovered = _unknown_outcomes(engine, run)
        if run.approve:
            _release(engine, run.approve)
    asked_inside = Channels(engine).collect(run) if run.incremental and not run.dry_run else {}
    stage_schema(engine, run, schema)
    requests = _requests(engine, run)  # before what is read again leaves its mark: a claim may fail
    selection = _read_again(engine, run, schema)
    engine.staging(run).write("selection", pl.concat([selection, _asked(requests)]))
    engine.staging(run).write("requests", requests)
    return {
        "recovered": recovered,
        "read_again": selection.height,
        "requests": requests.height,
        **({"unlinked": unlinked} if (unlinked := _unlinked(run, selection)) else {}),
        **told,
        **({"restored_backup": True} if restored else {}),
        **({"backfill": estimate(engine, run, schema)} if run.of_fields and run.dry_run else {}),
        **({"filter_changed": again} if again else {}),
        **({"stopped": stopped} if (stopped := _stopped(schema)) else {}),
        **({"asked_in_marketo": asked_inside} if asked_inside.get("new") or len(asked_inside) > 1 else {}),
    }


def _stopped(schema: Schema) -> dict[str, str]:
    """Entities from which nothing comes in, with the reason (D68)."""
    return {entity.value: one.blocked for entity, one in schema.filters.items() if one.blocked}


def require_setup(engine: Engine, schema: Schema) -> None:
    """The Microsoft … fields must exist: without them no link survives a loss of state (D11, D12)."""
    names = engine.settings.marketo.system_fields
    known = {field.name: field for field in schema.marketo}
    missing = [name for name in (names.id, names.type, names.is_deleted) if name not in known]
    if missing:
        raise FixConfiguration(
            f"Marketo lacks the field(s) {', '.join(missing)}; run `python -m include.leadsync setup` once"
        )
    if not known[names.id].searchable:
        problem = Problem(
            "leadsync.yaml",
            "marketo.system_fields.id",
            f"{names.id}, which cannot be searched",
            "a custom string field",
        )
        raise ConfigurationInvalid([problem])


def _require_fields(run: RunRequest, schema: Schema) -> None:
    """A run for a field that is not synced would end well and have done nothing."""
    if not run.fields:
        return
    maps = [schema.map(entity) for entity in run.entities]
    known = {name for field_map in maps for name in field_map.names}
    unknown = [name for name in run.fields if name not in known]
    if not unknown:
        return
    aside = {name: reason for field_map in maps for name, reason in field_map.quarantined.items()}
    told = ", ".join(f"{name} (set aside: {aside[name]})" if name in aside else name for name in unknown)
    raise FixConfiguration(f"no synced field is called {told}; the field map has: {', '.join(sorted(known))}")


def _schema_changes(engine: Engine, schema: Schema) -> None:
    """Refused rows get another chance when the map or the metadata they failed under has changed (D95)."""
    for entity, body in schema.spelled.items():
        with engine.store.begin() as tx:
            if Metadata(engine.store).put("leadsync", f"map.{entity.value}", body, tx):
                parked = Outbox(engine.store).parked_links(entity, tx)
                refused = ActivityLog(engine.store).failed_links(entity, tx)
                Links(engine.store).set_dirty(sorted({*parked, *refused}), "field map or metadata changed", tx)


def _unknown_outcomes(engine: Engine, run: RunRequest) -> int:
    """Operations in flight without a living loader: nobody knows what became of them; read both sides again."""
    leases = Leases(engine.store)
    lease = leases.acquire(WRITER, run.run_id, LEASE_SECONDS)
    if lease is None:
        return 0
    try:
        outbox = Outbox(engine.store)
        with engine.store.begin() as tx:
            leases.check(lease.fence, tx)
            left = frame_of(outbox.in_flight(tx))
            if left.is_empty():
                return 0
            stands = pl.col("kind").is_in(sorted(STANDING))
            # What states a fact is sent again; a write is merged again from what both sides show.
            state = pl.when(stands).then(pl.lit("pending")).otherwise(pl.lit("superseded"))
            outbox.settle(left.select("op_id", state.alias("state")).to_arrow(), tx)
            link_ids = left.filter(~stands)["link_id"].unique().sort().to_list()
            outbox.supersede(link_ids, tx)
            Links(engine.store).set_dirty(link_ids, f"{Fate.UNKNOWN.value} outcome of a run that died", tx)
            sent = [(Operation.from_row({**row, "crm_etag": None}), row["updated_at"]) for row in left.to_dicts()]
            Echoes(engine.store).add(echoes_of(sent), tx)
            return left.height
    finally:
        leases.release(lease)


def _read_again(engine: Engine, run: RunRequest, schema: Schema) -> pl.DataFrame:
    """What both sides are read of, changed or not, as `_SELECTION`."""
    selection, stretch = _selection(engine, run), _stretch(engine, run, schema)
    if stretch.height:
        chosen = selection["link_id"].to_list()
        selection = pl.concat([selection, stretch.filter(~pl.col("link_id").is_in(chosen))])
    waiting = held_records(engine, run)
    if waiting.is_empty():
        return selection
    held = waiting.with_columns(pl.lit("held").alias("reason"))
    return pl.concat([selection, held], how="diagonal").select(list(_SELECTION))


def _asked(requests: pl.DataFrame) -> pl.DataFrame:
    """The persons of requests, as `_SELECTION`."""
    if requests.is_empty():
        return no_rows(_SELECTION)
    asked = requests.select("person_id", pl.lit("request").alias("reason"))
    return pl.concat([no_rows(_SELECTION), asked], how="diagonal")


def _stretch(engine: Engine, run: RunRequest, schema: Schema) -> pl.DataFrame:
    """Links that a backfill of fields has come to."""
    if run.of_fields and not run.dry_run and run.job is None:
        begin(engine, run, schema)
    if not run.of_fields and (run.dry_run or not run.incremental):
        return no_rows(_SELECTION)
    links = take_stretch(engine, run, schema)
    if links.is_empty():
        return no_rows(_SELECTION)
    version = pl.lit(None, pl.Int64).alias("version")
    return links.select(*_SUBJECT, pl.lit(REASON).alias("reason"), version).cast(_SELECTION)


def _release(engine: Engine, plan_hash: str) -> None:
    try:
        approve(engine.store, plan_hash)
    except NotHeld:
        raise FixConfiguration(f"no held plan has the hash {plan_hash!r}; `status` lists the held plans") from None


def _selection(engine: Engine, run: RunRequest) -> pl.DataFrame:
    links, nothing = Links(engine.store), pl.lit(None, pl.Int64).alias("version")
    if run.incremental:
        frame = frame_of(links.dirty(_DIRTY_AT_ONCE))
        if frame.is_empty():
            return no_rows(_SELECTION)
        return frame.select(*_SUBJECT, pl.col("dirty").alias("reason"), nothing).cast(_SELECTION)
    if run.kind == UNDO:
        return stage_undo(engine, run).cast(_SELECTION)
    if run.kind != "backfill" or not run.persons:
        return no_rows(_SELECTION)
    linked = frame_of(links.by_person(list(run.persons)))
    wanted = linked.filter(pl.col("entity").is_in([entity.value for entity in run.entities]))
    return wanted.select(*_SUBJECT, pl.lit("backfill").alias("reason"), nothing).cast(_SELECTION)


def _unlinked(run: RunRequest, selection: pl.DataFrame) -> dict[str, Json]:
    """Persons a backfill was asked for that have no CRM record (of the entity asked for): nothing is read for them."""
    left = sorted(set(run.persons) - set(selection["person_id"].to_list())) if run.kind == "backfill" else []
    return {"persons": len(left), "first": left[:_TOLD]} if left else {}


def _requests(engine: Engine, run: RunRequest) -> pl.DataFrame:
    if run.kind not in {"cycle", "request"}:
        return no_rows(_REQUESTS)
    requests = Requests(engine.store)
    table = requests.pending() if run.dry_run else requests.claim(run.run_id, _REQUESTS_AT_ONCE)
    if table.num_rows == 0:
        return no_rows(_REQUESTS)
    return frame_of(table).select(list(_REQUESTS)).cast(_REQUESTS)
