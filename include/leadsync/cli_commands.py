"""The commands that run something; `cli` only parses, `cli_questions` has those that only look."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import asdict, replace

from include.leadsync.backfills import jobs_of
from include.leadsync.check import check
from include.leadsync.clock import SystemClock
from include.leadsync.config import Paths, connections_from_environment, load_settings
from include.leadsync.context import Engine, Json, RunRequest, new_run_id
from include.leadsync.cycle import run_cycle
from include.leadsync.model import System
from include.leadsync.requests import request_persons
from include.leadsync.setup import setup
from include.leadsync.state import Requests

DONE, FAILED_ROWS, COULD_NOT_RUN = 0, 1, 2


def open_engine() -> Engine:
    """An engine from the environment. Raises `ConfigurationInvalid` for what is missing or wrong."""
    paths = Paths.from_environment()
    settings = load_settings(paths.config)
    marketo, dynamics = connections_from_environment()
    return Engine.open(settings, paths, {System.MARKETO: marketo, System.DYNAMICS: dynamics})


def run_check(options: argparse.Namespace) -> int:
    """Print one line per point, with its remarks indented below; 2 when a run would not be possible."""
    with open_engine() as engine:
        points = check(engine)
    if options.json:
        print(json.dumps([asdict(point) for point in points], ensure_ascii=False))
    for point in () if options.json else points:
        print(f"{'ok  ' if point.passed else 'FAIL'}  {point.name}: {point.detail.replace(' · ', chr(10) + ' ' * 8)}")
    return DONE if all(point.passed for point in points) else COULD_NOT_RUN


def run_setup(options: argparse.Namespace) -> int:
    """Create what is missing in Marketo."""
    del options
    with open_engine() as engine:
        result = setup(engine)
    created = ", ".join(result["fields_created"]) or "none, all there"
    print(f"custom fields created: {created}; activity type id {result['activity_type']}")
    return DONE


def run_one_cycle(options: argparse.Namespace) -> int:
    """One pass."""
    run = RunRequest(new_run_id(SystemClock()), approve=options.approve)
    return _run(run, as_json=options.json)


def run_plan(options: argparse.Namespace) -> int:
    """One pass without a write; the plan is printed."""
    return _run(RunRequest(new_run_id(SystemClock()), dry_run=True), as_json=options.json)


def run_backfill(options: argparse.Namespace) -> int:
    """Read a selection afresh."""
    run = RunRequest(
        new_run_id(SystemClock()),
        kind="backfill",
        since=options.since,
        until=options.until,
        entity=options.entity,
        persons=tuple(options.person),
        fields=tuple(options.field),
        dry_run=options.dry_run,
        direction=options.direction,
        window_on=options.on,
    )
    run.require_selection(SystemClock().now())
    return _run_of_fields(run, as_json=options.json) if run.of_fields else _run(run, as_json=options.json)


def _run_of_fields(run: RunRequest, *, as_json: bool) -> int:
    """Stretch after stretch until the backfill is at its end; what an interruption leaves, the cycles go on with."""
    if run.dry_run:
        return _run(run, as_json=as_json)
    status = DONE
    with open_engine() as engine:
        report = run_cycle(engine, run)
        while True:
            status = max(status, _printed(report, as_json=as_json))
            job = next(iter(jobs_of(engine.store, run.fields)), None)
            if job is None or report["outcome"] == "skipped":
                return status
            if not as_json:
                print(f"{job.entity.value} {', '.join(job.fields)}: {job.done} of {job.total} records looked at")
            report = run_cycle(engine, replace(run, run_id=new_run_id(engine.clock), job=job.job_id))


def run_sync_person(options: argparse.Namespace) -> int:
    """Store the requests, then serve what is pending."""
    run = RunRequest(new_run_id(SystemClock()), kind="request", persons=tuple(options.persons))
    with open_engine() as engine:
        ids = request_persons(
            engine,
            options.persons,
            options.sync_as,
            options.owner,
            reason=options.reason,
            source="cli",
            token=run.run_id,
        )
        report = run_cycle(engine, run)
        report["requests"] = Requests(engine.store).get(ids).to_pylist()
    for request in report["requests"]:
        became, detail = request["outcome"] or request["state"], request["message"] or "waiting for the loader"
        print(f"person {request['person_id']}: {became} – {detail}")
    return _printed(report, as_json=options.json)


_SHOWN = 200
_PLAN_COLUMNS = (
    "op_id",
    "entity",
    "person_id",
    "crm_id",
    "direction",
    "kind",
    "field",
    "before",
    "after",
    "lost",
    "rule",
)


def _run(run: RunRequest, *, as_json: bool) -> int:
    with open_engine() as engine:
        report = run_cycle(engine, run)
        if report["outcome"] == "planned":
            plan = _planned_rows(engine, run)
            if as_json:
                report["plan"] = plan
            else:
                _print_estimate(report)
                _print_plan(plan)
    return _printed(report, as_json=as_json)


def _printed(report: dict[str, Json], *, as_json: bool) -> int:
    failed = failed_rows(report)
    if report["outcome"] == "skipped":
        print(f"skipped: {report['reason']}")
    elif not as_json:
        _print_unlinked(report["steps"]["recover"].get("unlinked"))
        summary = report["steps"].get("plan", {})
        print(
            f"run {report['run_id']}: {report['outcome']}, {summary.get('operations', 0)} operations, {failed} failed"
        )
    if as_json:
        print(json.dumps(report | {"failed": failed}, default=str, ensure_ascii=False))
    return FAILED_ROWS if failed else DONE


def _print_unlinked(unlinked: Mapping[str, Json] | None) -> None:
    if unlinked:
        some = ", ".join(map(str, unlinked["first"])) + (", …" if unlinked["persons"] > len(unlinked["first"]) else "")
        print(f"{unlinked['persons']} left out, not linked to such a CRM record: {some}; `sync-person` links a person")


def failed_rows(report: Mapping[str, Json]) -> int:
    """Records that this run tried and did not get across, and persons asked for that got no CRM record."""
    steps = report["steps"]
    refused = sum(count for name, count in steps.get("load", {}).items() if str(name).endswith("_refused"))
    parked = steps.get("enqueue", steps.get("validate", {}))
    rows = int(parked.get("parked", parked.get("refused", 0))) + int(refused)
    # A request that a refused record ended is one failure, not two.
    return max(rows, len([request for request in report.get("requests", ()) if request["outcome"] == "failed"]))


def _planned_rows(engine: Engine, run: RunRequest) -> list[dict[str, Json]]:
    """One per field that would be written, `refused` where validation keeps it out."""
    staging = engine.staging(run)
    refused = set(staging.read("refused")["op_id"].to_list())
    plan = staging.read("plan").sort("entity", "link_id", "direction", "field").select(_PLAN_COLUMNS)
    return [row | {"refused": row["op_id"] in refused} for row in plan.iter_rows(named=True)]


def _print_estimate(report: Mapping[str, Json]) -> None:
    """What backfills of fields would read; the plan that follows is that of their first stretch."""
    for row in report["steps"]["recover"].get("backfill", ()):
        calls = f"{row['dynamics_calls']} calls to Dynamics, {row['marketo_calls']} to Marketo"
        print(f"{row['entity']} {', '.join(row['fields'])}: {row['records']} records ({row['direction']}), {calls}")


def shown(value: str | None) -> str:
    """A value for the terminal; `--json` has long ones whole."""
    return repr(value) if value is None or len(value) <= _SHOWN else f"{value[:_SHOWN]!r}… ({len(value)} characters)"


def _print_plan(plan: list[dict[str, Json]]) -> None:
    for row in plan:
        target = row["crm_id"] if row["direction"] == "outbound" else row["person_id"] or "new person"
        mark = "refused " if row["refused"] else ""
        change = f"{row['field']}: {shown(row['before'])} → {shown(row['after'])} ({row['rule']})"
        print(f"{mark}{row['direction']:9} {row['kind']:12} {row['entity']:8} {target} {change}")
