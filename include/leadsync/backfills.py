"""Backfills of fields: a stretch of links at a time, in the lane that waits for everything else (R95–R99, D69).

Every cycle takes one stretch of the oldest open backfill, and a run of its own takes the next of the one it was
started for. How far it got is stored in the transaction that stores the plan, so that a run that dies costs
one stretch of reading.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import polars as pl

from include.leadsync.clock import iso
from include.leadsync.context import Engine, Json, RunRequest
from include.leadsync.field_memory import new_job
from include.leadsync.logs import logger
from include.leadsync.model import Entity, LinkStatus
from include.leadsync.no_rows import frame_of
from include.leadsync.schema import Schema
from include.leadsync.state import FieldJob, FieldJobs, Links, StateStore, Transaction
from include.leadsync.state.fields import OPEN

log = logger(__name__)

DATASET = "stretch"
REASON = "backfill of fields"
ASKED = "asked"
_AT_ONCE = 5_000
_PERSONS_A_CALL, _ROWS_A_CALL = 300, 100


@dataclass(frozen=True, slots=True)
class Stretch:
    """Part of a backfill of fields: its links, and which side fills the other where no baseline decides."""

    fields: tuple[str, ...] = ()
    direction: str = "inbound"
    link_ids: tuple[int, ...] = ()
    asked: bool = False  # by somebody: differences that the usual rules put up with go, too


def ask(engine: Engine, run: RunRequest, schema: Schema) -> list[FieldJob]:
    """The backfills that a run asks for, one per entity that has its fields; none of them is stored."""
    links = Links(engine.store)
    jobs = []
    for entity in run.entities:
        fields = [name for name in run.fields if name in schema.map(entity).names]
        if not fields:
            continue
        total = links.count(entity, LinkStatus.ACTIVE)
        direction = run.direction or engine.settings.backfill.direction
        window = {
            "since": run.since,
            "until": run.until,
            "window_on": run.window_on if run.since or run.until else None,
        }
        jobs.append(new_job(entity, fields, direction, total, reason=ASKED, **window))
    return jobs


def begin(engine: Engine, run: RunRequest, schema: Schema) -> list[int]:
    """Store the backfills that a run asks for; returns their ids. The same again finds the open ones."""
    with engine.store.begin() as tx:
        return [FieldJobs(engine.store).add(job, tx) for job in ask(engine, run, schema)]


def take_stretch(engine: Engine, run: RunRequest, schema: Schema) -> pl.DataFrame:
    """Stage the next stretch of a backfill for this run; returns its links: link_id, entity, person_id, crm_id."""
    nothing = pl.DataFrame(
        schema={"link_id": pl.Int64, "entity": pl.String, "person_id": pl.Int64, "crm_id": pl.String}
    )
    job = _job(engine, run, schema)
    limit = run.limit or engine.settings.backfill.records_per_cycle or (_AT_ONCE if run.of_fields else 0)
    if job is None or not limit:
        return nothing
    among = _in_window(engine, job) if job.window_on else None
    links = frame_of(Links(engine.store).after(job.entity, job.position, limit, among))
    ids = links["link_id"].to_list()
    document = {**asdict(job), "links": ids, "finished": len(ids) < limit}
    engine.staging(run).write_json(DATASET, document)
    return links.select(list(nothing.columns))


def _job(engine: Engine, run: RunRequest, schema: Schema) -> FieldJob | None:
    if run.kind == "backfill" and run.dry_run:
        return next(iter(ask(engine, run, schema)), None)
    jobs = [job for job in FieldJobs(engine.store).all() if not schema.filters[job.entity].blocked]
    if run.kind == "backfill":
        jobs = [job for job in jobs if run.job is None or job.job_id == run.job]
        jobs = [job for job in jobs if set(job.fields) <= set(run.fields)]
    return next(iter(jobs), None)


def _in_window(engine: Engine, job: FieldJob) -> list[str]:
    """CRM ids of the records that were created or modified in the window (R97)."""
    column = "createdon" if job.window_on == "created" else "modifiedon"
    window = RunRequest("", since=job.since, until=job.until).window
    bounds = [f"{column} ge {iso(window.since)}"] if window.since else []
    bounds += [f"{column} lt {iso(window.until)}"] if window.until else []
    pages = engine.dynamics.rows_where(job.entity, " and ".join(bounds), {column: "text"})
    return [crm_id for page in pages for crm_id in page["id"].to_pylist()]


def staged_stretch(engine: Engine, run: RunRequest, entity: Entity) -> Stretch:
    """What the run has to do for a backfill of fields, if anything, on links of an entity."""
    document = engine.staging(run).read_json(DATASET)
    if not document or document["entity"] != entity.value:
        return Stretch()
    asked = document["reason"] == ASKED
    return Stretch(tuple(document["fields"]), document["direction"], tuple(document["links"]), asked)


def note_progress(store: StateStore, document: Json, tx: Transaction) -> bool:
    """In the transaction that stores the plan: the stretch is dealt with. True when the backfill is at its end."""
    if not document:
        return False
    names = ("job_id", "entity", "fields", "reason", "direction", "since", "until", "window_on", "state")
    numbers = ("position", "total", "done")
    job = FieldJob(**{name: document[name] for name in (*names, *numbers)})
    links = document["links"]
    names_of = ", ".join(job.fields)
    log.info("backfill of %s %s: %d of %d", job.entity, names_of, job.done + len(links), job.total)
    last = links[-1] if links else job.position
    FieldJobs(store).advance(job, last, len(links), finished=document["finished"], tx=tx)
    return bool(document["finished"])


def estimate(engine: Engine, run: RunRequest, schema: Schema) -> list[dict[str, Json]]:
    """What backfills of fields would read, before anything is read in earnest (D69): one row per entity."""
    rows = []
    for job in ask(engine, run, schema):
        total = job.total
        if job.window_on:
            among = _in_window(engine, job)
            total = Links(engine.store).after(job.entity, 0, len(among) + 1, among).num_rows
        rows.append(
            {
                "entity": job.entity.value,
                "fields": list(job.fields),
                "direction": job.direction,
                "records": total,
                "dynamics_calls": math.ceil(total / _ROWS_A_CALL),
                "marketo_calls": math.ceil(total / _PERSONS_A_CALL),
            }
        )
    return rows


def open_jobs(store: StateStore) -> list[dict[str, Json]]:
    """Backfills of fields that are under way, for `status`."""
    return [
        {name: value for name, value in asdict(job).items() if name not in {"position", "state"}}
        for job in FieldJobs(store).all((OPEN,))
    ]


def jobs_of(store: StateStore, fields: Sequence[str]) -> list[FieldJob]:
    """Open backfills of these fields, oldest first."""
    return [job for job in FieldJobs(store).all() if set(job.fields) <= set(fields)]
