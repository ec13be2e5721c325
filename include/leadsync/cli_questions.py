"""The commands that look and change nothing: where things stand, what failed, where a value came from."""

from __future__ import annotations

import argparse
import csv
import difflib
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from include.leadsync.backfills import open_jobs
from include.leadsync.cli_commands import DONE, open_engine
from include.leadsync.config import Settings
from include.leadsync.context import Json
from include.leadsync.errors import FixConfiguration
from include.leadsync.forecast import forecasts
from include.leadsync.model import Entity, System
from include.leadsync.state import ActivityLog, Ledger, Outbox, Runs

_COLUMNS = (
    "at",
    "entity",
    "person_id",
    "crm_id",
    "operation",
    "direction",
    "field",
    "value",
    "code",
    "message",
    "rule",
    "run_id",
)


def run_status(options: argparse.Namespace) -> int:
    """Where things stand."""
    with open_engine() as engine:
        latest = Runs(engine.store).latest()
        usages = {system: engine.budget(system).usage() for system in System}
        ahead = forecasts(engine.store, engine.settings, usages)
        status: dict[str, Json] = {
            "last_run": asdict(latest) if latest else None,
            "backlog": Outbox(engine.store).depth().to_pylist(),
            "held_plans": Outbox(engine.store).held().to_pylist(),
            "parked_plans": Outbox(engine.store).parked_plans().to_pylist(),
            "field_backfills": open_jobs(engine.store),
            "open_failures": ActivityLog(engine.store).open_count(),
            "budgets": {system.value: asdict(usage) for system, usage in usages.items()},
            "forecast": {system.value: asdict(one) for system, one in ahead.items()},
        }
    if options.json:
        print(json.dumps(status, default=str))
        return DONE
    last = status["last_run"]
    print(f"last run     {last['run_id']} {last['outcome'] or 'at work'}" if last else "last run     none yet")
    for row in status["backlog"]:
        where = f"{row['direction']:9} lane {row['lane']} {row['state']:10}"
        print(f"backlog      {where} {row['count']:>7}  oldest {row['oldest']:%Y-%m-%d %H:%M}")
    for row in status["held_plans"]:
        size = f"{row['ops']} operations on {row['links']} links"
        print(f"held plan    {row['plan_hash']}: {size}; `cycle --approve {row['plan_hash']}`")
    for row in status["parked_plans"]:
        size = f"{row['ops']} operations on {row['links']} links"
        print(f"parked plan  {row['plan_hash']}: {size}; {row['message']}; `cycle --approve {row['plan_hash']}`")
    for job in status["field_backfills"]:
        names = ", ".join(job["fields"])
        print(f"backfill     {job['entity']} {names}: {job['done']} of {job['total']} records, {job['direction']}")
    print(f"failures     {status['open_failures']} open; `errors` lists them")
    for system, usage in status["budgets"].items():
        print(f"budget       {system:9} {_budget_line(usage)}")
    for system, one in status["forecast"].items():
        if one["done_by"]:
            print(f"forecast     {system:9} {_forecast_line(one)}")
    return DONE


def _budget_line(usage: Mapping[str, Json]) -> str:
    line = (
        f"{usage['in_window']} of {usage['window_limit']} calls in {usage['window_seconds']} s, "
        f"{usage['today']} of {usage['daily_limit']} today"
    )
    return line + (f", paused until {usage['paused_until']:%H:%M:%S}" if usage["paused_until"] else "")


def _forecast_line(forecast: Mapping[str, Json]) -> str:
    fits = "within today's quota" if forecast["fits_today"] else "more than today's quota"
    return f"{forecast['waiting']} writes wait, {fits}; done at the earliest {forecast['done_by']:%Y-%m-%d %H:%M}"


def run_errors(options: argparse.Namespace) -> int:
    """Open failures, newest first; all of them as CSV with --export."""
    with open_engine() as engine:
        log = ActivityLog(engine.store)
        if options.export:
            writer = csv.DictWriter(sys.stdout, _COLUMNS, extrasaction="ignore")
            writer.writeheader()
            offset = 0
            while rows := log.browse(open_only=True, limit=5_000, offset=offset).to_pylist():
                writer.writerows({name: _plain_cell(value) for name, value in row.items()} for row in rows)
                offset += len(rows)
            return DONE
        rows = log.browse(open_only=True, limit=50, offset=0).to_pylist()
        total = log.open_count()
    for row in rows:
        who = f"person {row['person_id'] or '–'} {row['entity']} {row['crm_id'] or '–'}"
        what = f"{row['field'] or row['operation']}: {row['code']} {row['message']}"
        print(f"{row['at']:%Y-%m-%d %H:%M} {row['direction']:9} {who} {what}")
    print(f"{total} open" + (f", {len(rows)} shown" if total > len(rows) else ""))
    return DONE


def _plain_cell(value: Any) -> Any:
    """A text that a spreadsheet would run as a formula gets a quote in front."""
    return f"'{value}" if isinstance(value, str) and value[:1] in {"=", "+", "-", "@", "\t", "\r"} else value


def run_why(options: argparse.Namespace) -> int:
    """The ledger of one person, oldest first; a field that nobody ever synced is a mistake."""
    with open_engine() as engine:
        rows = Ledger(engine.store).of_person(options.person, options.field).to_pylist()
        if options.field and not rows:
            _require_field(options.field, engine.settings)
    for row in rows:
        print(_sentence(row))
    if not rows:
        print("nothing is recorded for this person" + (f" and field {options.field}" if options.field else ""))
    return DONE


def _require_field(name: str, settings: Settings) -> None:
    known = {entry for entity in Entity for entry in settings.fields.of(entity)}
    known |= {field for field in settings.marketo.system_fields.model_dump().values() if field}
    if name in known:
        return
    nearest = difflib.get_close_matches(name, sorted(known), n=1)
    hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
    raise FixConfiguration(f"no synced field is called {name!r}{hint or '.'} There are: {', '.join(sorted(known))}")


def _sentence(row: Mapping[str, Any]) -> str:
    way = "Dynamics → Marketo" if row["direction"] == "inbound" else "Marketo → Dynamics"
    lost = f"; {row['lost']!r} lost" if row["lost"] is not None else ""
    return (
        f"{row['at']:%Y-%m-%d %H:%M:%S} {row['field']}: {row['kind']} {way} {row['before']!r} → {row['after']!r}{lost}"
        f" (rule {row['rule']}, run {row['run_id']})"
    )
