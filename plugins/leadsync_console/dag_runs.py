"""From the engine's run id to the DAG run in Airflow, where its logs are."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from leadsync_hooks.runs import engine_run_id

log = logging.getLogger(__name__)

DAG_IDS = ("lead_sync", "lead_sync_backfill", "lead_sync_reconcile", "lead_sync_undo", "sync_person_to_microsoft")


def dag_run_path(run_id: str) -> str | None:
    """Its address below Airflow's own; None for a run that Airflow did not make or does not know any more.

    The id begins with the moment after which the DAG run was to run, and ends in a digest of its name.
    """
    from airflow.models import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select
    from sqlalchemy.exc import SQLAlchemyError

    try:
        begun = datetime.strptime(run_id[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None
    within = (DagRun.run_after >= begun) & (DagRun.run_after < begun + timedelta(seconds=1))
    columns = (DagRun.dag_id, DagRun.run_id, DagRun.run_after, DagRun.clear_number)
    candidates = select(*columns).where(DagRun.dag_id.in_(DAG_IDS), within)
    try:
        with create_session() as session:
            found = [(str(row[0]), str(row[1]), row[2], int(row[3] or 0)) for row in session.execute(candidates)]
    except SQLAlchemyError as error:
        log.warning("the DAG run of %s could not be looked for (%s)", run_id, type(error).__name__)
        return None  # the page is worth showing without this link
    names = (
        (dag_id, name)
        for dag_id, name, run_after, cleared in found
        if any(engine_run_id(dag_id, name, run_after, times) == run_id for times in range(cleared + 1))
    )
    return next((f"/dags/{dag_id}/runs/{quote(name, safe='')}" for dag_id, name in names), None)
