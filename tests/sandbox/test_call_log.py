"""The call log: one entry per request that arrived, in order, without secrets."""

from __future__ import annotations

import base64
import threading
from contextlib import suppress
from http.client import IncompleteRead, RemoteDisconnected
from typing import Any

import pytest

from include.sandbox.call_log import CallLog
from include.sandbox.server import SandboxServer
from include.sandbox.service import Request, Response
from tests.sandbox.conftest import Client
from tests.waiting import wait_until

FORM = "application/x-www-form-urlencoded"


def calls(sandbox: SandboxServer, **filters: Any) -> list[dict[str, Any]]:
    return list(sandbox.control("calls.list", filters)["calls"])


def test_a_call_is_kept_with_what_it_asked_and_how_it_went(sandbox: SandboxServer, marketo: Client) -> None:
    marketo.call("POST", "/notes?a=1&b=%C3%A5", b"12345")
    (call,) = calls(sandbox)
    assert {key: call[key] for key in ("sequence", "service", "method", "intent", "path", "query", "status")} == {
        "sequence": 1,
        "service": "marketo",
        "method": "POST",
        "intent": "POST",
        "path": "/notes",
        "query": "a=1&b=%C3%A5",
        "status": 200,
    }
    assert (call["request_bytes"], call["outcome"], call["client"]) == (5, "answered", None)
    assert call["response_bytes"] > 0


def test_a_calls_time_is_the_servers_from_its_arrival_to_its_end() -> None:
    moments = iter([100.0, 100.0423456])
    log = CallLog(seconds=lambda: next(moments))
    call = log.begin("marketo", Request("GET", "/notes"))
    assert call.ms == 0
    log.finish(call, "answered", Response(200))
    assert call.ms == 42.346


def test_both_services_share_one_sequence(sandbox: SandboxServer, marketo: Client, dynamics: Client) -> None:
    for client in (marketo, dynamics, marketo):
        client.call("GET", "/notes")
    assert [(call["sequence"], call["service"]) for call in calls(sandbox)] == [
        (1, "marketo"),
        (2, "dynamics"),
        (3, "marketo"),
    ]


@pytest.mark.parametrize(
    ("effect", "outcome", "status"),
    [
        ({"drop": "before"}, "dropped before", None),
        ({"drop": "after"}, "dropped after", None),
        ({"cut": 3}, "truncated", 200),
        ({"status": 503}, "answered", 503),
    ],
)
def test_a_faulted_call_is_kept_with_the_rule_that_fired(
    sandbox: SandboxServer, marketo: Client, effect: dict[str, Any], outcome: str, status: int | None
) -> None:
    sandbox.control("faults.set", {"rules": [{"name": "mine", "effect": effect}]})
    with suppress(RemoteDisconnected, ConnectionResetError, IncompleteRead):
        marketo.call("GET", "/notes")
    sandbox.control("faults.clear")
    marketo.call("GET", "/notes")
    first, second = calls(sandbox)
    assert (first["outcome"], first["status"], first["faults"]) == (outcome, status, ["mine"])
    assert (second["outcome"], second["faults"]) == ("answered", [])


def test_a_call_stands_in_the_log_while_it_runs(sandbox: SandboxServer, marketo: Client) -> None:
    sandbox.control("faults.set", {"rules": [{"effect": {"pause": "before", "pause_limit": 600}}]})
    sender = threading.Thread(target=marketo.call, args=("GET", "/notes"))
    sender.start()
    wait_until(lambda: sandbox.control("faults.list")["rules"][0]["paused"] == 1)
    assert [(call["outcome"], call["status"]) for call in calls(sandbox)] == [("running", None)]
    sandbox.control("faults.release")
    sender.join()
    assert [call["outcome"] for call in calls(sandbox)] == ["answered"]


def test_calls_are_filtered_counted_and_forgotten(sandbox: SandboxServer, marketo: Client, dynamics: Client) -> None:
    for path in ("/a", "/b", "/b"):
        marketo.call("GET", path)
    dynamics.call("PATCH", "/b")
    assert [call["path"] for call in calls(sandbox, service="marketo", path="^/b$")] == ["/b", "/b"]
    assert [call["sequence"] for call in calls(sandbox, since=2)] == [3, 4]
    assert [call["sequence"] for call in calls(sandbox, limit=1)] == [1]
    assert [call["service"] for call in calls(sandbox, intent="PATCH")] == ["dynamics"]
    counted = sandbox.control("calls.count")
    assert counted == {"position": 4, "counts": {"dynamics PATCH /b": 1, "marketo GET /a": 1, "marketo GET /b": 2}}
    assert sandbox.control("calls.clear") == {"cleared": 4}
    marketo.call("GET", "/c")
    assert [call["sequence"] for call in calls(sandbox)] == [5]


