"""The token endpoint and the tokens it gives out (section 1, V1-V3)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import parse_qsl, unquote_plus, urlsplit

from include.sandbox.dynamics import catalog
from include.sandbox.dynamics.users import application
from include.sandbox.service import Json, Request, Response

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class TokenError(Exception):
    """A refusal of the token endpoint."""

    def __init__(self, status: int, error: str, code: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.error = error
        self.code = code
        self.text = text


@dataclass(frozen=True, slots=True)
class Grant:
    """What a valid token says: the systemuser id (None: an application without one)."""

    user: str | None


@dataclass(frozen=True, slots=True)
class TokenMint:
    """Makes and checks signed tokens; they live on across restarts of the sandbox."""

    secret: str

    def make(self, claims: Mapping[str, Json]) -> str:
        """A token with these claims."""
        head = _encode(json.dumps({"typ": "JWT", "alg": "HS256"}).encode())
        body = _encode(json.dumps(dict(claims)).encode())
        return f"{head}.{body}.{self._sign(f'{head}.{body}')}"

    def read(self, token: str, now: datetime, base_url: str, epoch: int) -> Grant | None:
        """What a token grants, or None when it is unknown, expired, withdrawn or for another org."""
        signed, _, signature = token.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._sign(signed).encode()):
            return None
        try:
            claims = json.loads(_decode(signed.partition(".")[2]))
        except (ValueError, binascii.Error):
            return None
        if claims["exp"] <= now.timestamp() or claims["epoch"] != epoch or not same_org(claims["aud"], base_url):
            return None
        return Grant(claims["user"])

    def _sign(self, text: str) -> str:
        return _encode(hmac.new(self.secret.encode(), text.encode(), hashlib.sha256).digest())


def _encode(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def same_org(one: str, other: str) -> bool:
    """Whether two org URLs mean the same org: names without case, the loopback names are one machine."""
    return _org(one) == _org(other)


def _org(url: str) -> tuple[str, str, int]:
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return parts.scheme.lower(), "loopback" if host in _LOOPBACK else host, port


class TokenEndpoint:
    """`POST /{tenant}/oauth2/v2.0/token` (and the older `/oauth2/token`)."""

    def __init__(self, mint: TokenMint) -> None:
        self._mint = mint

    def answer(self, request: Request, now: datetime, lifetime: int, epoch: int) -> Response:
        """A token or an error, both JSON."""
        segments = request.path.strip("/").split("/")
        old = "v2.0" not in segments
        try:
            form = _form(request)
            content = self._grant(form, segments[0], request.base_url, now, lifetime, epoch, old=old)
        except TokenError as error:
            return _refusal(error, now)
        return _json(200, content)

    def _grant(
        self,
        form: Mapping[str, str],
        tenant: str,
        base_url: str,
        now: datetime,
        lifetime: int,
        epoch: int,
        *,
        old: bool,
    ) -> dict[str, Json]:
        _check_tenant(tenant)
        registered = _check_client(form, tenant)
        kind = form.get("grant_type", "")
        scope = form.get("resource", "") if old else form.get("scope", "")
        _check_scope(scope, base_url, kind, old=old)
        if kind == "client_credentials":
            user = registered["user"]
        elif kind == "password":
            user = _check_password(form)
        else:
            raise TokenError(400, "unsupported_grant_type", 70003, f"The grant type '{kind}' is not supported.")
        start = int(now.timestamp())
        token = self._mint.make(
            {"aud": _resource(scope), "appid": registered["client_id"], "user": user, "epoch": epoch, "iat": start}
            | {"nbf": start, "exp": start + lifetime, "tid": _organization()["tenant_id"], "uti": str(uuid.uuid4())}
        )
        content: dict[str, Json] = {"token_type": "Bearer", "expires_in": lifetime, "ext_expires_in": lifetime}
        if old:  # the old endpoint answers numbers as text
            content = {"token_type": "Bearer", "expires_in": str(lifetime), "ext_expires_in": str(lifetime)}
            content |= {"expires_on": str(start + lifetime), "not_before": str(start), "resource": scope}
        elif kind == "password":
            content["scope"] = scope
        return {**content, "access_token": token}


def _organization() -> Mapping[str, Json]:
    content: Mapping[str, Json] = catalog.seed()["organization"]
    return content


def _form(request: Request) -> dict[str, str]:
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


def _check_tenant(tenant: str) -> None:
    known = {*_organization()["tenant_names"], _organization()["tenant_id"]}
    if tenant.lower() not in known:
        raise TokenError(400, "invalid_request", 90002, f"Tenant '{tenant}' not found.")


def _check_client(form: Mapping[str, str], tenant: str) -> Mapping[str, Json]:
    client = form.get("client_id", "")
    registered = application(client)
    if registered is None:
        text = f"Application with identifier '{client}' was not found in the directory '{tenant}'."
        raise TokenError(400, "unauthorized_client", 700016, text)
    if not form.get("client_secret"):
        text = "The request body must contain the following parameter: 'client_assertion' or 'client_secret'."
        raise TokenError(401, "invalid_client", 7000218, text)
    if not hmac.compare_digest(form["client_secret"].encode(), str(registered["secret"]).encode()):
        text = f"Invalid client secret provided. Ensure the secret being sent is the value for app '{client}'."
        raise TokenError(401, "invalid_client", 7000215, text)
    return registered


def _check_scope(scope: str, base_url: str, kind: str, *, old: bool) -> None:
    if not scope.strip():
        raise TokenError(
            400, "invalid_scope", 70011, "The provided value for the input parameter 'scope' is not valid."
        )
    if not old and kind == "client_credentials" and not scope.endswith("/.default"):
        text = f"The provided value for scope {scope} is not valid. Client credential flows must end in /.default."
        raise TokenError(400, "invalid_scope", 1002012, text)
    if not same_org(_resource(scope), base_url):
        text = f"The resource principal named {_resource(scope)} was not found in the tenant."
        raise TokenError(400, "invalid_resource", 500011, text)


def _resource(scope: str) -> str:
    first = scope.split(maxsplit=1)[0] if scope.split() else ""
    parts = urlsplit(first)
    return f"{parts.scheme}://{parts.netloc}"


def _check_password(form: Mapping[str, str]) -> str:
    name = form.get("username", "").lower()
    for user in catalog.seed()["rows"]["systemuser"]:
        if user["domainname"] == name and "applicationid" not in user:
            if form.get("password") != _organization()["password"]:
                raise TokenError(400, "invalid_grant", 50126, "Error validating credentials due to invalid password.")
            return str(user["systemuserid"])
    raise TokenError(400, "invalid_grant", 50034, f"The user account {name} does not exist in the directory.")


def _refusal(error: TokenError, now: datetime) -> Response:
    trace, correlation, moment = str(uuid.uuid4()), str(uuid.uuid4()), f"{now:%Y-%m-%d %H:%M:%S}Z"
    description = (
        f"AADSTS{error.code}: {error.text}\r\nTrace ID: {trace}\r\nCorrelation ID: {correlation}\r\nTimestamp: {moment}"
    )
    content = {
        "error": error.error,
        "error_description": description,
        "error_codes": [error.code],
        "timestamp": moment,
        "trace_id": trace,
        "correlation_id": correlation,
        "error_uri": f"https://login.microsoftonline.com/error?code={error.code}",
    }
    return _json(error.status, content)


def discovery(request: Request) -> Response:
    """The OpenID configuration that client libraries ask for before they ask for a token."""
    tenant = request.path.strip("/").split("/")[0]
    root = f"{request.base_url}/{tenant}"
    return _json(
        200,
        {
            "token_endpoint": f"{root}/oauth2/v2.0/token",
            "authorization_endpoint": f"{root}/oauth2/v2.0/authorize",
            "issuer": f"{root}/v2.0",
            "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
        },
    )


def _json(status: int, content: Json) -> Response:
    headers = [("Content-Type", "application/json; charset=utf-8"), ("Cache-Control", "no-store, no-cache")]
    return Response(status, json.dumps(content).encode(), headers)
