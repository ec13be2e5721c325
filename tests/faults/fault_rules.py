"""Fault rules by name: every kind of effect, at reads and at writes, and every documented error code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from include.leadsync.clients.code_table import Action
from include.leadsync.clients.dynamics_codes import DYNAMICS
from include.leadsync.clients.marketo_codes import MARKETO
from include.sandbox.fault_answers import DYNAMICS_ERRORS, MARKETO_TEXTS

Rule = Mapping[str, Any]

READ = {"service": "marketo", "method": "GET", "path": "^/rest/v1/leads\\.json"}
FEED = {"service": "marketo", "path": "leadchanges"}
WRITE = {"service": "marketo", "method": "POST", "path": "^/rest/v1/leads\\.json"}
ROWS = {"service": "dynamics", "method": "GET", "path": "/leads$", "query": "deltatoken"}
BATCH = {"service": "dynamics", "path": "\\$batch$"}
EXPIRE = {"service": "dynamics", "command": "expire_tokens"}
BOTH_EXPIRE = [EXPIRE, {**EXPIRE, "service": "marketo"}]
AGE = {"service": "dynamics", "command": "age_delta_tokens", "arguments": {"entity": "lead"}}

ALONE: dict[str, Rule] = {
    "the answer to a batch is lost": {**BATCH, "effect": {"drop": "after"}},
    "the connection ends inside the answer to a write": {**WRITE, "effect": {"cut": 0.5}},
    "a gateway shortens the answer to a batch": {**BATCH, "effect": {"truncate": 0.5}},
    "an answer is garbage": {**FEED, "effect": {"garble": True}},
    "an answer names its result otherwise": {**READ, "effect": {"replace": [["result", "results"]]}},
    "a gateway fails after the commit": {**WRITE, "effect": {"status": 502, "stage": "after", "retry_after": 3}},
    "persons are created, too late for us": {**WRITE, "nth": 2, "effect": {"delay": 50, "delay_after": 400}},
    "the token ends before a read, and delta tokens age": {**ROWS, "effect": {"then": EXPIRE, "afterwards": AGE}},
    "both tokens end in the middle of a write": {
        **BATCH,
        "effect": {"then": [EXPIRE, {**EXPIRE, "service": "marketo"}]},
    },
    "a paging token is refused": {**FEED, "effect": {"error": "1003", "message": "Invalid nextPageToken"}},
}
MORE: dict[str, Rule] = {
    f"{kind} at {place}": {**rule, "effect": effect}
    for place, rule in {"read": READ, "feed": FEED, "write": WRITE, "rows": ROWS, "batch": BATCH}.items()
    for kind, effect in {
        "drop before": {"drop": "before"}, "drop after": {"drop": "after"}, "cut": {"cut": 10},
        "garble": {"garble": True}, "truncate": {"truncate": 0.9},
        "502": {"status": 502}, "502 after": {"status": 502, "stage": "after"},
        "nothing": {"answer": ""}, "401": {"status": 401}, "429": {"status": 429, "retry_after": 9},
        "tokens": {"then": BOTH_EXPIRE}, "slow": {"delay_after": 400},
        "slower": {"delay": 400},
    }.items()
}  # fmt: skip
CODES: dict[str, Rule] = {
    f"{code} {stage} at {place}": {**rule, "effect": {"error": code, "stage": stage}}
    for codes, places in (
        (MARKETO_TEXTS, {"read": READ, "feed": FEED, "write": WRITE}), (DYNAMICS_ERRORS, {"rows": ROWS, "batch": BATCH})
    )
    for code in codes
    for place, rule in places.items()
    for stage in ("instead", "after")
    if stage == "instead" or "method" not in rule or rule["method"] == "POST"
}  # fmt: skip

_REFUSALS = frozenset({Action.ROW, Action.CONFLICT, Action.EXISTS, Action.GONE})


def refuses(rule: Rule) -> bool:
    """Whether it says of records that they are refused: then they wait until something changes, and are told."""
    code = str(rule["effect"].get("error"))
    meaning = MARKETO.get(code) or DYNAMICS.get(code.lower())
    is_write = rule.get("method") == "POST" or rule.get("path") == BATCH["path"]
    return is_write and meaning is not None and meaning.action in _REFUSALS
