"""The token endpoint, both generations (section 1, V1, V2)."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from include.sandbox.dynamics.documents import Row
from include.sandbox.dynamics.token_requests import (
    TokenError,
    check_client,
    check_scope,
    check_tenant,
    form_of,
    organization,
    require,
)
from include.sandbox.dynamics.tokens import TokenMint, encode_text
from include.sandbox.service import Json, Request, Response

_REFRESH_SECONDS = 90 * 24 * 3600
FindLogin = Callable[[str], Row | None]


@dataclass(frozen=True, slots=True)
class Moment:
    """What a token depends on besides the request: time, life in seconds, epoch, addresses of the org."""

    now: datetime
    lifetime: int
    epoch: int
    orgs: Sequence[str]


@dataclass(frozen=True, slots=True)
class _SignedIn:
    """Who gets the token: application, systemuser id, the person's row (None: the application itself)."""

    client: str
    user: str | None
    person: Row | None = None


class TokenEndpoint:
    """`POST /{tenant}/oauth2/v2.0/token` and the older `/{tenant}/oauth2/token`.

    `find_login` gives the systemuser of a login name.
    """

    def __init__(self, mint: TokenMint, find_login: FindLogin) -> None:
        self._mint = mint
        self._find_login = find_login

    def answer(self, request: Request, moment: Moment) -> Response:
        """A token or an error, both JSON."""
        segments = request.path.strip("/").split("/")
        try:
            _only_post(request.method)
            content = self._grant(form_of(request), segments[0], moment, old="v2.0" not in segments)
        except TokenError as error:
            return _refusal(error, moment.now)
        return json_answer(200, content)

    def _grant(self, form: Mapping[str, str], tenant: str, moment: Moment, *, old: bool) -> dict[str, Json]:
        kind = form.get("grant_type", "")
        check_tenant(tenant, kind)
        require(form, "grant_type")
        registered = check_client(form, tenant, kind)
        asked = form.get("resource", "") if old else form.get("scope", "")
        resource = check_scope(asked, moment.orgs, kind, old=old)
        client = str(registered["client_id"])
        if kind == "client_credentials":
            who = _SignedIn(client, registered["user"])
        elif kind == "password":
            who = self._by_password(form, client)
        elif kind == "refresh_token":
            who = self._by_refresh_token(form, client, moment)
        else:
            text = f"The app requested an unsupported grant type '{kind}'."
            raise TokenError(400, "unsupported_grant_type", 70003, text)
        return self._content(who, resource, asked, moment, old=old) | self._personal(
            form, who, resource, moment, old=old
        )

    def _content(self, who: _SignedIn, resource: str, asked: str, moment: Moment, *, old: bool) -> dict[str, Json]:
        life, start = moment.lifetime, int(moment.now.timestamp())
        token = self._mint.make(_claims(who, resource, moment) | {"epoch": moment.epoch, "user": who.user})
        content: dict[str, Json] = {"token_type": "Bearer", "expires_in": life, "ext_expires_in": life}
        if old:  # the old endpoint answers numbers as text
            content = {"token_type": "Bearer", "expires_in": str(life), "ext_expires_in": str(life)}
            content |= {"expires_on": str(start + life), "not_before": str(start), "resource": asked}
        return {**content, "access_token": token}

    def _personal(
        self, form: Mapping[str, str], who: _SignedIn, resource: str, moment: Moment, *, old: bool
    ) -> dict[str, Json]:
        """What a person's answer has besides: scope, and on request refresh token and id token (section 1.2)."""
        if who.person is None:
            return {}
        asked = form.get("scope", "").split()
        granted = [word for word in asked if word != "offline_access"]
        content: dict[str, Json] = {"scope": "user_impersonation" if old else " ".join(granted)}
        claims = _claims(who, resource, moment)
        if old or "offline_access" in asked:
            expiry = int(moment.now.timestamp()) + _REFRESH_SECONDS
            login = {"use": "refresh", "epoch": moment.epoch, "login": who.person.values.get("domainname")}
            content["refresh_token"] = self._mint.make({**login, "client": who.client, "exp": expiry})
        if "openid" in asked:
            content["id_token"] = self._mint.make({**claims, "use": "id", "aud": who.client, "ver": "2.0"})
        if form.get("client_info") == "1":
            content["client_info"] = encode_text(json.dumps({"uid": claims["oid"], "utid": claims["tid"]}))
        return content

    def _by_password(self, form: Mapping[str, str], client: str) -> _SignedIn:
        name = require(form, "username").lower()
        person = self._find_login(name)
        if person is None:
            text = f"The user account {name} does not exist in the {organization()['tenant_id']} directory."
            raise TokenError(400, "invalid_grant", 50034, text)
        if form.get("password") != organization()["password"]:
            text = "Error validating credentials due to invalid username or password."
            raise TokenError(400, "invalid_grant", 50126, text)
        return self._person(client, person)

    def _by_refresh_token(self, form: Mapping[str, str], client: str, moment: Moment) -> _SignedIn:
        claims = self._mint.claims(require(form, "refresh_token")) or {}
        fresh = claims.get("use") == "refresh" and claims["exp"] > moment.now.timestamp()
        person = self._find_login(str(claims.get("login"))) if fresh else None
        if person is None or claims.get("client") != client:
            raise TokenError(400, "invalid_grant", 70000, "Provided grant is invalid or malformed.")
        return self._person(client, person)

    def _person(self, client: str, person: Row) -> _SignedIn:
        if person.values.get("isdisabled"):
            raise TokenError(400, "invalid_grant", 50057, "The user account is disabled.")
        return _SignedIn(client, person.id, person)


def _claims(who: _SignedIn, resource: str, moment: Moment) -> dict[str, Json]:
    start, tenant = int(moment.now.timestamp()), organization()["tenant_id"]
    subject = who.client
    more: dict[str, Json] = {"idtyp": "app"}
    if who.person is not None:
        values = who.person.values
        subject = str(values.get("azureactivedirectoryobjectid"))
        name = values.get("domainname")
        more = {"name": values.get("fullname"), "preferred_username": name, "upn": name, "scp": "user_impersonation"}
    times = {"iat": start, "nbf": start, "exp": start + moment.lifetime}
    ids = {"appid": who.client, "oid": subject, "sub": subject, "tid": tenant, "uti": str(uuid.uuid4()), "ver": "1.0"}
    return {"aud": resource, "iss": f"https://sts.windows.net/{tenant}/", **times, **ids, **more}


def _only_post(method: str) -> None:
    if method != "POST":
        text = f"The endpoint only accepts POST requests. Received a {method} request."
        raise TokenError(400, "invalid_request", 900561, text)


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
    return json_answer(error.status, content)


def json_answer(status: int, content: Json) -> Response:
    """An answer of the login service."""
    headers = [("Content-Type", "application/json; charset=utf-8"), ("Cache-Control", "no-store, no-cache")]
    headers += [("Pragma", "no-cache"), ("x-ms-request-id", str(uuid.uuid4()))]
    return Response(status, json.dumps(content).encode(), headers)
