"""The same rules through sockets: what only a server can get wrong."""

from __future__ import annotations

import gzip
import json
import socket
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPResponse
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from include.sandbox.server import SandboxServer
from tests.sandbox.marketo.caller import FORM
from tests.waiting import PATIENCE, wait_until

IDENTITY = "grant_type=client_credentials&client_id=sandbox&client_secret=sandbox"


class Wire:
    """Raw HTTP to the Marketo port; paths go out as they are."""

    def __init__(self, url: str) -> None:
        self.host = urlsplit(url).netloc
        self.token = json.loads(self.ask("GET", f"/identity/oauth/token?{IDENTITY}")[1])["access_token"]

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[HTTPResponse, bytes]:
        connection = HTTPConnection(self.host, timeout=PATIENCE)
        try:
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            return response, response.read()
        finally:
            connection.close()

    def call(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[HTTPResponse, dict[str, Any]]:
        more = {key.replace("_", "-"): each for key, each in headers.items()}
        sent = {"Authorization": f"Bearer {self.token}", **more}
        response, content = self.ask(method, path, body, sent)
        return response, dict(json.loads(content))


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    with SandboxServer(tmp_path_factory.mktemp("wire")) as sandbox:
        yield Wire(sandbox.marketo_url)


def test_an_answer_is_json_in_utf_8_from_nginx(wire: Wire) -> None:
    """M11, section 1."""
    text = "Łukasz 李 😀"
    body = json.dumps({"input": [{"lastName": text}], "action": "createDuplicate"}).encode()
    _, made = wire.call("POST", "/rest/v1/leads.json", body, Content_Type="application/json")
    response, found = wire.call("GET", f"/rest/v1/lead/{made['result'][0]['id']}.json?fields=lastName")
    assert response.getheader("content-type") == "application/json;charset=UTF-8"
    assert response.getheader("server") == "nginx"
    assert found["result"][0]["lastName"] == text


def test_dot_segments_reach_bulk_unnormalised(wire: Wire) -> None:
    """M16."""
    for path in ("/rest/../bulk/v1/leads/export.json", "/rest/%2e%2e/bulk/v1/leads/export.json"):
        assert wire.call("GET", path)[1]["success"]


def test_long_answers_are_gzipped(wire: Wire) -> None:
    """M12."""
    sent = {"Authorization": f"Bearer {wire.token}", "Accept-Encoding": "gzip"}
    response, content = wire.ask("GET", "/rest/v1/leads/describe.json", headers=sent)
    assert response.getheader("content-encoding") == "gzip"
    assert int(response.getheader("content-length") or 0) == len(content)
    assert json.loads(gzip.decompress(content))["success"]


def test_a_body_over_one_megabyte_and_a_long_uri_have_their_statuses(wire: Wire) -> None:
    """M13."""
    sent = {"Authorization": f"Bearer {wire.token}", "Content-Type": "application/json"}
    assert wire.ask("POST", "/rest/v1/leads.json", b"{" + b" " * (1024 * 1024), sent)[0].status == 413
    query = urlencode({"filterType": "email", "filterValues": "x" * 9000})
    assert wire.ask("GET", f"/rest/v1/leads.json?{query}", headers=sent)[0].status == 414
    form = {"Authorization": f"Bearer {wire.token}", "Content-Type": FORM}
    response, content = wire.ask("POST", "/rest/v1/leads.json?_method=GET", query.encode(), form)
    assert (response.status, json.loads(content)["result"]) == (200, [])


def test_bodies_on_get_and_delete_are_read(wire: Wire) -> None:
    """M16, M48: GET ignores its body, DELETE takes ids from it."""
    assert wire.call("GET", "/rest/v1/leads/describe.json", b'{"a":1}', Content_Type="application/json")[1]["success"]
    body = b'{"input":[{"id":99999}]}'
    _, found = wire.call("DELETE", "/rest/v1/leads.json", body, Content_Type="application/json")
    assert found["result"] == [{"status": "skipped", "reasons": [{"code": "1004", "message": "Lead not found"}]}]


def test_a_post_without_any_body_is_taken_where_none_is_needed(wire: Wire) -> None:
    """M16, M49: Content-Length 0, and no length header at all."""
    host, port = wire.host.split(":")
    for length in ("Content-Length: 0\r\n", ""):
        head = (
            f"POST /rest/v1/leads/77777/merge.json?leadId=77778 HTTP/1.1\r\nHost: {wire.host}\r\n"
            f"Authorization: Bearer {wire.token}\r\n{length}Connection: close\r\n\r\n"
        )
        with socket.create_connection((host, int(port)), timeout=PATIENCE) as connection:
            connection.sendall(head.encode())
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        assert answer.startswith(b"HTTP/1.1 200")
        assert b'"1004"' in answer
        assert b"Lead '77777' not found" in answer


def test_an_unknown_method_gets_a_documented_answer(wire: Wire) -> None:
    """M17."""
    for method in ("PROPFIND", "BREW"):
        _, found = wire.call(method, "/rest/v1/leads.json")
        assert found["errors"] == [{"code": "605", "message": f"Request method '{method}' not supported"}]


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_eleventh_call_beside_ten_slow_ones_is_refused(wire: Wire, when: str) -> None:
    """M19: what a fault makes slow is under way all the while, before the service looks at it and after."""
    rule = {"name": "slow", "path": "partitions", "effect": {"pause": when, "pause_limit": 600}}
    control(wire, "faults.set", {"rules": [rule]})
    slow = "/rest/v1/leads/partitions.json"
    try:
        with ThreadPoolExecutor(10) as threads:
            waiting = [threads.submit(wire.call, "GET", slow) for _ in range(10)]
            wait_until(lambda: control(wire, "faults.list")["rules"][0]["paused"] == 10)
            _, found = wire.call("GET", "/rest/v1/leads/describe2.json")
            control(wire, "faults.release")
            assert all(one.result(PATIENCE)[1]["success"] for one in waiting)
    finally:
        control(wire, "faults.clear")
    assert found["errors"] == [{"code": "615", "message": "Concurrent access limit reached"}]
    assert wire.call("GET", slow)[1]["success"]


def control(wire: Wire, command: str, arguments: Mapping[str, Any] | None = None) -> dict[str, Any]:
    body = json.dumps(arguments or {}).encode()
    response, content = wire.ask("POST", f"/_sandbox/{command}", body, {"X-Sandbox-Token": "sandbox"})
    assert response.status == 200, content
    return dict(json.loads(content)["result"])
