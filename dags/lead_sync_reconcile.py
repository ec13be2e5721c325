"""Hold everything that is linked against both systems, every night, and repair what differs.

The background sync follows feeds, and feeds can miss: a column that is calculated, an activity that was purged, a
system restored from a backup. This run reads both Dynamics tables and every linked person in full; a link whose
values hash to what was last seen is done with. The few others are read once more and go the usual way: merge, brake,
validation, outbox, in the lane of backfills. It never picks another winner than the rules do, and a second run right
after the first writes nothing. What it cannot repair is counted in the result of *validate*, with the path of a CSV.

It takes a call per 300 persons and one per 5,000 CRM records; the background sync goes on meanwhile.
*Dry run* finds and plans only. LEADSYNC_RECONCILE_SCHEDULE sets another time, or `none`.
"""

from __future__ import annotations

from datetime import UTC, datetime

from leadsync_hooks import forms
from leadsync_hooks.airflow_names import DAG
from leadsync_hooks.cycle_tasks import DEFAULTS, cycle_tasks
from leadsync_hooks.schedule import reconcile_schedule

with DAG(
    dag_id="lead_sync_reconcile",
    description="Nightly full compare of everything that is linked",
    doc_md=__doc__,
    schedule=reconcile_schedule(),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
    params={**forms.dry_run()},
    tags=["lead-sync", "marketo", "dynamics", "reconcile"],
):
    cycle_tasks("reconcile")
