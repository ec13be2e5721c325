"""Sync Person to Microsoft: what was asked for, and a form to ask (R47, D22)."""

from __future__ import annotations

from typing import Annotated, Any

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, Depends, Form, Query
from fastapi.responses import HTMLResponse, RedirectResponse

from include.leadsync.console import request_list
from include.leadsync.console.asking import QuestionInvalid, choice_of, number_of, text_of
from leadsync_console.access import may_write
from leadsync_console.audit import audited
from leadsync_console.page import PageDep
from leadsync_console.state import store

router = APIRouter()
MOST = 100
"""Persons of one form."""
_LARGEST_ID = 2**31 - 1
_SYNC_AS = ("lead", "contact")
_Text = Annotated[str, Query(max_length=500)]


@router.get("/requests")
def requests(page: PageDep, state: _Text = "", before: _Text = "", person: _Text = "") -> HTMLResponse:
    """A page of requests, newest first, and the form."""
    wanted = choice_of("state", state, request_list.STATES)
    with store() as opened:
        found = request_list.browse(opened, wanted, number_of("before", before))
    return page.show(
        "requests.html", found=found, state=wanted, states=request_list.STATES, person=number_of("person", person)
    )


@router.post("/requests", dependencies=[Depends(may_write)])
def ask(
    page: PageDep,
    user: GetUserDep,
    persons: Annotated[str, Form(max_length=4000)] = "",
    sync_as: Annotated[str, Form(max_length=20)] = "lead",
    owner: Annotated[str, Form(max_length=500)] = "",
    reason: Annotated[str, Form(max_length=500)] = "",
    token: Annotated[str, Form(max_length=100)] = "",
) -> RedirectResponse:
    """Store the requests and have them served at once; a form that is sent twice asks once."""
    from leadsync_hooks.engine import store_requests
    from leadsync_webhook.serving import serve_soon

    ids = _ids(persons)
    values: dict[str, Any] = {
        "sync_as": choice_of("sync_as", sync_as, _SYNC_AS) or "lead",
        "owner": text_of("owner", owner),
        "reason": text_of("reason", reason),
        "token": f"console/{text_of('token', token) or page.now.isoformat()}",
    }
    with store():
        pass  # a page makes no store
    told = {
        "persons": ids,
        "sync_as": values["sync_as"],
        "token": values["token"],
    }  # no owner, no reason: they name people
    with audited(user, "request", {**told, "before": "none", "after": "asked for"}):
        stored = store_requests(ids, source="console", **values)
    if stored["new"]:
        serve_soon(stored["ids"][0], {"persons": ids, **values}, user=user.get_name())
    return page.back_to("/requests", "requested" if stored["new"] else "known", n=stored["new"])


def _ids(text: str) -> list[int]:
    """Marketo ids, between commas, blanks or lines. Raises `QuestionInvalid`."""
    parts = text.replace(",", " ").replace(";", " ").split()
    ids = list(dict.fromkeys(number_of("persons", part) or 0 for part in parts))
    if not ids or len(ids) > MOST or max(ids) > _LARGEST_ID:
        raise QuestionInvalid("persons", f"1 to {MOST} Marketo ids")
    return ids
