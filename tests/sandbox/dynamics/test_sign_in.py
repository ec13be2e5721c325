"""What sign-in libraries ask for: discovery documents, both token endpoints, people's tokens (V1, V2; section 1)."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest

from include.sandbox.clock import MovableClock
from include.sandbox.service import Request, Response
from tests.sandbox.dynamics.conftest import ANN, BASE, FORM, Org, content

PERSON = {
    "grant_type": "password",
    "client_id": "sandbox",
    "username": "Ann.Ax@sandbox.example",
    "password": "sandbox",
    "scope": f"openid profile {BASE}/.default offline_access",
}
OLD = {"grant_type": "client_credentials", "client_id": "sandbox", "client_secret": "sandbox", "resource": f"{BASE}/"}


def ask(org: Org, path: str, form: dict[str, str] | None = None, *, base: str = BASE, method: str = "") -> Response:
    target, _, query = path.partition("?")
    body = urlencode(form or {}).encode()
    return org.emulator.handle(Request(method or ("POST" if form else "GET"), target, query, {}, body, base))


def claims(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))))


@pytest.mark.parametrize("tenant", ["sandbox", "sandbox.onmicrosoft.com", "5a9db0c5-0000-4000-8000-000000000003"])
def test_the_openid_configuration_leads_to_a_token_endpoint_that_works(org: Org, tenant: str) -> None:
    """V1; msal needs issuer, jwks_uri and both endpoints."""
    found = content(ask(org, f"/{tenant}/v2.0/.well-known/openid-configuration"))
    assert found["issuer"] == f"{BASE}/{tenant}/v2.0"
    assert found["authorization_endpoint"] == f"{BASE}/{tenant}/oauth2/v2.0/authorize"
    assert content(ask(org, found["jwks_uri"].removeprefix(BASE))) == {"keys": []}
    assert ask(org, found["token_endpoint"].removeprefix(BASE), FORM).status == 200


def test_the_older_configuration_names_the_older_endpoint(org: Org) -> None:
    found = content(ask(org, "/sandbox/.well-known/openid-configuration"))
    assert found["token_endpoint"] == f"{BASE}/sandbox/oauth2/token"
    assert ask(org, found["token_endpoint"].removeprefix(BASE), OLD).status == 200


def test_an_unknown_tenant_has_no_configuration(org: Org) -> None:
    response = ask(org, "/elsewhere/v2.0/.well-known/openid-configuration")
    assert (response.status, content(response)["error"]) == (400, "invalid_tenant")


def test_instance_discovery_knows_this_host(org: Org) -> None:
    asked = f"{BASE}/sandbox/oauth2/v2.0/authorize"
    path = f"/common/discovery/instance?api-version=1.1&authorization_endpoint={asked}"
    found = content(ask(org, path))
    assert found["tenant_discovery_endpoint"] == f"{BASE}/sandbox/v2.0/.well-known/openid-configuration"
    assert found["metadata"][0]["aliases"] == ["org.example"]


@pytest.mark.parametrize(("name", "kind"), [("ann.ax@sandbox.example", "Managed"), ("x@y.example", "Unknown")])
def test_the_user_realm_says_whether_an_account_is_managed_here(org: Org, name: str, kind: str) -> None:
    assert content(ask(org, f"/common/userrealm/{name}?api-version=1.0"))["account_type"] == kind


def test_the_older_endpoint_takes_a_resource_and_answers_numbers_as_text(org: Org) -> None:
    """V1, section 1.1."""
    answer = content(ask(org, "/sandbox/oauth2/token", OLD))
    assert (answer["expires_in"], answer["resource"]) == ("3599", f"{BASE}/")
    assert int(answer["expires_on"]) - int(answer["not_before"]) == 3599
    org.token = answer["access_token"]
    assert org.get("WhoAmI").status == 200


def test_a_token_says_for_which_org_application_and_tenant_it_is(org: Org) -> None:
    """V1: the audience is the org's URL."""
    found = claims(org.sign_in())
    assert (found["aud"], found["appid"]) == (BASE, "sandbox")
    assert found["exp"] - found["iat"] == 3599


