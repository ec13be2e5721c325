"""What sign-in libraries read before they ask for a token: OpenID configuration, keys, instance, user realm.

Sources: OpenID Connect Discovery 1.0; the requests of msal for Python and JavaScript. The sandbox's authority
is `https://HOST:PORT/{tenant}`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import unquote, urlsplit

from include.sandbox.dynamics.documents import Row
from include.sandbox.dynamics.token_endpoint import json_answer
from include.sandbox.dynamics.token_requests import organization
from include.sandbox.service import Json, Request, Response

_CONFIGURATION = re.compile(r"/([^/]+)(/v2\.0)?/\.well-known/openid-configuration")
_KEYS = re.compile(r"/[^/]+/discovery/(?:v2\.0/)?keys")
_REALM = re.compile(r"/common/userrealm/(.+)")
_INSTANCE = "/common/discovery/instance"
_EVERY_TENANT = frozenset({"common", "consumers", "organizations"})


def login_document(request: Request, find_login: Callable[[str], Row | None]) -> Response | None:
    """The document at the path of a GET, or None when there is none."""
    if found := _CONFIGURATION.fullmatch(request.path):
        return _configuration(request.base_url, found[1], v2=found[2] is not None)
    if _KEYS.fullmatch(request.path):
        # Access tokens are opaque to clients (section 1.1); these are signed with a secret, so there is no key to give.
        return json_answer(200, {"keys": []})
    if request.path == _INSTANCE:
        return _instance(request)
    if found := _REALM.fullmatch(request.target):
        return _realm(unquote(found[1]), find_login)
    return None


def _configuration(base: str, tenant: str, *, v2: bool) -> Response:
    known = {*organization()["tenant_names"], organization()["tenant_id"], *_EVERY_TENANT}
    if tenant.lower() not in known:
        text = f"AADSTS90002: Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID."
        return json_answer(400, {"error": "invalid_tenant", "error_description": text, "error_codes": [90002]})
    root, version = f"{base}/{tenant}", "/v2.0" if v2 else ""
    content: dict[str, Json] = {
        "token_endpoint": f"{root}/oauth2{version}/token",
        "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
        "jwks_uri": f"{root}/discovery{version}/keys",
        "response_modes_supported": ["query", "fragment", "form_post"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["HS256"],
        "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "issuer": f"{root}/v2.0" if v2 else f"{root}/",
        "request_uri_parameter_supported": False,
        "authorization_endpoint": f"{root}/oauth2{version}/authorize",
        "end_session_endpoint": f"{root}/oauth2{version}/logout",
        "claims_supported": ["sub", "iss", "aud", "exp", "iat", "name", "oid", "preferred_username", "tid", "ver"],
        "tenant_region_scope": "NA",
        "cloud_instance_name": "microsoftonline.com",
    }
    return json_answer(200, content)


def _instance(request: Request) -> Response:
    """Instance discovery: the authority asked about is known, and this host is its only alias."""
    asked = dict(request.parameters()).get("authorization_endpoint", "")
    host = urlsplit(request.base_url).netloc
    tenant = urlsplit(asked).path.strip("/").split("/")[0] or "common"
    content = {
        "tenant_discovery_endpoint": f"{request.base_url}/{tenant}/v2.0/.well-known/openid-configuration",
        "api-version": "1.1",
        "metadata": [{"preferred_network": host, "preferred_cache": host, "aliases": [host]}],
    }
    return json_answer(200, content)


def _realm(name: str, find_login: Callable[[str], Row | None]) -> Response:
    """Whether an account is managed here, asked before a password is sent."""
    kind = "Managed" if find_login(name.lower()) is not None else "Unknown"
    domain = name.rpartition("@")[2]
    content = {"ver": "1.0", "account_type": kind, "domain_name": domain, "cloud_instance_name": "microsoftonline.com"}
    return json_answer(200, {**content, "cloud_audience_urn": "urn:federation:MicrosoftOnline"})
