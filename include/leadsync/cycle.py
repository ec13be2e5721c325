"""One pass of the sync: the steps in order, the same for the DAG and the command line.

Each step is given the run and the engine and leaves staged datasets; what a step returns are
counts and paths. The DAG runs each as a task, the command line all in one process.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from datetime import timedelta

from include.leadsync.activity import tell_persons
from include.leadsync.config import Paths, load_settings
from include.leadsync.context import Engine, Json, RunRequest
from include.leadsync.enqueue import enqueue
from include.leadsync.errors import AnotherRunAtWork, LeadSyncError, NameUnknown, StopRun, redact
from include.leadsync.extract.crm import extract_crm
from include.leadsync.extract.persons import extract_persons
from include.leadsync.judge import validate as judge
from include.leadsync.link import link
from include.leadsync.load import load
from include.leadsync.logs import about, logger
from include.leadsync.measures import MEASURED, of_state, of_step
from include.leadsync.model import Connection, Entity, System
from include.leadsync.plan import merge, plan
from include.leadsync.reconcile import KIND as RECONCILE
from include.leadsync.reconcile import compare
from include.leadsync.reconcile_report import write_findings
from include.leadsync.recover import recover
from include.leadsync.schema import refresh_staged
from include.leadsync.staging import sweep
from include.leadsync.state import Metadata, Retention, Runs
from include.leadsync.turn import end_turn, take_turn

__all__ = ["STEPS", "STREAMS", "RunRequest", "run_cycle", "run_step", "run_whole"]

log = logger(__name__)

_SWEPT = ("leadsync", "retention")
_SWEEP_EVERY = timedelta(hours=1)

STREAMS = ("lead", "contact", "person")
"""What the extract step may be narrowed to, each on its own."""


def extract(engine: Engine, run: RunRequest) -> dict[str, Json]:
    """Stage the changed records; all streams, or the one that `run.stream` names."""
    counts: dict[str, Json] = {}
    for stream in [run.stream] if run.stream else STREAMS:
        try:
            counts[stream] = _extracted(engine, run, stream)
        except NameUnknown as unknown:
            log.warning("reading the metadata again, because %s", unknown)
            refresh_staged(engine, run)
            counts[stream] = _extracted(engine, run, stream)
    return counts


def _extracted(engine: Engine, run: RunRequest, stream: str) -> dict[str, Json]:
    return extract_persons(engine, run) if stream == "person" else extract_crm(engine, run, Entity(stream))


def validate(engine: Engine, run: RunRequest) -> dict[str, Json]:
    """Judge the plan; a full compare tells at this point what it found."""
    return judge(engine, run) | (write_findings(engine, run) if run.kind == RECONCILE else {})


def finish(engine: Engine, run: RunRequest) -> dict[str, Json]:
    """Close the run and, once an hour, sweep what is past its time."""
    Runs(engine.store).finish(run.run_id, "done", {})
    return _end(engine, run)


def _end(engine: Engine, run: RunRequest) -> dict[str, Json]:
    end_turn(engine, run)
    swept = Metadata(engine.store)
    if swept.get(*_SWEPT, not_before=engine.now() - _SWEEP_EVERY) is not None:
        return {}
    swept.put(*_SWEPT, run.run_id)
    keep = timedelta(days=engine.settings.retention.staging_days)
    staged = sweep(engine.paths.staging_url, keep, engine.now())
    return {"swept_runs": staged, "swept_rows": Retention(engine.store, engine.settings.retention).sweep(engine.now())}


STEPS: Mapping[str, Callable[[Engine, RunRequest], dict[str, Json]]] = {
    "recover": recover,
    "extract": extract,
    "link": link,
    "merge": merge,
    "plan": plan,
    "validate": validate,
    "enqueue": enqueue,
    "load": load,
    "activity": tell_persons,
    "finish": finish,
}
"""The steps in order. A dry run ends after `validate`."""

_BEFORE_STORED = ("extract", "link", "merge", "plan", "validate", "enqueue")
"""Steps that are for nothing when another cycle has taken over; what is stored goes on in any case."""

LAST = "finish"
"""The step that closes a run."""

_DRY = ("recover", "extract", "link", "merge", "plan", "validate")

_BEFOREHAND: Mapping[str, Callable[[Engine, RunRequest], dict[str, Json]]] = {"compare": compare}
"""What a full compare does before it extracts."""


def steps_of(run: RunRequest) -> list[str]:
    """The steps that a run takes, in order."""
    names = list(_DRY if run.dry_run else STEPS)
    return [names[0], *_BEFOREHAND, *names[1:]] if run.kind == RECONCILE else names


def run_step(name: str, run: RunRequest, *, connections: Mapping[System, Connection]) -> dict[str, Json]:
    """Carry out one step in a process of its own, as an Airflow task does; `measured` holds its measures.

    Raises what the step raises; see `errors` for what happens next.
    """
    paths = Paths.from_environment()
    with Engine.open(load_settings(paths.config), paths, connections) as engine:
        result = step(engine, name, run)
        return {**result, MEASURED: _measured(engine, standing=name == LAST)}


def run_whole(run: RunRequest, *, connections: Mapping[System, Connection]) -> dict[str, Json]:
    """`run_cycle` in a process of its own: for runs that are short, such as those that serve requests."""
    paths = Paths.from_environment()
    with Engine.open(load_settings(paths.config), paths, connections) as engine:
        report = run_cycle(engine, run)
        return {**report, MEASURED: _measured(engine, standing=True)}


def _measured(engine: Engine, *, standing: bool) -> list[dict[str, Json]]:
    state = of_state(engine.store, engine.settings, engine.clock) if standing else []
    return [asdict(measure) for measure in (*engine.measures, *state)]


def step(engine: Engine, name: str, run: RunRequest) -> dict[str, Json]:
    """Carry out one step with an open engine, keeping the cycle's lease alive."""
    whole = name if not run.stream else f"{name}.{run.stream}"
    with about(run=run.run_id, step=whole):
        if name in _BEFORE_STORED:
            take_turn(engine, run)
        log.info("run %s: %s", run.run_id, name)
        began, calls = engine.clock.monotonic(), Counter(engine.calls)
        result = {**STEPS, **_BEFOREHAND}[name](engine, run)
        took = engine.clock.monotonic() - began
        engine.measures.extend(of_step(name, run.kind, result, took, engine.calls - calls))
        Runs(engine.store).note(run.run_id, whole, result)
        return result


