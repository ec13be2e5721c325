"""The commands `first-sync` and `rebuild`: report first, store what was accepted."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import datetime
from pathlib import Path

from include.leadsync.cli_commands import COULD_NOT_RUN, DONE, open_engine
from include.leadsync.clock import SystemClock, parse_iso
from include.leadsync.context import Engine, Json, new_run_id
from include.leadsync.errors import FixConfiguration
from include.leadsync.schema import current_schema
from include.leadsync.survey import Survey, accept, store, survey, write_report
from include.leadsync.survey.report import lines

_KINDS = {"first-sync": ("first-sync",), "rebuild": ("rebuild", "from-native")}


def run_first_sync(options: argparse.Namespace) -> int:
    """`report`: look and tell; `accept HASH`: store the links of that report."""
    if options.action == "accept" and not options.hash:
        print("`first-sync accept` needs the hash that the report shows", file=sys.stderr)
        return COULD_NOT_RUN
    if options.action == "report" and options.hash:
        print("`first-sync report` takes no hash; did you mean `first-sync accept`?", file=sys.stderr)
        return COULD_NOT_RUN
    with open_engine() as engine:
        if options.action == "accept":
            return _accepted(engine, options.hash, "first-sync")
        report = _surveyed(engine, options, "first-sync")
    return _told(report, options, f"python -m include.leadsync first-sync accept {report['hash']}")


def run_rebuild(options: argparse.Namespace) -> int:
    """Without --accept or --write: look and tell."""
    if options.accept and options.write:
        print("--accept stores an earlier report, --write what is found now; give one of them", file=sys.stderr)
        return COULD_NOT_RUN
    with open_engine() as engine:
        if options.accept:
            return _accepted(engine, options.accept, "rebuild")
        report = _surveyed(engine, options, "from-native" if options.from_native else "rebuild")
        if options.write:
            report["stored"] = store(engine, report["run_id"], new_run_id(SystemClock()))
    return _told(report, options, f"python -m include.leadsync rebuild --accept {report['hash']}")


def _surveyed(engine: Engine, options: argparse.Namespace, kind: str) -> dict[str, Json]:
    asked = Survey(new_run_id(SystemClock()), kind, tuple(options.id_field), _since(options.since))
    report = survey(engine, asked)
    folder = Path(options.out) if options.out else engine.paths.home / "reports" / asked.run_id
    report["page"] = str(write_report(engine, report, folder, mark_of(engine)))
    report["marked"] = mark_of(engine)
    return report


def mark_of(engine: Engine) -> str | None:
    """The field that marks backfilled persons; None where Marketo lacks it (D19)."""
    name = engine.settings.marketo.system_fields.backfilled_at
    return name if any(field.name == name for field in current_schema(engine).marketo) else None


def _accepted(engine: Engine, digest: str, command: str) -> int:
    counts = accept(engine, digest, new_run_id(SystemClock()), _KINDS[command])
    print(
        f"{counts['linked']} pairs linked, {counts['linked_meanwhile']} were linked meanwhile;"
        " the next cycle fills them"
    )
    return DONE


def _told(report: dict[str, Json], options: argparse.Namespace, then: str) -> int:
    if options.json:
        print(json.dumps(report, ensure_ascii=False))
        return DONE
    print("\n".join(lines(report, report["marked"])))
    print(f"report: {report['page']} (with matches.csv, fields.csv, conflicts.csv, alone.csv)")
    if "stored" in report:
        print(f"{report['stored']['linked']} pairs linked; the next cycle fills them")
    else:
        print(f"nothing was stored; accept with `{then}`")
    return DONE


def _since(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = parse_iso(text)
    except (ValueError, OverflowError):
        raise FixConfiguration(f"--since is {text!r}; it must be a date such as 2015-01-31") from None
    if moment >= SystemClock().now():
        raise FixConfiguration(f"--since is {text!r}, which is in the future; nobody was created after it")
    return moment
