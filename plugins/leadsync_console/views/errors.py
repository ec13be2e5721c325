"""What did not cross: browse, search, group by cause, export, try again (R152)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, Depends, Form, Query
from fastapi.responses import HTMLResponse, RedirectResponse, StreamingResponse

from include.leadsync.console import failures
from include.leadsync.console.asking import QuestionInvalid, choice_of, guid_of, number_of, text_of
from include.leadsync.console.failures import Wanted
from include.leadsync.state import ActivityLog
from leadsync_console.access import may_write
from leadsync_console.audit import audited
from leadsync_console.page import HEADERS, PageDep
from leadsync_console.services import addresses
from leadsync_console.state import store

router = APIRouter()
_DIRECTIONS = ("inbound", "outbound")
_ENTITIES = ("lead", "contact")
_OUTCOMES = ("failed", "held", "notice", "recovered")
_Text = Annotated[str, Query(max_length=500)]


def _wanted(
    show: _Text = "open",
    q: _Text = "",
    code: _Text = "",
    direction: _Text = "",
    entity: _Text = "",
    field: _Text = "",
    outcome: _Text = "",
    person: _Text = "",
    crm: _Text = "",
    run: _Text = "",
) -> Wanted:
    """The filter of the address. Raises `QuestionInvalid`."""
    return Wanted(
        all=choice_of("show", show, ("open", "all")) == "all",
        code=text_of("code", code),
        direction=choice_of("direction", direction, _DIRECTIONS),
        entity=choice_of("entity", entity, _ENTITIES),
        field=text_of("field", field),
        outcome=choice_of("outcome", outcome, _OUTCOMES),
        person_id=number_of("person", person),
        crm_id=guid_of("crm", crm),
        run_id=text_of("run", run),
        text=text_of("q", q),
    )


WantedDep = Annotated[Wanted, Depends(_wanted)]


@router.get("/errors")
def errors(page: PageDep, wanted: WantedDep, before: _Text = "") -> HTMLResponse:
    """A page of failures, newest first."""
    with store() as state:
        found = failures.browse(state, wanted, number_of("before", before))
        return page.show(
            "errors.html",
            found=found,
            wanted=wanted,
            open_count=ActivityLog(state).open_count(),
            directions=_DIRECTIONS,
            entities=_ENTITIES,
            outcomes=_OUTCOMES,
            there=addresses(),
        )


@router.get("/errors/causes")
def causes(page: PageDep) -> HTMLResponse:
    """Open failures by cause."""
    with store() as state:
        groups, partial = failures.groups(state)
    return page.show("causes.html", groups=groups, partial=partial, most=failures.GROUPED)


@router.get("/errors.csv")
def export(wanted: WantedDep) -> StreamingResponse:
    """Everything that fits the filter, streamed."""

    def lines() -> Iterator[str]:
        with store() as state:
            yield from failures.exported(state, wanted)

    with store():
        pass  # a store that is away is told before the first byte is sent
    name = {"Content-Disposition": 'attachment; filename="lead-sync-errors.csv"'}
    return StreamingResponse(lines(), media_type="text/csv; charset=utf-8", headers={**HEADERS, **name})


@router.post("/errors/retry", dependencies=[Depends(may_write)])
def retry(
    page: PageDep,
    user: GetUserDep,
    activity: Annotated[str, Form()] = "",
    code: Annotated[str, Form()] = "",
    direction: Annotated[str, Form()] = "",
    entity: Annotated[str, Form()] = "",
    field: Annotated[str, Form()] = "",
    whole: Annotated[str, Form()] = "",
    outcome: Annotated[str, Form()] = "",
) -> RedirectResponse:
    """Another try for one failure, or for all with one cause; `whole`: those of no field."""
    activity_id = number_of("activity", activity)
    wanted = Wanted(
        code=text_of("code", code),
        direction=choice_of("direction", direction, _DIRECTIONS),
        entity=choice_of("entity", entity, _ENTITIES),
        field=text_of("field", field) or ("" if whole else None),
        outcome=choice_of("outcome", outcome, _OUTCOMES),
    )
    if activity_id is None and wanted.code is None:
        raise QuestionInvalid("activity", "a failure, or the code of a cause")
    asked = {"activity": activity_id} if activity_id else {"code": wanted.code, "field": wanted.field}
    with store() as state, audited(user, "retry", {**asked, "before": "open", "after": "read and merged again"}):
        tried = failures.retry(state, wanted, activity_id)
    return page.back_to(
        "/errors" if activity_id else "/errors/causes", "retried", n=tried["failures"], m=tried["links"]
    )
