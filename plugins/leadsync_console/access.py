"""Who may see the console, who may change something, and that a change was meant (Airflow's own login and rights).

Airflow's cookie is sent along by any page that a browser has open (SameSite=Lax, no CSRF protection), so a change is
only taken from a page of this very server.
"""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import GetUserDep
from airflow.configuration import conf
from fastapi import Depends, HTTPException, Request

DAG_ID = "lead_sync"
CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})


def may_read(user: GetUserDep) -> None:
    """Let pass who may read the task instances of `lead_sync`; 401 comes from the login, 403 from here."""
    allowed = get_auth_manager().is_authorized_dag(
        method="GET", access_entity=DagAccessEntity.TASK_INSTANCE, details=DagDetails(id=DAG_ID), user=user
    )
    if not allowed:
        raise HTTPException(403, "you may not see the runs of lead_sync")


def can_write(user: GetUserDep) -> bool:
    """Whether this user may trigger `lead_sync`: who may do that may change something here."""
    return bool(
        get_auth_manager().is_authorized_dag(
            method="POST", access_entity=DagAccessEntity.RUN, details=DagDetails(id=DAG_ID), user=user
        )
    )


CanWrite = Annotated[bool, Depends(can_write)]


def may_write(allowed: CanWrite) -> None:
    """403 for who may only look."""
    if not allowed:
        raise HTTPException(403, "you may look, but not change anything: that needs the right to trigger lead_sync")


def from_here(request: Request) -> None:
    """403 for a change that another site's page sent.

    A browser names the page's origin with every change, and cannot be made to lie by that page. A request with a
    bearer token needs no such proof: no browser adds that by itself.
    """
    if request.method not in CHANGING or request.headers.get("authorization", "").lower().startswith("bearer "):
        return
    origin = request.headers.get("origin", "")
    if request.headers.get("sec-fetch-site", "same-origin") != "same-origin" or origin not in _own_origins(request):
        raise HTTPException(
            403,
            "this change was not sent by a page of this server; if it was, set [api] base_url to the address you see",
        )


def _own_origins(request: Request) -> set[str]:
    """As the browser addressed us, and as Airflow is configured to be reached behind a proxy."""
    host = request.headers.get("host", "")
    own = {f"{request.url.scheme}://{host}"} if host else set()
    configured = urlsplit(conf.get("api", "base_url", fallback="") or "")
    if configured.scheme and configured.netloc:
        own.add(f"{configured.scheme}://{configured.netloc}")
    return own
