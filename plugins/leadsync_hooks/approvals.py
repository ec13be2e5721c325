"""Held plans in Airflow: a run of its own per plan waits for an answer, then carries it out (DECISIONS 16)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from inspect import unwrap
from typing import Any

from leadsync_hooks import engine
from leadsync_hooks.airflow_names import (
    AirflowFailException,
    AirflowSkipException,
    BaseOperator,
    Context,
    HITLOperator,
    Param,
    TriggerDagRunOperator,
    conf,
)
from leadsync_hooks.forms import require_known

APPROVAL_DAG = "lead_sync_approval"
APPROVE, REJECT = "Approve", "Reject"
WAITS = timedelta(days=7)
LOOKS_AGAIN = timedelta(minutes=15)
"""How long an answer given elsewhere (console, command line) may leave its approval run open."""
_OVER = "held no more: it was decided elsewhere, or newer plans took its place"


def hash_param() -> dict[str, Param]:
    """`plan_hash`: of the held plan."""
    about = "Hash of the plan that the brake holds; `status` and the console list them."
    return {"plan_hash": Param(type="string", pattern="^[0-9a-f]{16}$", title="Plan", description=about)}


def ask_for_approval() -> BaseOperator:
    """Create, inside the current DAG, the tasks that start an approval run for every plan that is held; the first."""
    held = HeldPlansOperator(task_id="held_plans")
    TriggerDagRunOperator.partial(
        task_id="ask_approval",
        trigger_dag_id=APPROVAL_DAG,
        skip_when_already_exists=True,
        map_index_template="{{ task.conf['plan_hash'] }}",
    ).expand_kwargs(held.output)
    return held


class HeldPlansOperator(BaseOperator):
    """Returns what to start: `trigger_run_id`, the same for as long as a plan waits, and `conf`."""

    template_fields: Sequence[str] = ()
    ui_color = "#e8f1fa"

    def execute(self, context: Context) -> list[dict[str, Any]]:  # noqa: ARG002 - Airflow's signature
        """One entry per held plan; none is held in an ordinary run."""
        return [
            {
                "trigger_run_id": f"held__{plan['plan_hash']}__{plan['since']}",
                "conf": {"plan_hash": plan["plan_hash"]},
            }
            for plan in engine.plans_to_ask()
        ]


class HeldPlanOperator(HITLOperator):
    """Shows what a held plan would do and waits; no worker, pool or triggerer is occupied meanwhile.

    Airflow lets nobody but the task itself end its question, so it wakes now and then and looks whether the plan is
    still held: the wait is a chain of short ones.

    Args:
        waits: how long an answer may take, from the beginning of the DAG run on.
        looks_again: length of one wait.
    """

    template_fields: Sequence[str] = ()
    ui_color = "#fdf3d8"

    def __init__(self, *, waits: timedelta = WAITS, looks_again: timedelta = LOOKS_AGAIN, **kwargs: Any) -> None:
        super().__init__(
            subject="A plan waits for approval",
            options=[APPROVE, REJECT],
            defaults=REJECT,
            response_timeout=looks_again,
            **kwargs,
        )
        self.waits = waits

    def execute(self, context: Context) -> Any:
        """Ask; nothing is asked about a plan that waits no more."""
        require_known(context)
        return self._ask(context)

    def _ask(self, context: Context) -> Any:
        plan_hash = context["params"]["plan_hash"]
        about = engine.about_plan(plan_hash)
        if about is None:
            raise AirflowSkipException(f"plan {plan_hash} is {_OVER}")
        self.subject = f"Plan {plan_hash}: {about['operations']} operations on {about['links']} links"
        self.body = body_of(about, (conf.get("api", "base_url", fallback="") or "").rstrip("/"))
        # Unwrapped: Airflow's guard takes a second question, asked by the task that wakes, for a call from outside.
        return unwrap(HITLOperator.execute)(self, context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, str]:
        """Returns `answer` ("approve", "reject", "unanswered") and `by`; asks again while time is left."""
        given = super().execute_complete(context, event)
        by = given["responded_by_user"]
        if by is not None:
            return {"answer": given["chosen_options"][0].lower(), "by": str(by["name"])}
        plan_hash, run = context["params"]["plan_hash"], context["dag_run"]
        if not engine.is_held(plan_hash):
            raise AirflowSkipException(f"plan {plan_hash} is {_OVER}")
        if datetime.now(UTC) < (run.start_date or run.run_after) + self.waits:
            self._ask(context)
        return {"answer": "unanswered", "by": "nobody"}


class DecideOperator(BaseOperator):
    """Releases or parks exactly the plan that was asked about."""

    template_fields: Sequence[str] = ()
    ui_color = "#e8f1fa"

    def __init__(self, *, asked: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.asked = asked

    def execute(self, context: Context) -> dict[str, Any]:
        """Returns plan, answer, by and how many records it is about.

        An approval of a plan that waits no more fails, because somebody believes it is written now; a rejection of
        one is skipped.
        """
        plan_hash, given = context["params"]["plan_hash"], context["ti"].xcom_pull(task_ids=self.asked)
        if not isinstance(given, dict) or "answer" not in given:
            raise AirflowFailException(f"the task {self.asked} left no answer; clear it to ask again")
        count, refusal = engine.decide_plan(plan_hash, given["answer"])
        if refusal and given["answer"] == "approve":
            raise AirflowFailException(refusal)
        if refusal:
            raise AirflowSkipException(refusal)
        self.log.info("plan %s: %s by %s, %s records", plan_hash, given["answer"], given["by"], count)
        return {"plan_hash": plan_hash, **given, "count": count}


def body_of(about: dict[str, Any], base_url: str) -> str:
    """The plan as Markdown: counts, fields, ids. Values stand on the console's page, behind its login (P10)."""
    lines = ["| records | direction | operation | how many |", "|---|---|---|---|"]
    lines += [
        f"| {entity} | {way} | {kind} | {count} |" for (entity, way, kind), count in sorted(about["kinds"].items())
    ]
    lines += ["", "| records | direction | field | writes |", "|---|---|---|---|"]
    lines += [
        f"| {entity} | {way} | {name} | {count} |" for (entity, way, name), count in sorted(about["fields"].items())
    ]
    ids = ", ".join(f"person {row['person_id'] or '–'} / {row['crm_id'] or 'new'}" for row in about["examples"])
    page = f"{base_url}/leadsync/held/{about['plan_hash']}"
    lines += ["", f"The first: {ids}", "", f"[Every value, before and after]({page})", ""]
    lines.append("**Approve** merges these records again in the next cycle and writes what still holds.")
    lines.append(f"**Reject**, and no answer in {WAITS.days} days, parks the plan: nothing is written, and its hash")
    lines.append("still releases it.")
    return "\n".join(lines)
