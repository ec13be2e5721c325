"""Tokens, membership, privileges (V1-V5)."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest

from include.sandbox.clock import MovableClock
from tests.sandbox.dynamics.conftest import ANN, BASE, FORM, SANDBOX_USER, Org, code, content, header, message


def test_a_token_is_given_for_form_credentials(org: Org) -> None:
    """V1."""
    response = org.ask_token(FORM)
    answer = content(response)
    assert response.status == 200
    assert answer["token_type"] == "Bearer"
    assert isinstance(answer["expires_in"], int)
    assert answer["ext_expires_in"] == answer["expires_in"]
    org.token = answer["access_token"]
    assert org.get("WhoAmI").status == 200


def test_a_token_is_given_for_basic_credentials(org: Org) -> None:
    """V1."""
    form = {"grant_type": "client_credentials", "scope": f"{BASE}/.default"}
    basic = base64.b64encode(b"sandbox:sandbox").decode()
    assert org.ask_token(form, authorization=f"Basic {basic}").status == 200


@pytest.mark.parametrize(
    ("change", "status", "error", "number"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client", 7000215),
        ({"client_secret": ""}, 401, "invalid_client", 7000218),
        ({"client_id": "nobody-knows"}, 400, "unauthorized_client", 700016),
        ({"scope": f"{BASE}/user_impersonation"}, 400, "invalid_scope", 1002012),
        ({"scope": ""}, 400, "invalid_scope", 70011),
        ({"scope": "https://elsewhere.example/.default"}, 400, "invalid_resource", 500011),
        (
            {"grant_type": "password", "username": "ann.ax@sandbox.example", "password": "no"},
            400,
            "invalid_grant",
            50126,
        ),
        ({"grant_type": "password", "username": "ghost@sandbox.example"}, 400, "invalid_grant", 50034),
    ],
)
def test_a_refused_token_names_its_reason(
    org: Org, change: dict[str, str], status: int, error: str, number: int
) -> None:
    """V2."""
    response = org.ask_token(FORM | change)
    answer = content(response)
    assert (response.status, answer["error"], answer["error_codes"]) == (status, error, [number])
    assert answer["error_description"].startswith(f"AADSTS{number}: ")
    assert {"timestamp", "trace_id", "correlation_id", "error_uri"} <= answer.keys()


def test_an_unknown_tenant_gets_no_token(org: Org) -> None:
    """V2."""
    response = org.ask_token(FORM, tenant="elsewhere")
    assert (response.status, content(response)["error_codes"]) == (400, [90002])


def test_a_person_signs_in_with_a_password_and_acts_as_herself(org: Org) -> None:
    """V2."""
    form = FORM | {"grant_type": "password", "username": "ann.ax@sandbox.example", "password": "sandbox"}
    org.token = content(org.ask_token(form))["access_token"]
    assert org.read("WhoAmI")["UserId"] == ANN


@pytest.mark.parametrize("token", ["", "not-a-token", "a.b.c"])
def test_without_a_valid_token_the_answer_is_an_empty_401_with_a_challenge(org: Org, token: str) -> None:
    """V3."""
    response = org.call("GET", "WhoAmI", headers={"authorization": f"Bearer {token}"})
    challenge = header(response, "WWW-Authenticate") or ""
    assert (response.status, response.body) == (401, b"")
    assert "authorization_uri=" in challenge
    assert f"resource_id={BASE}" in challenge


@pytest.mark.parametrize("path", ["/api/data", "/api/data/v9.2", "/api/data/v1.0/leads", "/api/data/v9.2/nothing"])
def test_no_address_of_the_api_answers_without_a_token(org: Org, path: str) -> None:
    """V3."""
    assert org.get(path, {"authorization": "Bearer"}).status == 401
    assert org.get(path, {"authorization": "Basic c2FuZGJveDpzYW5kYm94"}).status == 401
    assert org.get("/elsewhere", {"authorization": ""}).status == 404


def test_a_token_expires_in_the_middle_of_paging(make_org: Callable[..., Org], clock: MovableClock) -> None:
    """V3."""
    org = make_org(token_lifetime=60)
    for name in ("A", "B", "C"):
        org.create("leads", {"lastname": name})
    first = org.read("leads", {"Prefer": "odata.maxpagesize=1"}, select="lastname")
    clock.advance(59)
    second = org.read(first["@odata.nextLink"], {"Prefer": "odata.maxpagesize=1"})
    clock.advance(2)
    assert org.get(second["@odata.nextLink"]).status == 401
    org.sign_in()
    assert org.get(second["@odata.nextLink"]).status == 200


def test_tokens_can_be_withdrawn(org: Org) -> None:
    """V3."""
    org.control("expire_tokens")
    assert org.get("WhoAmI").status == 401
    org.sign_in()
    assert org.get("WhoAmI").status == 200


def test_a_token_of_another_org_is_refused(org: Org) -> None:
    """V3."""
    from include.sandbox.service import Request

    request = Request(
        "GET", "/api/data/v9.2/WhoAmI", "", {"authorization": f"Bearer {org.token}"}, b"", "https://other.example"
    )
    assert org.emulator.handle(request).status == 401


def test_an_application_without_a_user_is_no_member(org: Org) -> None:
    """V4."""
    org.sign_in("stranger")
    response = org.get("WhoAmI")
    assert (response.status, code(response)) == (403, "0x80072560")


def test_a_disabled_application_user_is_no_member(org: Org) -> None:
    """V4."""
    org.control("disable_user", user="sandbox")
    response = org.get("WhoAmI")
    assert (response.status, code(response)) == (403, "0x80072560")
    org.control("disable_user", user="sandbox", disabled=False)
    assert org.get("WhoAmI").status == 200


def test_a_user_without_any_role_is_refused(org: Org) -> None:
    """V4."""
    org.control("set_privileges", user="sandbox", table="*", privileges=[])
    response = org.get("WhoAmI")
    assert (response.status, code(response)) == (403, "0x80042f09")


@pytest.mark.parametrize(
    ("missing", "privilege", "method", "path"),
    [
        ("create", "prvCreateLead", "POST", "leads"),
        ("read", "prvReadLead", "GET", "leads({0})"),
        ("read", "prvReadLead", "GET", "leads"),
        ("write", "prvWriteLead", "PATCH", "leads({0})"),
        ("delete", "prvDeleteLead", "DELETE", "leads({0})"),
    ],
)
def test_a_missing_table_privilege_is_refused_by_name(
    org: Org, missing: str, privilege: str, method: str, path: str
) -> None:
    """V5."""
    lead = org.create("leads", {"lastname": "Ax"})
    kept = [verb for verb in ("create", "read", "write", "delete") if verb != missing]
    org.control("set_privileges", user="sandbox", table="lead", privileges=kept)
    response = org.call(method, path.format(lead), {"lastname": "By"} if method in {"POST", "PATCH"} else None)
    assert (response.status, code(response)) == (403, "0x80040220")
    assert privilege in message(response)
    assert org.get("contacts").status == 200
    org.control("set_privileges", user="sandbox", table="lead", privileges=None)
    assert org.get(f"leads({lead})").status == 200


def test_rows_beyond_the_reach_of_a_user_are_absent_and_closed(org: Org) -> None:
    """V5."""
    own = org.create("leads", {"lastname": "Own"})
    foreign = org.create("leads", {"lastname": "Foreign", "ownerid@odata.bind": f"/systemusers({ANN})"})
    rights = {"create": "user", "read": "user", "write": "user", "delete": "user"}
    org.control("set_privileges", user="sandbox", table="lead", privileges=rights)
    assert [row["leadid"] for row in org.values("leads")] == [own]
    assert org.get(f"leads({foreign})").status == 403
    assert org.change(f"leads({foreign})", {"lastname": "Mine"}).status == 403
    assert org.read(f"leads({own})")["_ownerid_value"] == SANDBOX_USER


def test_privileges_are_those_of_one_user(org: Org) -> None:
    """V5."""
    org.control("set_privileges", user="sandbox", table="lead", privileges=["read"])
    org.sign_in("other")
    assert org.call("POST", "leads", {"lastname": "Ax"}).status == 204


@pytest.mark.parametrize("name", ["MSCRMCallerID", "CallerObjectId"])
def test_a_malformed_caller_id_acts_for_nobody(org: Org, name: str) -> None:
    """V46."""
    assert org.get("WhoAmI", {name: "ann"}).status == 400
    assert org.read("WhoAmI", {name: " "})["UserId"] == SANDBOX_USER
