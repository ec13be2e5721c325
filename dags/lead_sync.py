"""Keep Marketo persons and Microsoft Dynamics 365 leads and contacts in step, in both directions.

Every five minutes, one run at a time; a run that finds another at work skips its tasks and loses nothing.

| task | what it does |
|---|---|
| recover | looks again at writes whose outcome a dead run left unknown |
| extract_persons, extract_records | reads what changed since the last run |
| link | finds out who belongs to whom |
| merge | compares both sides with what they last agreed on; picks winners |
| plan | lists every intended write with its reason; the button *Plan* shows it |
| validate | checks each value against the rules of the target; the button *Validation report* shows what was refused |
| enqueue | stores the operations and moves the cursors, in one transaction |
| load | writes, batch by batch, record by record |
| activity | puts failures and recoveries on record, here and on the Marketo person |
| finish | closes the run and its report |

**By hand:** *Trigger* opens a form. With a window, records or person ids the run reads exactly those afresh
and leaves the cursors alone. *Dry run* stops after the validation. *Approve plan* lets a held plan pass the brake.

**Stop all writing:** set the Airflow variable `leadsync_dry_run` to `yes`.
"""

from __future__ import annotations

from datetime import UTC, datetime

from leadsync_hooks import forms
from leadsync_hooks.airflow_names import DAG
from leadsync_hooks.cycle_tasks import DEFAULTS, cycle_tasks
from leadsync_hooks.schedule import cycle_schedule

with DAG(
    dag_id="lead_sync",
    description="Marketo and Dynamics 365 in step, every five minutes",
    doc_md=__doc__,
    schedule=cycle_schedule(),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
    params={**forms.window(), **forms.entity(), **forms.persons(), **forms.dry_run(), **forms.approval()},
    tags=["lead-sync", "marketo", "dynamics"],
):
    cycle_tasks("cycle")
