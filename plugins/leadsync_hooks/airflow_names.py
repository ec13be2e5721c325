"""Every name of Airflow that the project uses, imported here and nowhere else.

Written for Airflow 3.3; when a later one moves a name, this file is what changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

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
    "lineage_event",
    "lineage_is_wanted",
    "log_context",
    "mail",
    "stats",
]


def mail(to: list[str], subject: str, html: str, conn_id: str) -> None:
    """Send one mail over an Airflow connection of type `smtp`; the texts are not rendered as templates."""
    # Imported here: every parse of a DAG file would pay for it.
    from airflow.providers.smtp.notifications.smtp import SmtpNotifier

    SmtpNotifier(to=to, subject=subject, html_content=html, smtp_conn_id=conn_id).notify({})


def lineage_is_wanted() -> bool:
    """Whether OpenLineage events are sent: its provider is there, and a transport is configured. Off by default."""
    try:
        from airflow.providers.openlineage.conf import is_disabled
    except ImportError:
        return False
    return not is_disabled()


def lineage_event(inputs: Iterable[tuple[str, str]], outputs: Mapping[tuple[str, str], int | None], run_id: str) -> Any:
    """What a task has read and written, for the OpenLineage provider: datasets are (namespace, name).

    `outputs`: dataset → rows written, where that is known. `run_id`: of the engine, as the run's external query.
    """
    from airflow.providers.common.compat.openlineage.facet import (
        Dataset,
        ExternalQueryRunFacet,
        OutputDataset,
        OutputStatisticsOutputDatasetFacet,
    )
    from airflow.providers.openlineage.extractors import OperatorLineage

    def facts(rows: int | None) -> dict[str, Any]:
        return {} if rows is None else {"outputStatistics": OutputStatisticsOutputDatasetFacet(rowCount=rows)}

    return OperatorLineage(
        inputs=[Dataset(namespace, name) for namespace, name in inputs],
        outputs=[OutputDataset(*place, outputFacets=facts(rows)) for place, rows in outputs.items()],
        run_facets={"externalQuery": ExternalQueryRunFacet(externalQueryId=run_id, source="lead-sync")},
    )
