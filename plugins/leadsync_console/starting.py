"""Runs of `lead_sync_undo` that a page asks for: started as the form in Airflow would start them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

UNDO_DAG = "lead_sync_undo"


def start_undo(run_id: str, *, dry_run: bool, approve: str | None, user: str, now: datetime) -> str:
    """Start one; returns the engine's id of the new run.

    Raises `NotUndone`: one is under way already ("busy"), or none can be started ("not_started", with the reason).
    """
    from airflow.api.common.trigger_dag import trigger_dag
    from airflow.sdk.exceptions import AirflowException
    from airflow.utils.types import DagRunTriggeredByType
    from sqlalchemy.exc import SQLAlchemyError

    from include.leadsync.console.undos import NotUndone
    from leadsync_hooks.runs import engine_run_id

    prefix = f"undo__{run_id}__"
    conf: dict[str, Any] = {"run": run_id, "dry_run": dry_run, "approve": approve}
    try:
        _require_ready(prefix)
        begun = trigger_dag(
            UNDO_DAG,
            triggered_by=DagRunTriggeredByType.REST_API,
            triggering_user_name=user,
            run_id=f"{prefix}{now:%Y%m%dT%H%M%S%f}",
            conf=conf,
        )
    except (AirflowException, SQLAlchemyError, ValueError) as error:
        raise NotUndone("not_started", f"{type(error).__name__}; is the DAG {UNDO_DAG} there?") from error
    if begun is None:
        raise NotUndone("not_started", f"is the DAG {UNDO_DAG} there?")
    return engine_run_id(UNDO_DAG, begun.run_id, begun.run_after)


def _require_ready(prefix: str) -> None:
    """Raises `NotUndone` where a run would wait for ever, or an undo of the same run waits or is at work."""
    from airflow.models import DagModel, DagRun
    from airflow.utils.session import create_session
    from airflow.utils.state import DagRunState
    from sqlalchemy import select

    from include.leadsync.console.undos import NotUndone

    open_ones = select(DagRun.run_id).where(
        DagRun.dag_id == UNDO_DAG,
        DagRun.state.in_([DagRunState.QUEUED, DagRunState.RUNNING]),
        DagRun.run_id.startswith(prefix, autoescape=True),
    )
    with create_session() as session:
        if session.scalar(select(DagModel.is_paused).where(DagModel.dag_id == UNDO_DAG)):
            raise NotUndone("not_started", f"the DAG {UNDO_DAG} is paused; switch it on in Airflow")
        if session.scalar(open_ones.limit(1)) is not None:
            raise NotUndone("busy")
