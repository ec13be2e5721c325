"""Sync a selection afresh, by the same rules as the background sync.

Reads a window of time, leads or contacts, some persons, some fields, and writes what differs. It runs in a lane
of its own: current changes go first, and the cursors of the background sync stay where they are.

With fields and without persons the run takes the first stretch of links; every cycle takes another until all are done,
and *Direction* says which side fills the other. *Window on* created reads CRM records by when they were made.

Use it after adding a field to the map, after a long outage, or for people somebody asked about.
*Dry run* shows in the plan what would be written.
"""

from __future__ import annotations

from datetime import UTC, datetime

from leadsync_hooks import forms
from leadsync_hooks.airflow_names import DAG
from leadsync_hooks.cycle_tasks import DEFAULTS, cycle_tasks

with DAG(
    dag_id="lead_sync_backfill",
    description="Sync a selection afresh: window, records, persons, fields",
    doc_md=__doc__,
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
    params={
        **forms.window(),
        **forms.entity(),
        **forms.persons(),
        **forms.fields(),
        **forms.how_to_fill(),
        **forms.dry_run(),
        **forms.approval(),
    },
    tags=["lead-sync", "marketo", "dynamics", "backfill"],
):
    cycle_tasks("backfill")
