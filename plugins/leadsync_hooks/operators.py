"""One task = one step of the engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from leadsync_hooks import assets, engine
from leadsync_hooks.airflow_names import (
    AirflowFailException,
    AirflowSkipException,
    BaseOperator,
    Context,
    Variable,
    lineage_is_wanted,
)
from leadsync_hooks.forms import require_known
from leadsync_hooks.lineage import event_of
from leadsync_hooks.links import PlanLink, ValidationReportLink
from leadsync_hooks.measuring import MEASURED, emit
from leadsync_hooks.runs import engine_run_id, is_switched_on, run_values

FIRST_STEP = "recover"
COMMIT_STEP = "enqueue"
LAST_STEP = "finish"
WRITING_STEPS = frozenset({COMMIT_STEP, "load", "activity"})
DRY_RUN_SWITCH = "leadsync_dry_run"


class TracedOperator(BaseOperator):
    """Tells the OpenLineage provider what it read and wrote, where somebody listens."""

    traced: Any = None

    def trace(self, step: str, stream: str | None, run_id: str, result: Mapping[str, Any]) -> None:
        """Remember it while the connections are at hand: the provider asks when the task has ended."""
        if lineage_is_wanted():
            self.traced = event_of(step, stream, run_id, result, engine.places())

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:  # noqa: ARG002 - the provider's signature
        """What the provider sends with the end of the task; None when nothing was done."""
        return self.traced


class StepOperator(TracedOperator):
    """Runs one step and returns its paths and counts.

    The first step also decides what the run is – from the form, the data interval and the variable
    `leadsync_dry_run` – and hands that on, so that every later task and every retry sees the same run.

    Args:
        step: name of the step, as `include.leadsync.cycle.run_step` knows it.
        kind: "cycle", "backfill", "request", "reconcile" or "undo".
        stream: of the extract step: "person", "lead" or "contact".
    """

    template_fields: Sequence[str] = ()
    ui_color = "#e8f1fa"

    def __init__(self, *, step: str, kind: str, stream: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.step = step
        self.kind = kind
        self.stream = stream
        self.engine_run_id: str | None = None

    def execute(self, context: Context) -> dict[str, Any]:
        """Run the step; see `engine.airflow_outcome` for what its errors become."""
        values = self._begin(context) if self.step == FIRST_STEP else _begun(context)
        self.engine_run_id = values["run_id"]
        if values["dry_run"] and self.step in WRITING_STEPS:
            raise AirflowSkipException("a dry run writes nothing")
        try:
            with engine.airflow_outcome(skip_is_failure=_is_airflow_backfill(context)):
                result = engine.perform(self.step, {**values, "stream": self.stream})
        except AirflowSkipException as skipped:
            engine.close_run(values["run_id"], "skipped", {"reason": str(skipped)})
            raise
        emit(result.pop(MEASURED, ()))
        assets.describe(context["outlet_events"], self.outlets, values["run_id"], result)
        self.trace(self.step, self.stream, values["run_id"], result)
        self.log.info("%s: %s", self.step, result)
        return {**result, "run": values} if self.step == FIRST_STEP else result

    def _begin(self, context: Context) -> dict[str, Any]:
        require_known(context)
        dry_run = is_switched_on(str(Variable.get(DRY_RUN_SWITCH, default="no")))
        interval = _backfill_interval(context)
        try:
            return run_values(self.kind, context["params"], run_id=_run_id(context), dry_run=dry_run, interval=interval)
        except ValueError as error:
            raise AirflowFailException(f"{error}; nothing was read or written") from error


class PlanOperator(StepOperator):
    """A step with a button that leads to the plan."""

    operator_extra_links = (PlanLink(),)


class ReportOperator(StepOperator):
    """A step with a button that leads to the validation report."""

    operator_extra_links = (ValidationReportLink(),)


class FinishOperator(ReportOperator):
    """The last step, with a button that leads to the validation report.

    It runs after a dry run too, whose writing steps are skipped, but not after a run that another one made to
    leave: that is closed already and must not look like a success (DECISIONS 14).
    """

    def execute(self, context: Context) -> dict[str, Any]:
        """Close the run."""
        first = context["ti"].xcom_pull(task_ids=FIRST_STEP)
        if first is None:
            raise AirflowSkipException("this run left without touching anything")
        if first["run"]["dry_run"]:
            self.engine_run_id = first["run"]["run_id"]
            engine.close_run(first["run"]["run_id"], "planned", {})
            return {"outcome": "planned"}
        if context["ti"].xcom_pull(task_ids=COMMIT_STEP) is None:
            raise AirflowSkipException("this run left before it stored anything")
        return super().execute(context)


class SyncPersonsOperator(TracedOperator):
    """Stores the requests of a form (Sync Person to Microsoft), then serves whatever is pending, in one task.

    One task, because somebody waits: each further one would cost seconds. The same Airflow run never stores a
    request twice, and a retry goes on where the last try ended.
    """

    template_fields: Sequence[str] = ()
    ui_color = "#e8f1fa"
    operator_extra_links = (PlanLink(), ValidationReportLink())

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.engine_run_id: str | None = None

    def execute(self, context: Context) -> dict[str, Any]:
        """Returns how many requests this run stands for, and what became of the run."""
        require_known(context)
        params, run = context["params"], context["dag_run"]
        dry_run = is_switched_on(str(Variable.get(DRY_RUN_SWITCH, default="no")))
        values = run_values("request", {"persons": params["persons"]}, run_id=_run_id(context), dry_run=dry_run)
        self.engine_run_id = values["run_id"]
        with engine.airflow_outcome():
            stored = engine.store_requests(
                params["persons"],
                sync_as=params["sync_as"],
                owner=params.get("owner"),
                reason=params.get("reason"),
                token=params.get("token") or f"{run.dag_id}/{run.run_id}",
            )
            report = engine.perform_all(values)
        emit(report.pop(MEASURED, ()))
        self.trace("request", None, values["run_id"], {})
        self.log.info("%s", report)
        return {"requests": stored["requests"], "new": stored["new"], "outcome": report["outcome"], "run": values}


def close_failed_run(context: Context) -> None:
    """Task callback: the run will not go on, so the next one need not wait for its lease to expire."""
    error = context.get("exception")
    task = context["ti"].task_id
    # Who clears a run from the middle goes on with the run that its first task began.
    begun = context["ti"].xcom_pull(task_ids=FIRST_STEP) if _cleared(context) and task != FIRST_STEP else None
    run_id = begun["run"]["run_id"] if begun else _run_id(context)
    engine.close_run(run_id, "failed", {"task": task, **engine.failure_of(error)})


def _run_id(context: Context) -> str:
    run = context["dag_run"]
    return engine_run_id(run.dag_id, run.run_id, run.run_after, _cleared(context))


def _cleared(context: Context) -> int:
    return int(getattr(context["dag_run"], "clear_number", 0) or 0)


def _begun(context: Context) -> dict[str, Any]:
    first = context["ti"].xcom_pull(task_ids=FIRST_STEP)
    if not isinstance(first, dict) or "run" not in first:
        raise AirflowFailException(f"the task {FIRST_STEP} left no run to go on with; clear the run from there")
    return dict(first["run"])


def _is_airflow_backfill(context: Context) -> bool:
    return str(context["dag_run"].run_type).rpartition(".")[2].lower().startswith("backfill")


def _backfill_interval(context: Context) -> tuple[datetime, datetime] | None:
    if not _is_airflow_backfill(context):
        return None
    run = context["dag_run"]
    if run.data_interval_start is None or run.data_interval_end is None:
        raise AirflowFailException("Airflow's Backfill gave this run no data interval; use the DAG lead_sync_backfill")
    return run.data_interval_start, run.data_interval_end
