"""One person: links, both sides, and why each value is what it is (P9)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Path, Query
from fastapi.responses import HTMLResponse, Response

from include.leadsync.clock import parse_iso
from include.leadsync.console import persons
from include.leadsync.console.asking import LARGEST, QuestionInvalid, guid_of, is_guid, text_of
from leadsync_console.page import Page, PageDep
from leadsync_console.services import addresses, looked_up
from leadsync_console.state import store

router = APIRouter()
_Text = Annotated[str, Query(max_length=500)]


@router.get("/persons")
def search(page: PageDep, q: _Text = "", live: _Text = "") -> Response:
    """The search: ids are found in the store, addresses and names in both systems, and only when asked to."""
    wanted = text_of("q", q)
    if wanted and wanted.isascii() and wanted.isdigit():
        return page.back_to(f"/persons/{int(wanted)}")
    if wanted and is_guid(wanted):
        return page.back_to(f"/records/{guid_of('q', wanted)}")
    found: list[dict[str, Any]] | None = None
    troubles: list[tuple[str, str]] = []
    with store() as state:
        if wanted and live == "1":
            found, troubles = looked_up(state, wanted)
        recent = [] if wanted else persons.recently_written(state)
    return page.show("persons.html", q=q, found=found, troubles=troubles, recent=recent)


@router.get("/persons/{person_id}")
def person(
    page: PageDep,
    person_id: Annotated[int, Path(ge=1, le=LARGEST)],
    field: _Text = "",
    before: _Text = "",
) -> HTMLResponse:
    """A Marketo person."""
    with store() as state:
        subject = persons.of_person(state, person_id)
        return _shown(page, state, subject, field, before)


@router.get("/records/{crm_id}")
def record(
    page: PageDep, crm_id: Annotated[str, Path(max_length=60)], field: _Text = "", before: _Text = ""
) -> Response:
    """A Dynamics record; that of its person where it has one."""
    if not is_guid(crm_id):
        raise QuestionInvalid("id", "a GUID")
    with store() as state:
        subject = persons.of_record(state, guid_of("id", crm_id) or "")
        if subject.person_id is not None:
            return page.back_to(f"/persons/{subject.person_id}")
        return _shown(page, state, subject, field, before)


def _shown(page: Page, state: Any, subject: persons.Subject, field: str, before: str) -> HTMLResponse:
    wanted = text_of("field", field)
    events, older = persons.timeline(state, subject, wanted, _moment(before))
    if not subject.links and not events and not wanted and not before:
        raise HTTPException(404, page.say("person.unknown", id=subject.person_id or subject.crm_id))
    live, there = subject.live, addresses()
    return page.show(
        "person.html",
        subject=subject,
        sides=persons.sides(state, live) if live else [],
        events=events,
        older=older.isoformat() if older else None,
        field=wanted,
        record=there.record(live["entity"], live["crm_id"]) if live else None,
        marketo=there.person(subject.person_id),
    )


def _moment(text: str) -> datetime | None:
    try:
        return parse_iso(text) if text else None
    except (ValueError, OverflowError):
        raise QuestionInvalid("before", "the token of a page") from None