def run_cycle(engine: Engine, run: RunRequest) -> dict[str, Json]:
    """All steps in one process; returns the report of the run.

    `outcome` is "done", "planned" (dry run), "skipped" (another run is at work, DECISIONS 14). Errors that need a human
    or another try are raised after the run is closed as failed; what was stored stays and goes on.
    """
    report: dict[str, Json] = {
        "run_id": run.run_id,
        "kind": run.kind,
        "outcome": "planned" if run.dry_run else "done",
        "steps": {},
    }
    try:
        for name in steps_of(run):
            report["steps"][name] = step(engine, name, run)
    except AnotherRunAtWork as other:
        report |= {"outcome": "skipped", "reason": str(other)}
        engine.staging(run).discard()
    except (Exception, KeyboardInterrupt) as error:
        with suppress(LeadSyncError):  # where the store itself is away, the first error is the one to tell
            Runs(engine.store).finish(run.run_id, "failed", {"error": told(error), "class": type(error).__name__})
            end_turn(engine, run)
            if isinstance(error, StopRun):
                engine.staging(run).discard()
        raise
    if run.dry_run or report["outcome"] == "skipped":
        Runs(engine.store).finish(run.run_id, report["outcome"], {})
        end_turn(engine, run)
    return report


def told(error: BaseException) -> str:
    """For the run table: only the text of our own errors is known to hold no value and no secret (P10)."""
    return redact(str(error)) if isinstance(error, LeadSyncError) else type(error).__name__
