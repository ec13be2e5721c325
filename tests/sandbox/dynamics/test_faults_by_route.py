"""Faults of the Dynamics side over real sockets, route by route (V59)."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from include.sandbox.server import SandboxServer
from tests.sandbox.conftest import RecordedWaits
from tests.waiting import PATIENCE


@pytest.fixture(scope="module")
def waits() -> RecordedWaits:
    """The delays that slow answers had."""
    return RecordedWaits()


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory, waits: RecordedWaits) -> Iterator[SandboxServer]:
    folder: Path = tmp_path_factory.mktemp("faults")
    with SandboxServer(folder, wait=waits) as running:
        yield running


@pytest.fixture
def ask(sandbox: SandboxServer) -> Iterator[Any]:
    """One request by a signed-in application: status, headers in lower case, body."""
    url = sandbox.dynamics_url
    host = urlsplit(url).netloc

    def send(method: str, path: str, body: str | None = None, **headers: str) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(host, timeout=PATIENCE)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            names = {name.lower(): value for name, value in response.getheaders()}
            return response.status, names, response.read()
        finally:
            connection.close()

    form = {"grant_type": "client_credentials", "client_id": "sandbox", "client_secret": "sandbox"}
    _, _, answer = send("POST", "/sandbox/oauth2/v2.0/token", urlencode({**form, "scope": f"{url}/.default"}))
    token = json.loads(answer)["access_token"]

    def ask(method: str, path: str, body: str | None = None) -> tuple[int, dict[str, str], bytes]:
        return send(method, f"/api/data/v9.2/{path}", body, Authorization=f"Bearer {token}")

    yield ask
    sandbox.control("faults.clear")


def plan(sandbox: SandboxServer, path: str, effect: dict[str, Any], **more: Any) -> None:
    rule = {"name": "r", "service": "dynamics", "path": path, "effect": effect, **more}
    sandbox.control("faults.set", {"rules": [rule]})


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_route_answers_as_a_gateway_does_and_others_go_on(sandbox: SandboxServer, ask: Any, status: int) -> None:
    """V59."""
    plan(sandbox, "/leads$", {"status": status})
    found, headers, body = ask("GET", "leads")
    assert (found, headers["content-type"]) == (status, "text/html")
    assert body.startswith(b"<html>")
    assert ask("GET", "contacts")[0] == 200


def test_a_route_answers_an_error_of_the_service(sandbox: SandboxServer, ask: Any) -> None:
    """V59, V58."""
    plan(sandbox, "/leads$", {"error": "0x80072322", "retry_after": 7}, method="POST", times=1)
    found, headers, body = ask("POST", "leads", "{}")
    assert (found, headers["retry-after"], json.loads(body)["error"]["code"]) == (429, "7", "0x80072322")
    assert ask("POST", "leads", "{}")[0] == 204


@pytest.mark.parametrize(("moment", "kept"), [("before", 0), ("after", 1)])
def test_a_connection_drops_before_or_after_the_commit(
    sandbox: SandboxServer, ask: Any, moment: str, kept: int
) -> None:
    """V59."""
    before = sandbox.control("row_count", {"entity": "account"}, service="dynamics")
    plan(sandbox, "/accounts$", {"drop": moment}, method="POST", times=1)
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        ask("POST", "accounts", "{}")
    assert sandbox.control("row_count", {"entity": "account"}, service="dynamics") == before + kept


def test_an_answer_is_cut_in_the_middle(sandbox: SandboxServer, ask: Any) -> None:
    """V59."""
    plan(sandbox, "/leads$", {"cut": 0.5})
    with pytest.raises(http.client.IncompleteRead):
        ask("GET", "leads")


def test_a_route_is_slow_when_told(sandbox: SandboxServer, ask: Any, waits: RecordedWaits) -> None:
    """V59."""
    plan(sandbox, "/WhoAmI$", {"delay": 50})
    assert ask("GET", "contacts")[0] == 200
    assert waits == []
    assert ask("GET", "WhoAmI")[0] == 200
    assert waits == [50]
