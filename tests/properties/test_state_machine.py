"""One story as hypothesis tells it: acts and cycles in any order, cut down to the shortest one that fails (P1, P2, P3).

Where `test_histories` plays many stories side by side, in rounds, this plays one: cycle upon cycle, metadata in
between, the full compare, and whatever hypothesis finds worth trying. `LIVES=500` tells that many from the seed
`LIVES_SEED`.
"""

from __future__ import annotations

import atexit
import copy
import os
import random
import shutil
import sys
import tempfile
from collections import Counter
from functools import cache
from itertools import count
from pathlib import Path
from typing import ClassVar

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from tests.properties.acts import ACTS
from tests.properties.model import Story
from tests.properties.stage import Stage, Wrong, open_world
from tests.properties.vocabulary import CONTACT, LEAD

LIVES = int(os.environ.get("LIVES", "3"))
SEED = int(os.environ.get("LIVES_SEED", "1"))
STEPS = 12
"""Acts and cycles of a life."""
DICE = st.randoms(use_true_random=False)
"""Every choice of an act is one of hypothesis, which makes it smaller."""
RARE = {"twin_person", "twin_record", "restore_record"}
"""Acts that need what one story seldom has; the many of `test_histories` have them often."""


@cache
def _begun() -> tuple[Path, Stage]:
    """A folder with a world that has a linked lead, a linked contact and a person without a record; and its stage."""
    folder = Path(tempfile.mkdtemp(prefix="leadsync-life-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    story, dice = Story(0), random.Random(0)
    with open_world(folder / "world") as world:
        stage = Stage(world, [story])
        stage.set_options(pigeon=False)
        for kind in (LEAD, CONTACT):
            stage.add_record(story, kind, dice, f"first-{kind}")
        stage.add_person(story, dice, "other")
        stage.settle()
        stage.check()
        world.copy_to(folder / "begun")
        return folder / "begun", stage


class Life(RuleBasedStateMachine):
    """One story. `happened`: what all of them contained."""

    happened: ClassVar[Counter[str]] = Counter()

    @initialize()
    def begin(self) -> None:
        """The world as it was when the story began."""
        begun, before = _begun()
        self._folder = Path(tempfile.mkdtemp(prefix="leadsync-life-"))
        shutil.copytree(begun, self._folder, dirs_exist_ok=True)
        self._world = open_world(self._folder, begun=True)
        self._world.runs = before.world.runs
        self._stage = Stage(self._world, copy.deepcopy(before.stories), copy.deepcopy(before.limits))
        self._own = count(1)
        self._calm = True  # nothing has happened since both systems were found as the model says

    def act(self, name: str, dice: random.Random) -> None:
        """Something that people do."""
        done = self._stage.act(self._stage.stories[0], name, dice, f"own{next(self._own)}")
        self._calm = self._calm and not done

    @rule()
    def cycle(self) -> None:
        """The sync does its work, and does not yet come to rest."""
        self._stage.cycle()
        self._stage.tell("a cycle")

    @rule(longest=st.sampled_from((50, 100)))
    def shorten(self, longest: int) -> None:
        """An administrator changes the metadata."""
        self._stage.set_length(longest)
        self._calm = False

    @precondition(lambda self: not self._calm)
    @rule()
    def come_to_rest(self) -> None:
        """Cycles until nothing is left: both systems are as the model says, and one more cycle writes nothing."""
        self._calm = True
        try:
            self._stage.settle()
            self._stage.check()
            assert self._stage.cycle() == (0, 0)
        except Wrong as wrong:
            wrong.story = "\n".join(self._stage.told[wrong.number])
            raise

    @precondition(lambda self: self._calm)
    @rule()
    def compare(self) -> None:
        """The full compare finds nothing that the feeds have not told."""
        assert self._world.run(kind="reconcile")["steps"]["plan"]["operations"] == 0
        self._stage.happened["compare"] += 1

    def teardown(self) -> None:
        """The end of the story."""
        if not hasattr(self, "_world"):
            return
        try:
            if not self._calm:
                self.come_to_rest()
        finally:
            Life.happened += self._stage.happened
            self._world.__exit__()
            shutil.rmtree(self._folder, ignore_errors=True)


def _tell(name: str) -> object:
    def told(self: Life, dice: random.Random) -> None:
        self.act(name, dice)

    told.__name__ = name
    return rule(dice=DICE)(told)


for _name in ACTS:
    setattr(Life, _name, _tell(_name))


def test_every_life_ends_as_the_model_says() -> None:
    Life.happened.clear()
    long = settings(
        max_examples=LIVES,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=tuple(HealthCheck),
        report_multiple_bugs=False,
    )
    run_state_machine_as_test(seed(SEED)(Life), settings=long)
    sys.stdout.write(f"seeds {SEED} to {SEED}: {LIVES} lives, {dict(Life.happened)}\n")
    if LIVES >= 100:
        assert set(Life.happened) >= {*ACTS, "collision", "compare", "metadata"} - RARE, Life.happened
