"""What a token request must say, and the words in which Entra refuses it (sections 1.1-1.3, V1, V2)."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Iterable, Mapping
from urllib.parse import parse_qsl, unquote_plus, urlsplit

from include.sandbox.dynamics import catalog
from include.sandbox.dynamics.tokens import same_org
from include.sandbox.dynamics.users import application
from include.sandbox.service import Json, Request

_EVERY_TENANT = frozenset({"common", "consumers", "organizations"})


class TokenError(Exception):
    """A refusal of the token endpoint."""

    def __init__(self, status: int, error: str, code: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.error = error
        self.code = code
        self.text = text


def organization() -> Mapping[str, Json]:
    """The organisation of the seed, its tenant included."""
    content: Mapping[str, Json] = catalog.seed()["organization"]
    return content


def form_of(request: Request) -> dict[str, str]:
    """The form fields; client id and secret may come as Basic credentials instead (section 1.1)."""
    form = dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))
    kind, _, encoded = request.header("authorization").partition(" ")
    if kind.lower() == "basic":
        try:
            client, _, secret = base64.b64decode(encoded).decode().partition(":")
        except (ValueError, binascii.Error):
            return form
        form.setdefault("client_id", unquote_plus(client))
        form.setdefault("client_secret", unquote_plus(secret))
    return form


def check_tenant(tenant: str, kind: str) -> None:
    """Refuse an unknown tenant, and `common` for a password (section 1.2)."""
    name = tenant.lower()
    if name in _EVERY_TENANT and kind in {"password", "refresh_token"}:
        if name == "organizations":
            return
        text = "The grant type is not supported over the /common or /consumers endpoints. Please use the "
        raise TokenError(400, "invalid_request", 9001023, f"{text}/organizations or tenant-specific endpoint.")
    if name not in {*organization()["tenant_names"], organization()["tenant_id"]}:
        text = f"Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into "
        raise TokenError(400, "invalid_request", 90002, f"{text}the correct cloud.")


def require(form: Mapping[str, str], name: str) -> str:
    """A field that must be there."""
    if not form.get(name):
        text = f"The request body must contain the following parameter: '{name}'."
        raise TokenError(400, "invalid_request", 900144, text)
    return form[name]


def check_client(form: Mapping[str, str], tenant: str, kind: str) -> Mapping[str, Json]:
    """The registered application behind client id and secret."""
    client = require(form, "client_id")
    registered = application(client)
    if registered is None:
        text = f"Application with identifier '{client}' was not found in the directory '{tenant}'."
        raise TokenError(400, "unauthorized_client", 700016, text)
    if form.get("client_assertion"):
        # The registered applications have no certificates.
        raise TokenError(401, "invalid_client", 700027, "Client assertion failed signature validation.")
    if not form.get("client_secret"):
        if kind in {"password", "refresh_token"}:
            return registered  # Assumption: the applications allow public client flows (section 1.2).
        text = "The request body must contain the following parameter: 'client_assertion' or 'client_secret'."
        raise TokenError(401, "invalid_client", 7000218, text)
    if not hmac.compare_digest(form["client_secret"].encode(), str(registered["secret"]).encode()):
        text = (
            "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, "
            f"not the client secret ID, for a secret added to app '{client}'."
        )
        raise TokenError(401, "invalid_client", 7000215, text)
    return registered


def check_scope(scope: str, orgs: Iterable[str], kind: str, *, old: bool) -> str:
    """The org URL that the scope (v2) or the resource (`old`) names; it must be one of `orgs`."""
    resource = _resource(scope)
    if resource is None:
        text = f"The provided value for the input parameter 'scope' is not valid. The scope '{scope}' is malformed."
        raise TokenError(400, "invalid_scope", 70011, text)
    if not old and kind == "client_credentials" and not scope.strip().endswith("/.default"):
        text = (
            f"The provided value for scope {scope} is not valid. Client credential flows must have a scope value "
            "with /.default suffixed to the resource identifier (application ID URI)."
        )
        raise TokenError(400, "invalid_scope", 1002012, text)
    if not any(same_org(resource, org) for org in orgs):
        text = f"The resource principal named {resource} was not found in the tenant."
        raise TokenError(400, "invalid_resource", 500011, text)
    return resource


def _resource(scope: str) -> str | None:
    """The first URL among the scopes; the others are words such as `openid`, in any order."""
    for word in scope.split():
        parts = urlsplit(word)
        if parts.scheme in {"http", "https"} and parts.netloc:
            return f"{parts.scheme}://{parts.netloc}"
    return None
