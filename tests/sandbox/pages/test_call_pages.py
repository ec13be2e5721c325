"""The call log as a page, and the addresses under which pages are told from the services."""

from __future__ import annotations

from http.client import HTTPConnection

import pytest

from include.sandbox.server import SandboxServer
from include.sandbox.service import Request, Response
from tests.sandbox.pages.conftest import Browser
from tests.waiting import PATIENCE


@pytest.fixture
def logged(sandbox: SandboxServer) -> SandboxServer:
    sandbox.calls.clear()
    for number in range(60):
        begun = sandbox.calls.begin("marketo", Request("GET", f"/rest/v1/first{number:02}.json"))
        sandbox.calls.finish(begun, "answered")
    call = sandbox.calls.begin("dynamics", Request("PATCH", "/api/data/v9.2/leads(<script>)", "a=<i>"))
    sandbox.calls.finish(call, "dropped after", Response(204))
    return sandbox


def test_calls_are_shown_newest_first_page_by_page(logged: SandboxServer, marketer: Browser) -> None:
    marketer.open("/_sandbox/pages/calls")
    seen = marketer.page.seen
    assert seen.index("leads(<script>)") < seen.index("first59") < seen.index("first11")
    assert "first10" not in marketer.page.seen
    assert "<script" not in marketer.text
    older = next(part for part in marketer.text.split('"') if "before=" in part).replace("&amp;", "&")
    marketer.open(older)
    assert "first10" in marketer.page.seen
    assert "first11" not in marketer.page.seen


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("service=dynamics", 1), ("service=marketo&path=first0", 10), ("intent=PATCH", 1), ("path=leads(", 1),
        ("path=[", 0), ("path=.*", 0), ("client=nobody", 0), ("before=x", 50), ("service=<b>", 0),
    ],
)  # fmt: skip
def test_calls_are_filtered_by_plain_text(logged: SandboxServer, marketer: Browser, query: str, found: int) -> None:
    marketer.open(f"/_sandbox/pages/calls?{query}")
    assert marketer.status == 200
    assert marketer.text.count("<tr>") == (found + 1 if found else 0)


@pytest.mark.parametrize(
    ("service", "target"),
    [
        ("marketo", "//_sandbox/"), ("marketo", "/%5Fsandbox/"), ("marketo", "/rest/../_sandbox/"),
        ("marketo", "/_sandboxes/"), ("marketo", "/rest/v1/_sandbox/pages/calls"),
        ("dynamics", "/api/data/v9.2/_sandbox/"), ("dynamics", "/_SANDBOX/"), ("dynamics", "/_sandbox.json"),
    ],
)  # fmt: skip
def test_addresses_that_only_look_alike_go_to_the_service(sandbox: SandboxServer, service: str, target: str) -> None:
    sandbox.calls.clear()
    connection = HTTPConnection(sandbox.urls[service].removeprefix("http://"), timeout=PATIENCE)
    connection.request("GET", target)
    answer = connection.getresponse().read()
    connection.close()
    assert b"<!DOCTYPE" not in answer
    assert [call.service for call in sandbox.calls.entries()] == [service]


def test_pages_are_served_over_the_port_and_not_logged(sandbox: SandboxServer) -> None:
    sandbox.calls.clear()
    for service in ("marketo", "dynamics"):
        connection = HTTPConnection(sandbox.urls[service].removeprefix("http://"), timeout=PATIENCE)
        connection.request("GET", "/_sandbox")
        moved = connection.getresponse()
        moved.read()
        assert (moved.status, moved.getheader("location")) == (303, "/_sandbox/")
        connection.request("HEAD", "/_sandbox/")
        head = connection.getresponse()
        assert (head.status, head.read()) == (401, b"")
        connection.close()
    assert sandbox.calls.entries() == []
