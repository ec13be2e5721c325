"""Wait for somebody to approve or reject one plan that the brake holds.

A plan that deletes, overwrites or creates too much is held, and a run of this DAG is started for it; everything else
goes on. Open the task *ask*, tab *Required Actions*, or *Browse → Required Actions*: it shows what the plan would do.

**Approve** releases exactly this plan: the next run of `lead_sync` merges its records again and writes what still
holds. **Reject** parks it, and so does no answer in seven days: nothing is written, `status` and the console list it,
and it can still be approved by its hash. If newer plans took its place meanwhile, an approval is refused and nothing
is changed.
"""

from __future__ import annotations

from datetime import UTC, datetime

from leadsync_hooks.airflow_names import DAG
from leadsync_hooks.approvals import DecideOperator, HeldPlanOperator, hash_param
from leadsync_hooks.cycle_tasks import DEFAULTS

with DAG(
    dag_id="lead_sync_approval",
    description="Approve or reject a plan that the brake holds",
    doc_md=__doc__,
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=100,
    default_args=DEFAULTS,
    params=hash_param(),
    tags=["lead-sync", "marketo", "dynamics", "approval"],
):
    HeldPlanOperator(task_id="ask") >> DecideOperator(task_id="decide", asked="ask")
