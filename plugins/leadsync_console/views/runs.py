"""Runs: the list, one run, its plan as a diff, its validation report; and taking a run back."""

from __future__ import annotations

from typing import Annotated

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, Depends, Form, HTTPException, Path, Query
from fastapi.responses import HTMLResponse, RedirectResponse

from include.leadsync.console import held_plans, run_history, undos
from include.leadsync.console.asking import choice_of, number_of, text_of
from include.leadsync.console.planned import RunFiles
from include.leadsync.console.undos import NotUndone
from include.leadsync.undoing import KIND as UNDO
from leadsync_console.access import may_write
from leadsync_console.audit import audited
from leadsync_console.dag_runs import dag_run_path
from leadsync_console.page import HEADERS, PageDep
from leadsync_console.starting import start_undo
from leadsync_console.state import staging_url, store

router = APIRouter()
RunId = Annotated[str, Path(pattern=r"^[0-9A-Za-z][0-9A-Za-z-]{0,79}$", description="the engine's run id")]
_KINDS = ("cycle", "backfill", "request", "reconcile", "undo")
_OUTCOMES = ("done", "failed", "skipped", "planned", "running")
_Text = Annotated[str, Query(max_length=500)]
_REPORT = {
    **HEADERS,  # the report is a page of its own, with its style inside
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'",
}


@router.get("/runs")
def runs(page: PageDep, kind: _Text = "", outcome: _Text = "", before: _Text = "") -> HTMLResponse:
    """A page of runs, newest first, and what the brake holds."""
    with store() as state:
        found = run_history.browse(
            state,
            kind=text_of("kind", kind),
            outcome=choice_of("outcome", outcome, _OUTCOMES),
            token=before or None,
        )
        held = held_plans.waiting(state)
    return page.show("runs.html", found=found, held=held, kinds=_KINDS, outcomes=_OUTCOMES, kind=kind, outcome=outcome)


@router.get("/runs/{run_id}")
def run(page: PageDep, run_id: RunId) -> HTMLResponse:
    """One run: what was asked, what each step did, its first planned writes."""
    with store() as state:
        found = run_history.of_id(state, run_id)
        held = {row["plan_hash"] for row in held_plans.waiting(state)}
        written = run_history.written(state, run_id)
        if found is None:
            raise HTTPException(404, page.say("runs.unknown"))
        obstacle, taken_back = undos.obstacle(state, found), undos.undos_of(state, found)
    files = RunFiles(staging_url(), run_id)
    plan, report = files.plan(), files.has_report()
    listed, fates = undos.listed(staging_url(), run_id) if found["kind"] == UNDO else ([], {})
    return page.show(
        "run.html",
        run=found,
        held=held,
        plan=plan,
        has_report=report,
        written=written,
        dag_run=dag_run_path(run_id),
        obstacle=obstacle,
        undos=taken_back,
        looked=next((one for one in taken_back if one["dry_run"] and one["outcome"] == "planned"), None),
        listed=listed,
        fates=fates,
    )


@router.post("/runs/{run_id}/undo", dependencies=[Depends(may_write)])
def undo(
    page: PageDep,
    run_id: RunId,
    user: GetUserDep,
    looked: Annotated[str, Form(max_length=80)] = "",
    approve: Annotated[str, Form(pattern="^([0-9a-f]{16})?$")] = "",
) -> RedirectResponse:
    """Without `looked` list what taking this run back would do, as a dry run; with the id of that one, do it."""
    with store() as state:
        found = run_history.of_id(state, run_id)
        if found is None:
            raise HTTPException(404, page.say("runs.unknown"))
        if reason := undos.obstacle(state, found):
            raise NotUndone(reason)
        if looked:
            seen = undos.looked(undos.undos_of(state, found), looked)
            if approve and seen["plan_hash"] != approve:
                raise NotUndone("not_looked")
    asked = {"run": run_id, "dry_run": not looked, "looked": looked or None, "approve": approve or None}
    with audited(user, "undo", {**asked, "before": "written", "after": "listed" if not looked else "put back"}):
        start_undo(run_id, dry_run=not looked, approve=approve or None, user=user.get_name(), now=page.now)
    return page.back_to(f"/runs/{run_id}", "undo_begun" if looked else "undo_looking")


@router.get("/plans/{run_id}")
def plan(page: PageDep, run_id: RunId, offset: _Text = "", person: _Text = "", field: _Text = "") -> HTMLResponse:
    """The plan of a run: one row per intended write."""
    files = RunFiles(staging_url(), run_id)
    who, what = number_of("person", person), text_of("field", field)
    shown = files.plan(number_of("offset", offset if offset != "0" else "") or 0, who, what)
    if shown is None:
        raise HTTPException(404, page.say("plan.none"))
    summary = {name: value for name, value in files.summary().items() if name not in {"held_ops", "kept_ops"}}
    return page.show("plan.html", plan=shown, run_id=run_id, summary=summary, person=person, field=field)


@router.get("/reports/{run_id}")
def report(page: PageDep, run_id: RunId) -> HTMLResponse:
    """The validation report of a run, as the engine rendered it."""
    html = RunFiles(staging_url(), run_id).report()
    if html is None:
        raise HTTPException(404, page.say("runs.no_report"))
    return HTMLResponse(html, headers=_REPORT)
