"""The app under `/leadsync`: what a run produced, for those who may see the DAG.

The pages hold personal data, so each needs a login (Airflow's cookie or bearer token) and the right to read
`lead_sync`. They are shown under a policy that lets them load nothing and run no script.
"""

from __future__ import annotations

from typing import Annotated

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import Depends, FastAPI, HTTPException, Path
from fastapi.responses import HTMLResponse

from leadsync_console.reports import PlanPage, RunFiles

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
DAG_ID = "lead_sync"
RunId = Annotated[str, Path(pattern=r"^[0-9A-Za-z][0-9A-Za-z-]{0,79}$", description="the engine's run id")]


def may_read(user: GetUserDep) -> None:
    """Let pass who may read the task instances of `lead_sync`; 401 comes from the login, 403 from here."""
    allowed = get_auth_manager().is_authorized_dag(
        method="GET", access_entity=DagAccessEntity.TASK_INSTANCE, details=DagDetails(id=DAG_ID), user=user
    )
    if not allowed:
        raise HTTPException(403, "you may not see the runs of lead_sync")


def build() -> FastAPI:
    """The app; all its routes are guarded."""
    app = FastAPI(
        title="Lead Sync", docs_url=None, redoc_url=None, openapi_url=None, dependencies=[Depends(may_read)]
    )

    @app.get("/reports/{run_id}")
    def report(run_id: RunId) -> HTMLResponse:
        """The validation report of a run, as the engine rendered it."""
        return _page(RunFiles.of(run_id).report(), "This run has no validation report, or its staging has expired.")

    @app.get("/plans/{run_id}")
    def plan(run_id: RunId) -> HTMLResponse:
        """The plan of a run: one row per intended write."""
        return _page(PlanPage(RunFiles.of(run_id)).render(), "This run has no plan, or its staging has expired.")

    return app


def _page(html: str | None, otherwise: str) -> HTMLResponse:
    if html is None:
        raise HTTPException(404, otherwise)
    return HTMLResponse(html, headers=_HEADERS)
