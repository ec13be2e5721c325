"""Plans that the brake holds: looked at, approved, rejected.

By their hash, so that nobody approves what they have not seen (DECISIONS 16).
"""

from __future__ import annotations

from typing import Annotated

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, Depends, Path
from fastapi.responses import HTMLResponse, RedirectResponse

from include.leadsync import approval
from include.leadsync.approval import NotHeld
from include.leadsync.console import held_plans
from leadsync_console.access import may_write
from leadsync_console.audit import audited
from leadsync_console.page import PageDep
from leadsync_console.state import store

router = APIRouter()
Hash = Annotated[str, Path(pattern=r"^[0-9a-f]{16}$", description="the hash of a held plan")]


@router.get("/held/{plan_hash}")
def held(page: PageDep, plan_hash: Hash) -> HTMLResponse:
    """What a held plan would write."""
    with store() as state:
        about = next((row for row in held_plans.waiting(state) if row["plan_hash"] == plan_hash), None)
        if about is None:
            raise NotHeld(plan_hash)
        operations = held_plans.operations(state, plan_hash)
    return page.show("held.html", about=about, operations=operations)


@router.post("/held/{plan_hash}/approve", dependencies=[Depends(may_write)])
def approve(page: PageDep, plan_hash: Hash, user: GetUserDep) -> RedirectResponse:
    """Let it pass."""
    with store() as state, audited(user, "approve", {"plan": plan_hash, "before": "held", "after": "approved"}):
        links = approval.approve(state, plan_hash)
    return page.back_to("/runs", "approved", n=links)


@router.post("/held/{plan_hash}/reject", dependencies=[Depends(may_write)])
def reject(page: PageDep, plan_hash: Hash, user: GetUserDep) -> RedirectResponse:
    """Do not write it."""
    with store() as state, audited(user, "reject", {"plan": plan_hash, "before": "held", "after": "rejected"}):
        count = approval.park(state, plan_hash)
    return page.back_to("/runs", "rejected", n=count)
