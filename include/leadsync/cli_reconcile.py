"""The command `reconcile`: everything that is linked held against both systems, once."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from include.leadsync.cli_commands import DONE, FAILED_ROWS, failed_rows, open_engine
from include.leadsync.clock import SystemClock
from include.leadsync.context import Engine, Json, RunRequest, new_run_id
from include.leadsync.cycle import run_cycle
from include.leadsync.reconcile import KIND
from include.leadsync.reconcile_report import FILE, MEANING
from include.leadsync.staging import open_file_system


def run_reconcile(options: argparse.Namespace) -> int:
    """Compare and repair; with --dry-run only tell. 1 when a value was refused."""
    run = RunRequest(new_run_id(SystemClock()), kind=KIND, dry_run=options.dry_run)
    with open_engine() as engine:
        report = run_cycle(engine, run)
        folder = Path(options.out) if options.out else engine.paths.home / "reports" / run.run_id
        report["findings"] = str(_kept(engine, report["steps"]["validate"]["findings"], folder))
    failed = failed_rows(report)
    if options.json:
        print(json.dumps(report | {"failed": failed}, default=str, ensure_ascii=False))
    else:
        _print(report, failed)
    return FAILED_ROWS if failed else DONE


def _kept(engine: Engine, staged: str, folder: Path) -> Path:
    """The findings beside the other reports, where they outlast the staging."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    fs, _ = open_file_system(engine.paths.staging_url)
    kept = folder / FILE
    kept.write_bytes(fs.cat_file(staged))
    return kept


def _print(report: dict[str, Json], failed: int) -> None:
    steps = report["steps"]
    looked = steps["compare"]
    print(f"{looked['links']:>9}  links compared, {looked['closely']} of them read twice")
    for found, count in steps["validate"]["found"].items():
        print(f"{count:>9}  {found}{': ' + MEANING[found] if found in MEANING else ''}")
    if looked["left_to_cycles"]:
        print(f"{looked['left_to_cycles']:>9}  more links to look at, left to the next cycles")
    if steps["plan"]["plan_hash"]:
        because = "; ".join(steps["plan"]["held_because"])
        print(f"held: {because}; `cycle --approve {steps['plan']['plan_hash']}`")
    print(f"findings: {report['findings']}")
    operations = steps["plan"]["operations"]
    print(f"run {report['run_id']}: {report['outcome']}, {operations} operations, {failed} failed")
