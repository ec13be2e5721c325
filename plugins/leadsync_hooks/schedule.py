"""When the background sync runs."""

from __future__ import annotations

import os

from leadsync_hooks.airflow_names import CronDataIntervalTimetable

EVERY_FIVE_MINUTES = "*/5 * * * *"
NIGHTLY = "17 1 * * *"
NEVER = "none"


def cycle_schedule() -> CronDataIntervalTimetable | None:
    """LEADSYNC_SCHEDULE (cron, UTC), every five minutes by default; "none" leaves only runs by hand.

    The timetable gives every run a real data interval, which Airflow's Backfill needs (DECISIONS 27); a plain
    cron string gives an empty one. It is read from the environment because a DAG file may not ask the database.
    """
    return _timetable("LEADSYNC_SCHEDULE", EVERY_FIVE_MINUTES)


def reconcile_schedule() -> CronDataIntervalTimetable | None:
    """LEADSYNC_RECONCILE_SCHEDULE (cron, UTC); "none" leaves only runs by hand.

    By default at night, or never where the background sync runs by hand only, too.
    """
    return _timetable("LEADSYNC_RECONCILE_SCHEDULE", NIGHTLY if cycle_schedule() else NEVER)


def _timetable(variable: str, default: str) -> CronDataIntervalTimetable | None:
    cron = os.environ.get(variable, "").strip() or default
    return None if cron.lower() == NEVER else CronDataIntervalTimetable(cron, timezone="UTC")


def watch_schedule() -> str | None:
    """Every five minutes; never where the background sync never runs by itself, because nobody misses it there."""
    return EVERY_FIVE_MINUTES if cycle_schedule() else None
