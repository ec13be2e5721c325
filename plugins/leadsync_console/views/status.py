"""Where things stand, at a glance (R153, R154)."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from include.leadsync.clock import SystemClock
from include.leadsync.console import held_plans, run_history
from include.leadsync.console.backlog import backlog
from include.leadsync.console.quotas import quotas
from include.leadsync.console.trends import trends
from include.leadsync.state import ActivityLog, Links
from leadsync_console.charts import chart
from leadsync_console.page import PageDep
from leadsync_console.state import settings, store

router = APIRouter()
_LAST_RUNS = 8


@router.get("/")
def status(page: PageDep) -> HTMLResponse:
    """Backlog, last full hour, budgets, connections, trends, last runs."""
    configured = settings()
    with store() as state:
        runs = run_history.recent(state)
        counted = trends(state, page.now)
        return page.show(
            "status.html",
            backlog=backlog(state),
            failures=ActivityLog(state).open_count(),
            held=[plan for plan in held_plans.waiting(state) if plan["state"] == held_plans.HELD],
            links=Links(state).count_live(),
            hour=counted["hour"],
            day=chart(counted["day"], "%H", 3),
            month=chart(counted["month"], "%d", 5),
            quotas=quotas(state, configured, SystemClock()),
            connections=run_history.connections(runs),
            runs=runs[:_LAST_RUNS],
        )
