"""The services that the contract is held against, and raw HTTP to them.

Nothing here uses this project's clients: a mistake they share with the sandbox would not show otherwise.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
import requests

from include.leadsync.errors import redact
from include.leadsync.model import Connection

WRITE: Final = "CONTRACT_WRITE"
_NEEDED: Final = {
    "MARKETO": ("HOST", "CLIENT_ID", "CLIENT_SECRET"),
    "DYNAMICS": ("HOST", "TENANT_ID", "CLIENT_ID", "CLIENT_SECRET"),
}
_ENTRA: Final = "https://login.microsoftonline.com"


def real(service: str) -> Connection | None:
    """The connection to a real service that the environment names; None if it names nothing of it.

    Half a connection fails the test: whoever set a variable believes that the real service is asked.
    """
    found = {name: os.environ.get(f"CONTRACT_{service}_{name}", "") for name in _NEEDED[service]}
    authority = os.environ.get(f"CONTRACT_{service}_AUTHORITY", "")
    if not any((*found.values(), authority)):
        return None
    if missing := [f"CONTRACT_{service}_{name}" for name, value in found.items() if not value]:
        pytest.fail(f"the environment names half a {service.title()}: {', '.join(missing)} missing", pytrace=False)
    authority = authority or _ENTRA
    return Connection(
        found["HOST"], found["CLIENT_ID"], found["CLIENT_SECRET"],
        tenant_id=found.get("TENANT_ID", ""), authority=authority if service == "DYNAMICS" else "",
    )  # fmt: skip


NAMED: Final = any(name.startswith(tuple(f"CONTRACT_{service}_" for service in _NEEDED)) for name in os.environ)
"""Whether the environment names a real service, or a part of one."""


@dataclass
class Service:
    """Raw HTTP to one service. `login` gets a token when it is first needed."""

    connection: Connection
    login: Callable[[Service], str] = field(repr=False)
    base: str = ""
    session: requests.Session = field(default_factory=requests.Session, repr=False)
    _token: str = field(default="", repr=False)

    def send(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> requests.Response:
        """One request below the base; `token` instead of our own, the empty one for none."""
        if token is None:
            self._token = self._token or self.login(self)
            token = self._token
        sent = {"Accept": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
        url = path if "://" in path else f"{self.connection.host.rstrip('/')}{self.base}{path}"
        return self.session.request(method, url, headers={**sent, **(headers or {})}, timeout=120, **more)

    def get(self, path: str, **params: Any) -> Any:
        """The JSON of a GET."""
        return self.send("GET", path, params=params).json()

    def post(self, path: str, body: Any = None) -> Any:
        """The JSON of a POST of JSON."""
        return self.send("POST", path, json=body).json()


def marketo_form(connection: Connection) -> dict[str, str]:
    """The fields of Marketo's token request."""
    return {
        "grant_type": "client_credentials",
        "client_id": connection.client_id,
        "client_secret": connection.client_secret,
    }


def marketo_login(service: Service) -> str:
    """A token of Marketo."""
    return _token_in(token_of(service, marketo_form(service.connection)))


def token_of(service: Service, form: Mapping[str, str]) -> requests.Response:
    """The answer of a token endpoint."""
    connection = service.connection
    if not connection.tenant_id:
        return service.session.post(f"{connection.host.rstrip('/')}/identity/oauth/token", data=form, timeout=60)
    url = f"{(connection.authority or _ENTRA).rstrip('/')}/{connection.tenant_id}/oauth2/v2.0/token"
    return service.session.post(url, data=form, timeout=60)


def dynamics_form(connection: Connection) -> dict[str, str]:
    """The fields of Dynamics' token request."""
    return {**marketo_form(connection), "scope": f"{connection.host.rstrip('/')}/.default"}


def dynamics_login(service: Service) -> str:
    """A token of Dynamics."""
    return _token_in(token_of(service, dynamics_form(service.connection)))


def _token_in(answer: requests.Response) -> str:
    """The token; who gets none is told why, without a traceback and without a secret."""
    try:
        told = answer.json()
    except ValueError:
        told = {}
    if "access_token" not in told:
        where = urlsplit(answer.url).netloc
        reason = redact(f"{told.get('error', '')} {told.get('error_description', '')}".strip()) or "no JSON"
        pytest.fail(f"{where} gave no token for these credentials: HTTP {answer.status_code}, {reason}", pytrace=False)
    return str(told["access_token"])
