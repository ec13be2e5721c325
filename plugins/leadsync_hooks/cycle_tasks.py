"""The tasks of one cycle, in order. All DAGs that write use these and no others.

recover → extract (persons; per Dynamics table) → link → merge → plan → validate → enqueue → load → activity → finish;
a full compare has compare behind recover; enqueue → held_plans → ask_approval (per held plan)
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from leadsync_hooks import assets
from leadsync_hooks.airflow_names import BaseOperator, TriggerRule, chain
from leadsync_hooks.approvals import ask_for_approval
from leadsync_hooks.operators import (
    COMMIT_STEP,
    FIRST_STEP,
    LAST_STEP,
    FinishOperator,
    PlanOperator,
    ReportOperator,
    StepOperator,
    close_failed_run,
)
from leadsync_hooks.runs import RECONCILE

MARKETO_POOL = "marketo_api"
DYNAMICS_POOL = "dynamics_api"
TABLES = ["lead", "contact"]

# Every step may be repeated: what it stages replaces itself, what it writes goes through the outbox.
DEFAULTS: dict[str, Any] = {
    "owner": "lead-sync",
    "retries": 2,
    "retry_delay": timedelta(seconds=15),
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(minutes=5),
    "execution_timeout": timedelta(minutes=30),
    "on_failure_callback": close_failed_run,
}
_LONG = timedelta(hours=6)  # a first read or a large backfill is bound by the APIs' daily limits, not by us


def cycle_tasks(kind: str) -> tuple[BaseOperator, BaseOperator]:
    """Create the tasks inside the current DAG; the first and the last of them.

    Pools hold back tasks that call the same API; how many calls they make together is the shared budget's
    business. `link`, `load` and `activity` call both systems and count as Marketo's, whose limits are tighter.
    """
    recover = StepOperator(task_id=FIRST_STEP, step=FIRST_STEP, kind=kind, pool=MARKETO_POOL)
    extract = [
        StepOperator(
            task_id="extract_persons",
            step="extract",
            kind=kind,
            stream="person",
            pool=MARKETO_POOL,
            execution_timeout=_LONG,
            inlets=[assets.PERSONS],
            outlets=[assets.STAGED],
        ),
        StepOperator.partial(
            task_id="extract_records",
            step="extract",
            kind=kind,
            pool=DYNAMICS_POOL,
            execution_timeout=_LONG,
            map_index_template="{{ task.stream }}",
            inlets=[assets.LEADS, assets.CONTACTS],
            outlets=[assets.STAGED],
        ).expand(stream=TABLES),
    ]
    link = StepOperator(task_id="link", step="link", kind=kind, pool=MARKETO_POOL)
    merge = StepOperator(task_id="merge", step="merge", kind=kind)
    plan = PlanOperator(task_id="plan", step="plan", kind=kind, inlets=[assets.STAGED], outlets=[assets.PLAN])
    validate = ReportOperator(task_id="validate", step="validate", kind=kind)
    enqueue = StepOperator(
        task_id=COMMIT_STEP, step=COMMIT_STEP, kind=kind, inlets=[assets.PLAN], outlets=[assets.OUTBOX]
    )
    load = StepOperator(
        task_id="load",
        step="load",
        kind=kind,
        pool=MARKETO_POOL,
        retries=1,
        execution_timeout=_LONG,
        inlets=[assets.OUTBOX],
        outlets=assets.BOTH_SYSTEMS,
    )
    activity = StepOperator(task_id="activity", step="activity", kind=kind, pool=MARKETO_POOL)
    finish = FinishOperator(task_id=LAST_STEP, step=LAST_STEP, kind=kind, trigger_rule=TriggerRule.NONE_FAILED)
    beforehand: list[BaseOperator] = [recover]
    if kind == RECONCILE:
        beforehand.append(
            StepOperator(
                task_id="compare", step="compare", kind=kind, pool=MARKETO_POOL, retries=1, execution_timeout=_LONG
            )
        )
    chain(*beforehand, extract, link, merge, plan, validate, enqueue, load, activity, finish)
    enqueue >> ask_for_approval()  # beside the loader: what is held keeps nobody waiting, not even those who approve
    return recover, finish
