"""Runs: the list, one run with its counts, and what the last ones say of both connections."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from include.leadsync.clock import parse_iso
from include.leadsync.console.asking import LARGEST, PAGE, QuestionInvalid, Slice
from include.leadsync.model import System
from include.leadsync.state import StateStore
from include.leadsync.state.arrow import to_micros
from include.leadsync.state.schema import ledger, run
from include.leadsync.state.store import fetch

RUN_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z-]{0,79}")
_TOKEN = re.compile(r"(\d{1,18})~([0-9A-Za-z-]{1,80})")
_RECENT = 300
"""Runs that are looked through for the state of the connections: a day of cycles."""

WRITTEN = 200
"""Values of a run that are shown out of the ledger."""

ORDER = ("recover", "extract", "link", "merge", "plan", "validate", "enqueue", "load", "activity", "finish")
"""The steps of a cycle; importing them for their names alone would import the engine."""

_ADDRESS = re.compile(r"(?:[A-Za-z]:)?(?:/[^\s'\"/,;:)]+){2,}/?")
_READS = {
    System.MARKETO: ("extract", "extract.person"),
    System.DYNAMICS: ("extract", "extract.lead", "extract.contact"),
}
_TASKS = {System.MARKETO: "person", System.DYNAMICS: "record"}


def browse(
    store: StateStore, *, kind: str | None = None, outcome: str | None = None, token: str | None = None
) -> Slice:
    """Newest first, `PAGE` at a time; rows as `shaped`. Raises `QuestionInvalid` for a broken token."""
    order = sa.tuple_(run.c.started_at, run.c.run_id)
    statement = _newest_first()
    if token:
        found = _TOKEN.fullmatch(token)
        if not found:
            raise QuestionInvalid("before", "the token of a page")
        started, run_id = int(found[1]), found[2]
        statement = statement.where(run.c.started_at <= started, order < (started, run_id))
    if kind:
        statement = statement.where(run.c.kind == kind)
    if outcome == "running":
        statement = statement.where(run.c.outcome.is_(None))
    elif outcome:
        statement = statement.where(run.c.outcome == outcome)
    with store.read() as tx:
        rows = [shaped(row) for row in fetch(tx, statement.limit(PAGE + 1)).to_pylist()]
    if len(rows) <= PAGE:
        return Slice(rows, None)
    last = rows[PAGE - 1]
    return Slice(rows[:PAGE], f"{to_micros(last['started_at'])}~{last['run_id']}")


def of_id(store: StateStore, run_id: str) -> dict[str, Any] | None:
    """One run, as `shaped`."""
    with store.read() as tx:
        rows = fetch(tx, sa.select(*run.columns).where(run.c.run_id == run_id)).to_pylist()
    return shaped(rows[0]) if rows else None


def shaped(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of the run table, opened.

    run_id, kind, started_at, finished_at, outcome ("" while at work), seconds, window (what was asked for, set
    members only), steps (name → what it noted), counts (name → the same, flat, as `counts_of`), error, task (of
    Airflow, that failed), written {inbound, outbound}, failed, calls {marketo, dynamics}, planned, held,
    held_because, plan_hash, progress (of a run at work: step → see `progress`, steps that have ended left out).
    """
    report = json.loads(row["report_json"] or "{}")
    noted: dict[str, dict[str, Any]] = report.get("steps", {})
    steps = {name: noted[name] for name in sorted(noted, key=_place)}
    plan, load = steps.get("plan", {}), _loaded(steps)
    finished = row["finished_at"]
    window = json.loads(row["window_json"] or "{}")
    return {
        "run_id": row["run_id"],
        "kind": row["kind"],
        "started_at": row["started_at"],
        "finished_at": finished,
        "outcome": row["outcome"] or "",
        "seconds": (finished - row["started_at"]).total_seconds() if finished else None,
        "window": {name: value for name, value in window.items() if _is_set(name, value)},
        "steps": steps,
        "counts": {name: counts_of(step) for name, step in steps.items()},
        "error": told(report.get("error") or report.get("reason")),
        "task": report.get("task"),
        "written": {way: load.get(f"{way}_done", 0) for way in ("inbound", "outbound")},
        "failed": _failed(steps, load),
        "calls": {name: plan.get(f"{name}_calls", 0) for name in ("marketo", "dynamics")},
        "planned": plan.get("operations", 0),
        "held": plan.get("held", 0),
        "held_because": plan.get("held_because", []),
        "plan_hash": plan.get("plan_hash"),
        "progress": {} if finished else _underway(report, steps),
    }


