"""Every kind of fault that the sandbox's plans know, each alone during one cycle: the same end state (P1 to P4, P6).

`FAULTS=20` plays so many more, at other places and with every documented error code, chosen by `FAULTS_SEED=17`;
`FAULTS=all` plays all there are.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from include.leadsync.errors import LeadSyncError
from include.leadsync.state import Runs
from include.sandbox.fault_rules import _EFFECT_KEYS
from tests.faults.fault_rules import ALONE, CODES, MORE, ROWS, Rule, refuses
from tests.faults.switchboard import misbehaving
from tests.faults.test_kills import assert_as_it_should_be, prepare
from tests.world import World

_MORE = MORE | CODES
_NUMBER = os.environ.get("FAULTS", "0").replace("all", str(len(_MORE)))
_PICKED = sorted(random.Random(int(os.environ.get("FAULTS_SEED", "1"))).sample(sorted(_MORE), int(_NUMBER)))
PLAYED = {**ALONE, **{name: _MORE[name] for name in _PICKED}}
LASTING: dict[str, Rule] = {
    "607": {"service": "marketo", "path": "^/rest/", "effect": {"error": "607"}},
    "503": {"service": "dynamics", "path": "^/api/", "effect": {"status": 503}},
    "cannot be read": {"service": "marketo", "effect": {"headers": {"Content-Type": "text/html"}, "answer": "<html>"}},
    "0x80040220": {**ROWS, "effect": {"error": "0x80040220"}},
}
"""By what the error that is told must contain."""
NOT_PLAYED = frozenset({"pause", "pause_limit"})
"""They need somebody who lets go: tests/cli/test_two_cycles.py."""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scenario of the kills, up to the cycle that has to carry everything."""
    return prepare(tmp_path_factory.mktemp("prepared"))


@pytest.fixture
def world(prepared: Path, tmp_path: Path) -> Iterator[World]:
    shutil.copytree(prepared, tmp_path / "world")
    with World(tmp_path / "world", fresh=False) as copy:
        yield copy


def one_cycle(world: World) -> str | None:
    """The error that a cycle ends in, which the run table has too; None when it ends well."""
    try:
        world.run()
    except LeadSyncError as error:
        told = str(error)
    else:
        return None
    latest = Runs(world.engine.store).latest()
    assert latest is not None
    assert (latest.outcome, latest.report["error"]) == ("failed", told)
    return told


@pytest.mark.parametrize("name", PLAYED)
def test_a_fault_of_any_kind_changes_nothing_of_the_end(world: World, name: str) -> None:
    with misbehaving(world, [{**PLAYED[name], "times": 1}]) as board:
        one_cycle(world)
    assert board.rules[0].fired == 1
    # Marketo has committed what it will; after 607 nobody calls before its next day.
    world.movable.advance(86_400 if PLAYED[name]["effect"].get("error") == "607" else 120)
    world.settle()
    told = [row for row in world.activities() if row["outcome"] == "failed"]
    if not (refuses(PLAYED[name]) and told):  # who is told may wait; nobody else
        assert_as_it_should_be(world)


def test_a_fault_that_lasts_is_one_clear_failure_and_no_loop(world: World) -> None:
    for told, rule in LASTING.items():
        with misbehaving(world, [rule]) as board:
            first, calls = one_cycle(world), board.rules[0].fired
            assert one_cycle(world)  # a day's limit need not be asked again to be known
        assert told in str(first)
        assert 0 < calls <= 12
        assert board.rules[0].fired <= 2 * calls
        assert world.activities() == []
        world.movable.advance(86_400)
    world.settle()
    assert_as_it_should_be(world)


def test_every_effect_of_a_fault_plan_is_played() -> None:
    played = {key for rule in (*ALONE.values(), *LASTING.values()) for key in rule["effect"]}
    assert played == _EFFECT_KEYS - NOT_PLAYED
