"""`POST /leadsync-webhook/requests`: store a request, and see to it that a run serves it.

Guarded by a shared secret in a header, compared in constant time; the same person with the same token is one
request, however often it is sent (DECISIONS 28). Without a secret the endpoint is off.
"""

from __future__ import annotations

import hmac
import logging
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Header, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from leadsync_webhook.serving import serve_soon

log = logging.getLogger(__name__)

SECRET_VARIABLE = "leadsync_webhook_secret"  # noqa: S105 - the name of a variable
SECRET_HEADER = "X-Lead-Sync-Secret"  # noqa: S105 - the name of a header
SHORTEST_SECRET = 16
LARGEST_BODY = 8_192
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}

_Text = Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")


class Asked(BaseModel):
    """The body. Numbers may come as texts, because a webhook's template puts a person's id between quotes."""

    model_config = ConfigDict(extra="forbid")

    person: Annotated[int, Field(ge=1, le=2**63 - 1)]
    token: Annotated[str, _Text]
    sync_as: Literal["lead", "contact"] = "lead"
    owner: Annotated[str, _Text] | None = None
    reason: Annotated[str, Field(max_length=1000)] | None = None


def build() -> FastAPI:
    """The app, with its one route."""
    app = FastAPI(title="Lead Sync webhook", docs_url=None, redoc_url=None, openapi_url=None)

    @app.post("/requests")
    async def requests(request: Request, x_lead_sync_secret: Annotated[str, Header()] = "") -> JSONResponse:
        """200 with `request` (its id) and `outcome`: stored, or known when it was sent before."""
        await run_in_threadpool(require_secret, x_lead_sync_secret)
        asked = parsed(await _body(request))
        stored = await run_in_threadpool(store, asked)
        return JSONResponse(stored, headers=_HEADERS)

    return app


def require_secret(given: str) -> None:
    """503 while the endpoint is off, 401 for a wrong secret."""
    expected = _secret()
    if len(expected) < SHORTEST_SECRET:
        raise HTTPException(503, f"the webhook is off; set the Airflow variable {SECRET_VARIABLE} to a long secret")
    if not hmac.compare_digest(given.encode("latin-1"), expected.encode()):  # as starlette reads headers
        log.warning("a request with a wrong %s was turned away", SECRET_HEADER)
        raise HTTPException(401, f"{SECRET_HEADER} is missing or wrong")


def parsed(body: bytes) -> Asked:
    """422 names what is wrong, never what was sent."""
    try:
        return Asked.model_validate_json(body)
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, each['loc'])) or 'body'}: {each['msg']}" for each in error.errors()]
        raise HTTPException(422, "; ".join(wrong)) from None


def store(asked: Asked) -> dict[str, Any]:
    """Store the request, then start a run unless one is about to begin.

    503 when the state store cannot take it: Marketo shall send it again.
    """
    from include.leadsync.errors import LeadSyncError
    from leadsync_hooks.engine import store_requests

    values = asked.model_dump(exclude={"person"})
    try:
        stored = store_requests([asked.person], source="webhook", **values)
    except LeadSyncError as error:
        raise HTTPException(503, f"not stored: {error}") from error
    (request_id,) = stored["ids"]
    if stored["new"]:
        serve_soon(request_id, {"persons": [asked.person], **values})
    return {"request": request_id, "outcome": "stored" if stored["new"] else "known"}


async def _body(request: Request) -> bytes:
    """413 for a body that is larger than any request."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_BODY:
            raise HTTPException(413, f"a request has at most {LARGEST_BODY} bytes")
    return body


def _secret() -> str:
    from airflow.models.variable import Variable  # the API server's own: the SDK's asks the API server

    return str(Variable.get(SECRET_VARIABLE, default_var="") or "")