def _underway(report: Mapping[str, Any], steps: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    told_of = {name: row for name, row in report.get("progress", {}).items() if name not in steps}
    return {name: {**row, "at": parse_iso(row["at"])} for name, row in told_of.items()}


def counts_of(step: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """What a step noted, flat: (name, text). Paths of the machine and what is empty are left out."""
    found: list[tuple[str, str]] = []
    for name, value in step.items():
        whole = f"{prefix}{name}".replace("_", " ")
        if isinstance(value, Mapping):
            found += counts_of(value, f"{whole} ")
        elif isinstance(value, list):
            texts = [
                ", ".join(f"{k} {v}" for k, v in one.items()) if isinstance(one, Mapping) else str(one) for one in value
            ]
            found += [(whole, "; ".join(texts))] if texts else []
        elif value is not None and not (isinstance(value, str) and _ADDRESS.search(value)):
            found.append((whole, {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)))
    return found


def _place(step: str) -> tuple[int, str]:
    name = step.partition(".")[0]
    return (ORDER.index(name) if name in ORDER else len(ORDER), step)


def told(text: str | None) -> str | None:
    """An error text without the paths of a machine: who reads the console need not know where things lie."""
    return None if text is None else _ADDRESS.sub("…", text)


def connections(rows: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """What runs, newest first, say of each system: `answered_at`, `trouble_at`, `trouble`, `state`.

    `state`: "ok" when it answered later than it was in trouble, "trouble", or "unknown". No service is called.
    A failed run is trouble of the system that its task or its error names; where neither does, of both that it has
    not read.
    """
    found: dict[str, dict[str, Any]] = {
        system.value: {"answered_at": None, "trouble_at": None, "trouble": None, "state": "unknown"}
        for system in System
    }
    for row in rows:
        for system in System:
            _learn(found[system.value], row, system)
    return found


def _learn(known: dict[str, Any], row: Mapping[str, Any], system: System) -> None:
    when: datetime = row["finished_at"] or row["started_at"]
    if any(name in row["steps"] for name in _READS[system]):
        known["answered_at"] = known["answered_at"] or when
        known["state"] = "ok" if known["state"] == "unknown" else known["state"]
    elif row["outcome"] == "failed" and not known["trouble_at"] and _names(row, system):
        known["trouble_at"], known["trouble"] = when, row["error"]
        known["state"] = "trouble" if known["state"] == "unknown" else known["state"]


def _names(row: Mapping[str, Any], system: System) -> bool:
    said = f"{row['task'] or ''} {row['error'] or ''}".lower()
    mine = {one: one.value in said or _TASKS[one] in (row["task"] or "") for one in System}
    return mine[system] or not any(mine.values())


def written(store: StateStore, run_id: str) -> list[dict[str, Any]]:
    """The first `WRITTEN` values that a run has written, record by record: as `planned.PlanPage.records`.

    Out of the ledger, which stays when the staging of the run has expired.
    """
    of_run = (ledger.c.run_id == run_id) & ledger.c.op_id.is_not(None)
    statement = sa.select(*ledger.columns).where(of_run).order_by(ledger.c.entry_id).limit(WRITTEN)
    with store.read() as tx:
        rows = fetch(tx, statement).to_pylist()
    records: dict[str, dict[str, Any]] = {}
    for row in rows:
        about = {name: row[name] for name in ("entity", "direction", "kind", "person_id", "crm_id")}
        records.setdefault(row["op_id"], {**about, "writes": []})["writes"].append(row)
    return list(records.values())


def recent(store: StateStore, limit: int = _RECENT) -> list[dict[str, Any]]:
    """The last runs, newest first, as `shaped`."""
    with store.read() as tx:
        return [shaped(row) for row in fetch(tx, _newest_first().limit(limit)).to_pylist()]


def _newest_first() -> sa.Select[Any]:
    begun = run.c.started_at < LARGEST  # says nothing, but names the index
    return sa.select(*run.columns).where(begun).order_by(run.c.started_at.desc(), run.c.run_id.desc())


def _loaded(steps: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """Counts of the load step and of the activity step, which loads what tells persons.

    The latter repeats counts of the former, so it does not count.
    """
    return {name: count for name, count in steps.get("load", {}).items() if isinstance(count, int)}


def _failed(steps: Mapping[str, Mapping[str, Any]], load: Mapping[str, int]) -> int:
    refused = sum(count for name, count in load.items() if name.endswith("_refused"))
    parked = steps.get("enqueue", steps.get("validate", {}))
    return int(parked.get("parked", parked.get("refused", 0))) + refused


def _is_set(name: str, value: object) -> bool:
    if name == "window_on":
        return value == "created"
    return name not in {"run_id", "kind"} and value not in (None, "", [], False)