def test_the_oldest_calls_make_room(sandbox: SandboxServer) -> None:
    log = CallLog(capacity=3)
    for number in range(5):
        log.begin("marketo", Request("GET", f"/{number}"))
    assert [call.path for call in log.entries()] == ["/2", "/3", "/4"]
    assert log.position == 5


@pytest.mark.parametrize(
    ("query", "body", "intent"),
    [
        ("_method=GET", b"fields=a", "GET"),
        ("", b"fields=a&_method=GET", "GET"),
        ("_method=DELETE", b"", "DELETE"),
        ("", b"fields=a", "POST"),
    ],
)
def test_the_intent_of_a_call_is_its_method_after_the_override(query: str, body: bytes, intent: str) -> None:
    request = Request("POST", "/rest/v1/leads.json", query, {"content-type": FORM}, body)
    assert CallLog().begin("marketo", request).intent == intent


def test_the_parts_of_a_batch_are_counted() -> None:
    part = b"--b\r\nContent-Type: application/http\r\n\r\n%s /api/data/v9.2/leads(1) HTTP/1.1\r\n\r\n{}\r\n"
    body = part % b"PATCH" + part % b"PATCH" + part.replace(b"\r\n", b"\n") % b"GET" + b"--b--"
    request = Request(
        "POST", "/api/data/v9.2/$batch", headers={"content-type": "multipart/mixed;boundary=b"}, body=body
    )
    assert CallLog().begin("dynamics", request).parts == {"GET": 1, "PATCH": 2}


@pytest.mark.parametrize("name", ["client_secret", "access_token", "password", "client_assertion", "refresh_token"])
def test_secrets_in_a_query_are_masked(name: str) -> None:
    call = CallLog().begin("marketo", Request("GET", "/x", f"a=1&{name}=planted&b=2"))
    assert "planted" not in str(call)
    assert call.query == f"a=1&{name}=***&b=2"


def test_a_long_query_is_kept_in_part() -> None:
    call = CallLog().begin("marketo", Request("GET", "/x", "filterValues=" + "1," * 5000))
    assert call.query.startswith("filterValues=1,1,")
    assert len(call.query) == 2001


def test_secrets_in_headers_and_bodies_are_never_kept(sandbox: SandboxServer, marketo: Client) -> None:
    marketo.call("POST", "/notes", b'{"password": "planted"}', Authorization="Bearer planted", Cookie="planted")
    assert "planted" not in str(calls(sandbox))


@pytest.mark.parametrize(
    "request_",
    [
        Request("GET", "/identity/oauth/token", "grant_type=client_credentials&client_id=robot&client_secret=x"),
        Request("POST", "/t/oauth2/v2.0/token", "", {"content-type": FORM}, b"client_id=robot&client_secret=x"),
        Request(
            "POST",
            "/t/oauth2/v2.0/token",
            "",
            {"content-type": FORM, "authorization": "Basic " + base64.b64encode(b"robot:x").decode()},
            b"grant_type=client_credentials",
        ),
    ],
    ids=["query", "form", "basic"],
)
def test_a_call_is_attributed_to_the_client_its_token_was_given_to(request_: Request) -> None:
    log = CallLog()
    log.learn(request_, Response(200, b'{"access_token": "abc"}'))
    assert log.begin("marketo", Request("GET", "/x", headers={"authorization": "Bearer abc"})).client == "robot"
    assert log.begin("marketo", Request("GET", "/x", headers={"authorization": "Bearer abd"})).client is None
    assert log.begin("marketo", Request("GET", "/x")).client is None


@pytest.mark.parametrize("body", [b"", b"[]", b'{"error": "invalid_client"}', b"\xff"])
def test_a_refused_token_teaches_nothing(body: bytes) -> None:
    log = CallLog()
    log.learn(Request("GET", "/identity/oauth/token", "client_id=robot"), Response(200, body))
    assert log.begin("marketo", Request("GET", "/x", headers={"authorization": "Bearer "})).client is None
