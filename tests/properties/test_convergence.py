"""Whatever people do in both systems, and whatever breaks on the way, ends as the promises say (P1 to P4).

`CONVERGENCE_HISTORIES=300` plays more histories, `CONVERGENCE_ROUNDS=4` longer ones, `CONVERGENCE_SEED=17` begins
elsewhere. A failure names its seed and tells the history.
"""

from __future__ import annotations

import os
import random
import shutil
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.properties.playing import History
from tests.properties.turning import turn
from tests.world import World

HISTORIES = int(os.environ.get("CONVERGENCE_HISTORIES", "3"))
ROUNDS = int(os.environ.get("CONVERGENCE_ROUNDS", "2"))
FIRST = int(os.environ.get("CONVERGENCE_SEED", "1"))
AT_LEAST = dict.fromkeys(
    ("collision", "meanwhile", "dropped", "refused", "deleted", "new", "converted", "merged", "restored"), 1
)
"""What the histories together must contain, or they prove nothing (DECISIONS 32)."""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three leads and three contacts with their persons."""
    folder = tmp_path_factory.mktemp("prepared")
    with World(folder) as world:
        for number in range(3):
            address = f"first{number}@example.com"
            world.add_row("lead", subject="s", lastname=f"L{number}", emailaddress1=address, companyname="Acme")
            world.add_row("contact", lastname=f"C{number}", emailaddress1=f"c{address}")
        world.settle()
    return folder


def test_every_history_ends_equal_with_the_right_winners_and_nothing_lost(prepared: Path, tmp_path: Path) -> None:
    happened: Counter[str] = Counter()
    for seed in range(FIRST, FIRST + HISTORIES):
        folder = tmp_path / str(seed)
        shutil.copytree(prepared, folder)
        with World(folder, fresh=False) as world:
            history = History(world, random.Random(seed))
            try:
                for number in (seed, seed + 1):
                    turn(history, number)
                history.play(ROUNDS)
            except Exception as error:
                error.add_note(f"seed {seed}\n" + "\n".join(history.story))
                raise
        happened += history.happened
        shutil.rmtree(folder)
    sys.stdout.write(f"seeds {FIRST} to {FIRST + HISTORIES - 1}: {dict(happened)}\n")
    assert all(happened[name] >= count for name, count in AT_LEAST.items()), happened
