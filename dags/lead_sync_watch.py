"""Tell somebody when something is wrong with the sync, once when it begins and once when it is over.

Looks every five minutes at the state store and calls neither Marketo nor Dynamics. Told are: no cycle comes to its end,
rights were lost, the configuration is wrong, a mapped column is gone, a daily quota is nearly used, writes wait too
long, a plan waits for approval; and once a day what failed, by cause. Who is told, and from when on, is in the section
`alerts` of leadsync.yaml; docs/operations.md says what to do about each.

It is a DAG of its own, because a sync that is down cannot tell. **By hand:** *Test the channels* sends a test message.
"""

from __future__ import annotations

from datetime import UTC, datetime

from leadsync_hooks.airflow_names import DAG
from leadsync_hooks.cycle_tasks import DEFAULTS
from leadsync_hooks.schedule import watch_schedule
from leadsync_hooks.watching import WatchOperator, channel_test

with DAG(
    dag_id="lead_sync_watch",
    description="Tell somebody when something is wrong with the sync",
    doc_md=__doc__,
    schedule=watch_schedule(),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
    params=channel_test(),
    tags=["lead-sync", "marketo", "dynamics", "alerts"],
):
    WatchOperator(task_id="watch", retries=1)
