"""Somebody else is at work between any two requests of a cycle: no edit is lost, and the right one wins (P2, P3).

All positions are tried, not a sample. `RACES=all` also loses the answers to writes while that happens; `RACES_SEED=17`
puts the pairs into another order.
"""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

import pytest

from tests.properties.racing import EDITS, FATES, Race, Racer
from tests.properties.stage import open_world

SEED = int(os.environ.get("RACES_SEED", "0"))
POSITIONS = 30
"""More than a cycle has requests."""
PLAYED = {"edits": (EDITS, False), "fates": (FATES, False)}
if os.environ.get("RACES") == "all":
    PLAYED |= {"edits, answers lost": (EDITS, True), "fates, answers lost": (FATES, True)}


@pytest.mark.parametrize("played", list(PLAYED))
def test_whatever_happens_between_two_requests_of_a_cycle_ends_as_the_rules_say(tmp_path: Path, played: str) -> None:
    cases, dropping = PLAYED[played]
    with open_world(tmp_path / "world") as world:
        racers = [Racer(*case, position) for position in range(POSITIONS) for case in cases]
        if SEED:
            random.Random(SEED).shuffle(racers)
        race = Race(world, racers, dropping=dropping)
        race.prepare()
        race.run()
        wrong = list(race.wrong())
        assert not wrong, f"{len(wrong)} of {len(cases) * race.requests}:\n" + "\n".join(wrong[:20])
        sys.stdout.write(f"seeds {SEED} to {SEED}: {played}: {len(cases)} kinds at {race.requests} positions each\n")
        assert 8 < race.requests < POSITIONS