def test_a_person_s_answer_has_scope_and_what_the_scope_asks_for(org: Org) -> None:
    """Section 1.2: refresh token with offline_access, id token with openid, no secret for a public client."""
    answer = content(org.ask_token(PERSON))
    assert f"{BASE}/.default" in answer["scope"].split()
    assert claims(answer["id_token"])["preferred_username"] == "ann.ax@sandbox.example"
    org.token = answer["access_token"]
    assert org.read("WhoAmI")["UserId"] == ANN
    short = content(org.ask_token(PERSON | {"scope": f"{BASE}/user_impersonation"}))
    assert not {"refresh_token", "id_token"} & short.keys()


def test_a_refresh_token_gives_a_new_token_and_opens_nothing_itself(org: Org, clock: MovableClock) -> None:
    """Section 1.2."""
    kept = content(org.ask_token(PERSON))["refresh_token"]
    clock.advance(7200)
    form = {name: PERSON[name] for name in ("client_id", "scope")} | {"grant_type": "refresh_token"}
    org.token = content(org.ask_token(form | {"refresh_token": kept}))["access_token"]
    assert org.read("WhoAmI")["UserId"] == ANN
    org.token = kept
    assert org.get("WhoAmI").status == 401
    assert content(org.ask_token(form | {"refresh_token": "x.y.z"}))["error_codes"] == [70000]


def test_an_application_gets_no_refresh_token(org: Org) -> None:
    """Section 1.1."""
    assert set(content(org.ask_token(FORM))) == {"token_type", "expires_in", "ext_expires_in", "access_token"}


@pytest.mark.parametrize(
    ("form", "tenant", "error", "number"),
    [
        ({}, "sandbox", "invalid_request", 900144),
        ({"grant_type": "client_credentials"}, "sandbox", "invalid_request", 900144),
        (FORM | {"grant_type": "device"}, "sandbox", "unsupported_grant_type", 70003),
        (FORM | {"scope": "org/.default"}, "sandbox", "invalid_scope", 70011),
        (FORM | {"client_secret": "", "client_assertion": "x"}, "sandbox", "invalid_client", 700027),
        (PERSON, "common", "invalid_request", 9001023),
        (FORM, "common", "invalid_request", 90002),
    ],
)
def test_other_refusals_of_the_token_endpoint(
    org: Org, form: dict[str, str], tenant: str, error: str, number: int
) -> None:
    """V2, section 1.3."""
    answer = content(org.ask_token(form, tenant=tenant))
    assert (answer["error"], answer["error_codes"]) == (error, [number])
    assert answer["error_uri"].endswith(f"?code={number}")


def test_a_disabled_person_does_not_get_in(org: Org) -> None:
    """V2: 50057."""
    org.control("disable_user", user="Ann Ax")
    assert content(org.ask_token(PERSON))["error_codes"] == [50057]


def test_the_token_endpoint_wants_a_post(org: Org) -> None:
    response = ask(org, "/sandbox/oauth2/v2.0/token")
    assert (response.status, content(response)["error_codes"]) == (400, [900561])


def test_an_authority_of_another_name_gives_tokens_for_the_addresses_of_the_org(make_org: Callable[..., Org]) -> None:
    """An option for set-ups in which sign-in and org have different host names."""
    org = make_org()
    login = "https://login.example"
    refused = ask(org, "/sandbox/oauth2/v2.0/token", FORM, base=login)
    assert content(refused)["error_codes"] == [500011]
    org.control("set_options", org_urls=f"{BASE} https://org2.example")
    org.token = content(ask(org, "/sandbox/oauth2/v2.0/token", FORM, base=login))["access_token"]
    assert org.get("WhoAmI").status == 200
