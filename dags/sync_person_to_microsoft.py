"""Bring Marketo persons into Dynamics as leads or contacts, and link them.

A person that is linked already is left as it is: asking twice does nothing twice. An unlinked Dynamics
record with the same e-mail address is linked instead of duplicated. The outcome is written to the person's
activity log.

Start it from the form, or over REST: `POST /api/v2/dags/sync_person_to_microsoft/dagRuns` with
`{"logical_date": null, "conf": {"persons": [1001], "sync_as": "lead"}}`.
"""

from __future__ import annotations

from datetime import UTC, datetime

from leadsync_hooks import forms
from leadsync_hooks.airflow_names import DAG
from leadsync_hooks.cycle_tasks import DEFAULTS, MARKETO_POOL
from leadsync_hooks.operators import SyncPersonsOperator

with DAG(
    dag_id="sync_person_to_microsoft",
    description="Create or link Dynamics records for chosen Marketo persons",
    doc_md=__doc__,
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=4,
    default_args=DEFAULTS,
    params={**forms.persons(required=True), **forms.sync_as(), **forms.request_details()},
    tags=["lead-sync", "marketo", "dynamics", "request"],
):
    SyncPersonsOperator(task_id="sync_persons", pool=MARKETO_POOL)
