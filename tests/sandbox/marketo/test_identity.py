from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.sandbox.marketo.caller import FORM, Caller, answer, code, header

CREDENTIALS = {"grant_type": "client_credentials", "client_id": "sandbox", "client_secret": "sandbox"}
PATH = "/identity/oauth/token"


def ask(marketo: Caller, way: str) -> Any:
    text = urlencode(CREDENTIALS)
    if way == "form":
        return marketo.raw("POST", PATH, "", text.encode(), {"content-type": FORM})
    return marketo.raw("GET" if way == "get" else "POST", PATH, text)


@pytest.mark.parametrize("way", ["get", "post", "form"])
def test_a_token_comes_by_query_and_by_form(marketo: Caller, way: str) -> None:
    """M1."""
    response = ask(marketo, way)
    body = json.loads(response.body)
    assert set(body) == {"access_token", "token_type", "expires_in", "scope"}
    assert body["token_type"] == "bearer"
    assert type(body["expires_in"]) is int
    assert body["scope"] == "sync-api@example.test"
    recorded = {"cache-control": "no-store", "pragma": "no-cache", "x-frame-options": "DENY",
                "x-xss-protection": "1; mode=block", "x-content-type-options": "nosniff"}  # fmt: skip
    assert {name: header(response, name) for name in recorded} == recorded


def test_the_same_token_comes_again_until_it_expires(marketo: Caller) -> None:
    """M2."""
    first = json.loads(marketo.identity().body)
    marketo.clock.advance(60)
    second = json.loads(marketo.identity().body)
    marketo.clock.advance(3541)
    third = json.loads(marketo.identity().body)
    assert second["access_token"] == first["access_token"] != third["access_token"]
    assert second["expires_in"] == first["expires_in"] - 60
    assert third["expires_in"] in {3599, 3600}


@pytest.mark.parametrize("wrong", [{"client_secret": "no"}, {"client_id": "nobody"}, {"client_secret": "ключ"}])
def test_wrong_credentials_answer_401_without_an_envelope(marketo: Caller, wrong: dict[str, str]) -> None:
    """M3."""
    response = marketo.identity(**wrong)
    assert response.status == 401
    assert set(json.loads(response.body)) == {"error", "error_description"}


@pytest.mark.parametrize(("grant", "error"), [("", "invalid_request"), ("password", "unsupported_grant_type")])
def test_a_missing_or_other_grant_answers_400(marketo: Caller, grant: str, error: str) -> None:
    """Section 15."""
    response = marketo.identity(grant_type=grant)
    assert (response.status, json.loads(response.body)["error"]) == (400, error)


def test_two_custom_services_have_tokens_of_their_own(marketo: Caller) -> None:
    """M4."""
    other = json.loads(marketo.identity(client_id="other", client_secret="other").body)
    assert other["access_token"] != marketo.token()
    assert other["scope"] == "other-api@example.test"


def test_an_expired_token_answers_602_once_and_601_after(marketo: Caller) -> None:
    """M5."""
    token = marketo.token()
    marketo.clock.advance(3601)
    codes = [code(marketo.get("/rest/v1/leads/describe.json")) for _ in range(3)]
    assert codes == ["602", "601", "601"]
    assert marketo.token() != token
    assert marketo.get("/rest/v1/leads/describe.json")["success"]


def test_control_can_expire_and_revoke_tokens(marketo: Caller) -> None:
    """M5, section 14."""
    marketo.token()
    assert marketo.emulator.control("expire_tokens", {}) == {"tokens": 1}
    assert code(marketo.get("/rest/v1/leads/describe.json")) == "602"
    marketo.token()
    assert marketo.emulator.control("revoke_tokens", {}) == {"tokens": 1}
    assert code(marketo.get("/rest/v1/leads/describe.json")) == "601"


def test_a_made_up_token_answers_601_with_http_200(marketo: Caller) -> None:
    """M5."""
    response = marketo.raw("GET", "/rest/v1/leads/describe.json", "", b"", {"authorization": "Bearer made-up"})
    assert code(answer(response)) == "601"


def test_no_token_answers_603(marketo: Caller) -> None:
    """M6."""
    assert code(answer(marketo.raw("GET", "/rest/v1/leads/describe.json"))) == "603"


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [("GET", "/", "610"), ("GET", "/rest/v1/nope.json", "610"), ("GET", "/identity/nope", "610"),
     ("PUT", "/rest/v1/leads.json", "605"), ("GET", "/rest/v1/leads.json", "603")],
)  # fmt: skip
def test_what_is_no_resource_is_told_without_a_token(marketo: Caller, method: str, path: str, expected: str) -> None:
    """M6, M17: assumption, as browsers show it that open the bare address."""
    assert code(answer(marketo.raw(method, path))) == expected


def test_a_missing_permission_answers_603_until_it_is_granted(marketo: Caller) -> None:
    """M6: read endpoints accept either permission, writes need the read-write one."""
    user = "sync-api@example.test"
    marketo.emulator.control("revoke", {"user": user, "permissions": ["Read-Write Lead"]})
    write = {"input": [{"email": "ada@example.test"}]}
    assert marketo.get("/rest/v1/leads/describe.json")["success"]
    assert code(marketo.post("/rest/v1/leads.json", write)) == "603"
    marketo.emulator.control("revoke", {"user": user, "permissions": ["Read-Only Lead"]})
    assert code(marketo.get("/rest/v1/leads/describe.json")) == "603"
    assert marketo.get("/rest/v1/activities/types.json")["success"]
    marketo.emulator.control("grant", {"user": user, "permissions": ["Read-Write Lead"]})
    assert marketo.post("/rest/v1/leads.json", write)["success"]


def test_the_token_in_the_query_works_until_the_end_of_august_2026(marketo: Caller) -> None:
    """M7."""

    def by_query() -> dict[str, Any]:
        return answer(marketo.raw("GET", "/rest/v1/leads/describe.json", f"access_token={marketo.token()}"))

    marketo.clock.freeze(datetime(2026, 8, 31, 23, 59, tzinfo=UTC))
    assert by_query()["success"]
    marketo.clock.freeze(datetime(2026, 9, 1, 0, 0, tzinfo=UTC))
    assert code(by_query()) == "603"
    marketo.option(query_token="on")
    assert by_query()["success"]
    marketo.option(query_token="off")
    marketo.clock.freeze(datetime(2026, 1, 1, tzinfo=UTC))
    assert code(by_query()) == "603"


def test_identity_calls_and_free_answers_are_not_counted(marketo: Caller) -> None:
    """M8."""
    marketo.option(rate_limit=1)
    for _ in range(5):
        marketo.token()
        assert code(answer(marketo.raw("GET", "/x", "", b"", {"authorization": "Bearer no"}))) == "601"
        assert code(answer(marketo.send("DELETE", "/rest/v1/leads/describe.json"))) == "605"
    assert marketo.get("/rest/v1/leads/describe.json")["success"]
    marketo.option(rate_limit=100)
    assert marketo.get("/rest/v1/stats/usage.json")["result"][0]["total"] == 2


def test_tokens_survive_a_restart(marketo: Caller) -> None:
    token = marketo.token()
    marketo.restart()
    assert marketo.token() == token
