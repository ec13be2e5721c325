"""Which requests a fault rule hits: matching, counting, seeded draws, refused rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from include.sandbox.fault_rules import parse_rule
from include.sandbox.faults import FaultBoard
from include.sandbox.server import SandboxServer
from include.sandbox.service import Request
from tests.sandbox.conftest import Client


def set_rules(sandbox: SandboxServer, *rules: Mapping[str, Any], seed: int = 0) -> None:
    sandbox.control("faults.set", {"rules": list(rules), "seed": seed})


def test_a_rule_fires_from_its_nth_match_on_for_a_number_of_times(sandbox: SandboxServer, marketo: Client) -> None:
    set_rules(sandbox, {"path": "/nothing", "nth": 2, "times": 2, "effect": {"status": 503}})
    assert marketo.call("GET", "/notes")[0] == 200
    assert [marketo.call("GET", "/nothing")[0] for _ in range(5)] == [204, 503, 503, 204, 204]
    rule = sandbox.control("faults.list")["rules"][0]
    assert (rule["matched"], rule["fired"]) == (5, 2)


def test_a_rule_can_fire_on_every_third_match(sandbox: SandboxServer, marketo: Client) -> None:
    set_rules(sandbox, {"every": 3, "effect": {"status": 503}})
    assert [marketo.call("GET", "/nothing")[0] for _ in range(6)] == [503, 204, 204, 503, 204, 204]


def test_rules_match_on_service_method_path_query_body_and_client(
    sandbox: SandboxServer, marketo: Client, dynamics: Client
) -> None:
    marketo.call("POST", "/identity/oauth/token", b"client_id=robot", Content_Type="application/x-www-form-urlencoded")
    rules = [
        {"service": "dynamics", "path": "^/a$", "effect": {"status": 501}},
        {"method": ["PATCH", "PUT"], "path": "^/b$", "effect": {"status": 502}},
        {"query": "page=2", "effect": {"status": 503}},
        {"body": "Åsa", "effect": {"status": 504}},
        {"client": "^robot$", "effect": {"status": 505}},
    ]
    set_rules(sandbox, *rules)
    assert marketo.call("GET", "/a")[0] == 200
    assert dynamics.call("GET", "/a")[0] == 501
    assert marketo.call("GET", "/b")[0] == 200
    assert marketo.call("PATCH", "/b")[0] == 502
    assert marketo.call("GET", "/c?page=2")[0] == 503
    assert marketo.call("POST", "/c", "för Åsa".encode())[0] == 504
    assert marketo.call("GET", "/c", Authorization="Bearer token-marketo")[0] == 505
    assert marketo.call("GET", "/c", Authorization="Bearer other")[0] == 200


def decisions(seed: int, count: int = 400) -> list[bool]:
    board = FaultBoard()
    board.set([{"name": "rare", "probability": 0.25, "effect": {"drop": "before"}}], seed)
    return [board.decide("marketo", Request("GET", "/x")) is not None for _ in range(count)]


def test_a_seed_replays_the_same_faults_and_another_seed_others() -> None:
    assert decisions(1) == decisions(1)
    assert decisions(1) != decisions(2)
    assert 60 < sum(decisions(1)) < 140


def test_what_a_rule_does_does_not_depend_on_the_other_rules() -> None:
    board = FaultBoard()
    rare = {"name": "rare", "probability": 0.25, "effect": {"drop": "before"}}
    board.set([{"name": "other", "probability": 0.5, "effect": {"delay": 1}}, rare], 1)
    fired = [board.decide("marketo", Request("GET", "/x")) for _ in range(400)]
    assert [effect is not None and effect.drop == "before" for effect in fired] == decisions(1)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"pth": "/x"}, "'pth' is unknown"),
        ({"service": "crm"}, "'service' is 'crm'"),
        ({"path": "("}, "'path' is no regular expression"),
        ({"nth": 0}, "'nth' is 0"),
        ({"times": "two"}, "'times' is 'two'"),
        ({"effect": {"drop": "during"}}, "'drop' is 'during'"),
        ({"effect": {"dorp": "after"}}, "'dorp' is unknown"),
        ({"effect": {"error": "9999"}}, "not in the table"),
        ({"effect": {"then": {"command": "write"}}}, "needs 'command'"),
        ({"effect": {"replace": ["ab"]}}, "list of \\[pattern, text\\]"),
        ({"effect": {"replace": [[1, 2]]}}, "list of \\[pattern, text\\]"),
        ({"effect": {"replace": [["(a)", "\\2"]]}}, "cannot take its place"),
        ({"effect": {"then": 5}}, "no command"),
        ({"effect": {"then": {"service": "marketo", "command": "write", "arguments": [1]}}}, "no command"),
        ({"nth": True}, "'nth' is True"),
        ({"probability": 2}, "'probability' is 2"),
        ({"effect": "drop"}, "'effect' is 'drop'"),
        ({"effect": {"delay": "long"}}, "'delay' is 'long'"),
        ({"effect": {"delay_after": -1}}, "'delay_after' is -1"),
        ({"effect": {"cut": True}}, "'cut' is True"),
        ({"effect": {"truncate": "half"}}, "'truncate' is 'half'"),
        ({"effect": {"status": 99}}, "'status' is 99"),
        ({"effect": {"status": "503"}}, "'status' is '503'"),
        ({"effect": {"status": 503, "retry_after": 1.5}}, "'retry_after' is 1.5"),
        ({"effect": {"garble": 1}}, "'garble' is 1"),
        ({"effect": {"error": "606", "message": 5}}, "'message' is 5"),
        ({"effect": {"headers": {"A": "b\r\nC: d"}}}, "no header"),
        ({"effect": {"headers": {"A b": "c"}}}, "no header"),
        ({"effect": {"headers": ["A"]}}, "'headers' is"),
    ],
)
def test_a_wrong_rule_is_refused_by_name(rule: Mapping[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        parse_rule({"name": "mine", **rule}, 1)
    assert "'mine'" in str(caught.value)


@pytest.mark.parametrize("rules", [{"effect": {}}, "drop", 5, None, [5], ["drop"], [None]])
def test_a_plan_is_a_list_of_objects(rules: object) -> None:
    with pytest.raises(ValueError, match=r"not an object|list of objects"):
        FaultBoard().set(rules)  # type: ignore[arg-type]  # as it may come over HTTP


def test_every_status_that_a_rule_may_give_is_sent(sandbox: SandboxServer, marketo: Client) -> None:
    for status in (204, 299, 304, 418, 444, 499, 521, 599):
        set_rules(sandbox, {"effect": {"status": status}})
        assert marketo.call("GET", "/notes")[0] == status
