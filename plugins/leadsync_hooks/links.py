"""Buttons on a task in the Airflow UI that lead to what its run produced."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leadsync_hooks.airflow_names import BaseOperator, BaseOperatorLink, conf

if TYPE_CHECKING:
    from airflow.sdk.types import TaskInstanceKey


def page_of(operator: BaseOperator, page: str) -> str:
    """Address of a page about the engine's run, below the API server's own address; "" before the run has an id."""
    run_id = getattr(operator, "engine_run_id", None)
    base = (conf.get("api", "base_url", fallback="") or "").rstrip("/")
    return f"{base}/leadsync/{page}/{run_id}" if run_id else ""


class ValidationReportLink(BaseOperatorLink):
    """The validation report: which rule refused which value."""

    name = "Validation report"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002 - Airflow's signature
        """Address of the report."""
        return page_of(operator, "reports")


class PlanLink(BaseOperatorLink):
    """The plan: every intended write with its reason."""

    name = "Plan"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002 - Airflow's signature
        """Address of the plan."""
        return page_of(operator, "plans")
