"""The command `undo`: what a run has written is put back where nobody has edited it since."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from include.leadsync.cli_commands import DONE, FAILED_ROWS, failed_rows, open_engine, shown
from include.leadsync.clock import SystemClock
from include.leadsync.context import Json, RunRequest, new_run_id
from include.leadsync.cycle import run_cycle
from include.leadsync.undoing import IN_MOTION, KIND, MEANING, WAITS, undo_list

_SAID = MEANING | {
    "refused": "not put back: the target would refuse the value; `errors` says why",
    "held": "waits: the brake holds it",
}


def run_undo(options: argparse.Namespace) -> int:
    """Put back; with --dry-run only list. 1 when a value was refused, or a record was being written by another run."""
    run = RunRequest(
        new_run_id(SystemClock()), kind=KIND, undoes=options.run, dry_run=options.dry_run, approve=options.approve
    )
    with open_engine() as engine:
        report = run_cycle(engine, run)
        rows = undo_list(engine.staging(run))
    failed = failed_rows(report)
    if options.json:
        print(json.dumps(report | {"failed": failed, "undo": rows}, default=str, ensure_ascii=False))
    else:
        _print(report, rows, options.run)
    left = any(row["fate"] in {IN_MOTION, WAITS} for row in rows)
    return FAILED_ROWS if failed or left else DONE


def _print(report: Mapping[str, Json], rows: list[dict[str, Any]], undone: str) -> None:
    for row in rows:
        print(_line(row))
    for fate, count in sorted(Counter(row["fate"] for row in rows).items()):
        print(f"{count:>9}  {_SAID[fate]}")
    if not rows:
        print(f"run {undone} wrote nothing")
    held = report["steps"]["plan"]["plan_hash"]
    if held:
        because = "; ".join(report["steps"]["plan"]["held_because"])
        print(f"held: {because}; `undo {undone} --approve {held}`")
    print(f"run {report['run_id']}: {report['outcome']}")


def _line(row: Mapping[str, Any]) -> str:
    target = row["crm_id"] if row["direction"] == "outbound" else f"person {row['person_id']}"
    if row["field"] is None:
        return f"{row['fate']:12} {row['entity']:8} {target}"
    change = f"{row['field']}: {shown(row['after'])} → {shown(row['before'])}"
    now = f", shows {shown(row['present'])}" if row["fate"] == "edited" else ""
    return f"{row['fate']:12} {row['entity']:8} {target} {change}{now}"
