"""Take back what a run has written, where nobody has edited it since.

Each value that the run changed gets the one it had before. Values that were edited since are kept, records that the run
created are kept, and nobody is subscribed again. *Dry run*, which is on unless you switch it off, lists what would
become of each value: in the console, on the page of this run. The console starts both from the page of the run that is
to be taken back.

It goes through the same brake and the same validation as everything else, in the lane of backfills, and is a run like
any other: taking back its own id brings the values back again.
"""

from __future__ import annotations

from datetime import UTC, datetime

from leadsync_hooks import forms
from leadsync_hooks.airflow_names import DAG
from leadsync_hooks.cycle_tasks import DEFAULTS, cycle_tasks

with DAG(
    dag_id="lead_sync_undo",
    description="Take back what a run has written",
    doc_md=__doc__,
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
    params={**forms.undone_run(), **forms.dry_run(default=True), **forms.approval()},
    tags=["lead-sync", "marketo", "dynamics", "undo"],
):
    cycle_tasks("undo")
