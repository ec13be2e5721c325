"""Every name of Airflow that the project uses, imported here and nowhere else.

Written for Airflow 3.3; when a later one moves a name, this file is what changes.
"""

from __future__ import annotations

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import (
    DAG,
    Asset,
    BaseHook,
    BaseNotifier,
    BaseOperator,
    BaseOperatorLink,
    Connection,
    Context,
    CronDataIntervalTimetable,
    Param,
    TriggerRule,
    Variable,
    chain,
    conf,
)
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException
from airflow.sdk.observability import stats
from structlog.contextvars import bound_contextvars as log_context

__all__ = [
    "DAG",
    "AirflowException",
    "AirflowFailException",
    "AirflowSkipException",
    "Asset",
    "BaseHook",
    "BaseNotifier",
    "BaseOperator",
    "BaseOperatorLink",
    "Connection",
    "Context",
    "CronDataIntervalTimetable",
    "HITLOperator",
    "Param",
    "TriggerDagRunOperator",
    "TriggerRule",
    "Variable",
    "chain",
    "conf",
    "log_context",
    "mail",
    "stats",
]


def mail(to: list[str], subject: str, html: str, conn_id: str) -> None:
    """Send one mail over an Airflow connection of type `smtp`; the texts are not rendered as templates."""
    # Imported here: every parse of a DAG file would pay for it.
    from airflow.providers.smtp.notifications.smtp import SmtpNotifier

    SmtpNotifier(to=to, subject=subject, html_content=html, smtp_conn_id=conn_id).notify({})
