"""What cannot be shown, in words.

A broken question (400), no right (403), nothing there (404), overtaken meanwhile (409), no store (503).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from leadsync_console.language import Words
from leadsync_console.page import Page

if TYPE_CHECKING:
    from include.leadsync.errors import LeadSyncError

log = logging.getLogger(__name__)


def install(app: FastAPI) -> None:
    """Handlers for everything that a view raises on purpose."""
    from include.leadsync.errors import LeadSyncError

    # Starlette types a handler as one of any exception.
    app.add_exception_handler(LeadSyncError, _engine)  # type: ignore[arg-type]
    app.add_exception_handler(HTTPException, _http)  # type: ignore[arg-type]
    app.add_exception_handler(RequestValidationError, _malformed)  # type: ignore[arg-type]


def _shown(request: Request, status: int, title: str, detail: str, hint: str = "") -> Response:
    page = Page(request, can_write=False)
    return page.show("problem.html", status=status, title=title, detail=detail, hint=hint, code=status)


def _engine(request: Request, error: LeadSyncError) -> Response:
    """The engine's own errors. Their texts hold no secret; paths of the machine go to the log only."""
    from include.leadsync.errors import FixConfiguration

    say = Page(request, can_write=False).say
    if (words := _overtaken(error, say)) is not None:
        return _shown(request, *words)
    log.warning("the console could not answer %s: %s", request.scope["path"], error)
    return _shown(request, 503, *_away(error, say, fixable=isinstance(error, FixConfiguration)))


def _overtaken(error: LeadSyncError, say: Words) -> tuple[int, str, str, str] | None:
    """Status, title, detail and hint of what was asked for and cannot be; None for what is away."""
    from include.leadsync.approval import NotHeld
    from include.leadsync.console.asking import QuestionInvalid
    from include.leadsync.console.map_saving import NotWritable
    from include.leadsync.console.map_text import CannotEdit
    from include.leadsync.console.undos import NotUndone

    if isinstance(error, QuestionInvalid):
        detail = say("problem.question_detail", name=error.name, expected=error.expected)
        return 400, say("problem.question"), detail, say("problem.question_hint")
    if isinstance(error, NotHeld):
        return 409, say("problem.stale"), say("problem.stale_detail"), say("problem.stale_hint")
    if isinstance(error, CannotEdit):
        return 409, say("problem.cannot_edit"), str(error), say("problem.cannot_edit_hint")
    if isinstance(error, NotUndone):
        return 409, say("problem.not_undone"), say(f"undo.{error.reason}"), error.detail
    if isinstance(error, NotWritable):
        return 409, say("problem.not_writable"), say(f"fields.{error.reason}"), ""
    return None


def _away(error: LeadSyncError, say: Words, *, fixable: bool) -> tuple[str, str, str]:
    from include.leadsync.console.opening import NoStoreYet
    from include.leadsync.console.run_history import told
    from include.leadsync.errors import ConfigurationInvalid

    if isinstance(error, NoStoreYet):
        return say("problem.no_store"), say("problem.no_store_detail"), say("problem.no_store_hint")
    if isinstance(error, ConfigurationInvalid):
        return say("problem.settings"), say("problem.settings_detail"), say("problem.settings_hint")
    return say("problem.settings" if fixable else "problem.away"), told(str(error)) or "", say("problem.away_hint")


def _http(request: Request, error: HTTPException) -> Response:
    page = Page(request, can_write=False)
    known = {401: "login", 403: "forbidden", 404: "missing", 405: "missing", 409: "cannot_edit"}.get(
        error.status_code, "question"
    )
    answer = _shown(request, error.status_code, page.say(f"problem.{known}"), str(error.detail))
    answer.headers.update(error.headers or {})
    return answer


def _malformed(request: Request, error: RequestValidationError) -> Response:
    """Names what is wrong, never what was sent."""
    say = Page(request, can_write=False).say
    wrong = "; ".join(f"{each['loc'][-1]}: {each['msg']}" for each in error.errors())
    return _shown(request, 400, say("problem.question"), wrong, say("problem.question_hint"))
