"""A run of `sync_person_to_microsoft` for stored requests: one that waits to begin serves all that came before it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

log = logging.getLogger(__name__)

DAG_ID = "sync_person_to_microsoft"
PREFIX = "webhook__"


def serve_soon(request_id: str, conf: Mapping[str, Any], *, user: str = "webhook") -> bool:
    """Start a run unless one is still queued; returns whether one was started.

    Never raises: the request is stored, and at the latest the next cycle of `lead_sync` serves it.
    """
    from airflow.api.common.trigger_dag import trigger_dag
    from airflow.sdk.exceptions import AirflowException
    from airflow.utils.types import DagRunTriggeredByType
    from sqlalchemy.exc import SQLAlchemyError

    try:
        if _one_is_queued():
            return False
        trigger_dag(
            DAG_ID,
            triggered_by=DagRunTriggeredByType.REST_API,
            triggering_user_name=user,
            run_id=f"{PREFIX}{request_id}",
            conf=dict(conf),
        )
    except (AirflowException, SQLAlchemyError, ValueError) as error:
        log.warning("no run was started for request %s (%s); the next cycle serves it", request_id, error)
        return False
    return True


def _one_is_queued() -> bool:
    from airflow.models import DagRun
    from airflow.utils.session import create_session
    from airflow.utils.state import DagRunState
    from sqlalchemy import select

    waiting = select(DagRun.id).where(
        DagRun.dag_id == DAG_ID, DagRun.state == DagRunState.QUEUED, DagRun.run_id.startswith(PREFIX)
    )
    with create_session() as session:
        return session.scalar(waiting.limit(1)) is not None
