"""When the background sync runs."""

from __future__ import annotations

import os

from leadsync_hooks.airflow_names import CronDataIntervalTimetable

EVERY_FIVE_MINUTES = "*/5 * * * *"
NEVER = "none"


def cycle_schedule() -> CronDataIntervalTimetable | None:
    """LEADSYNC_SCHEDULE (cron, UTC), every five minutes by default; "none" leaves only runs by hand.

    The timetable gives every run a real data interval, which Airflow's Backfill needs (DECISIONS 27); a plain
    cron string gives an empty one. It is read from the environment because a DAG file may not ask the database.
    """
    cron = os.environ.get("LEADSYNC_SCHEDULE", "").strip() or EVERY_FIVE_MINUTES
    return None if cron.lower() == NEVER else CronDataIntervalTimetable(cron, timezone="UTC")
