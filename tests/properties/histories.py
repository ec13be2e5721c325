"""Random histories: hundreds of stories in one world, all that people do in them drawn from a seed.

A history is the story of one pair. Stories share the cycles and nothing else, so one that fails is played again alone,
and cut down to what is needed to make it fail.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.properties.acts import ACTS, PLAIN
from tests.properties.model import Story
from tests.properties.stage import Act, Stage, Wrong, open_world
from tests.properties.vocabulary import CONTACT, LEAD

Half = tuple[Act, ...]
SELDOM = ["merge_persons", "merge_records", "namesake", "qualify", "restore_record"]
"""Acts that many stories have no room for, and that are tried the more often."""


@dataclass(frozen=True)
class Script:
    """What happens in one story: two halves a round, with a cycle between them."""

    seed: int
    number: int
    rounds: tuple[tuple[Half, Half], ...]


def written(seed: int, number: int, rounds: int) -> Script:
    """The script of a story; it depends on nothing but these numbers."""
    dice = random.Random(f"{seed}/{number}")
    return Script(seed, number, tuple((_half(dice), _half(dice)) for _ in range(rounds)))


def _half(dice: random.Random) -> Half:
    return tuple(_act(dice) for _ in range(dice.choice((0, 1, 1, 2, 3))))


def _act(dice: random.Random) -> Act:
    name = dice.choice(PLAIN) if dice.random() < 0.5 else dice.choice(sorted(ACTS) + SELDOM * 3)
    return Act(name, dice.randrange(10**9))


def play(folder: Path, scripts: Sequence[Script], settings: dict[str, Any] | None = None) -> Stage:
    """Play the stories from their beginning to a quiet end; raises `Wrong`, which tells its story."""
    with open_world(folder, settings) as world:
        stage = Stage(world, [Story(script.number) for script in scripts])
        try:
            _play(stage, scripts)
        except Wrong as wrong:
            wrong.story = "\n".join(stage.told[wrong.number])
            raise
    return stage


def _play(stage: Stage, scripts: Sequence[Script]) -> None:
    stage.set_options(pigeon=True)
    for story, script in zip(stage.stories, scripts, strict=True):
        _begin(stage, story, random.Random(f"{script.seed}/{script.number}/first"))
    stage.settle()
    for number in range(max(len(script.rounds) for script in scripts)):
        _administer(stage, number)
        for half in range(2):
            for story, script in zip(stage.stories, scripts, strict=True):
                for act in script.rounds[number][half]:
                    stage.do(story, act)
            if half == 0:
                stage.cycle()
                stage.tell("a cycle")
        stage.settle()
        stage.tell("cycles until nothing is left to write")
        stage.check()
    end(stage)


def _begin(stage: Stage, story: Story, dice: random.Random) -> None:
    """A record; often a second one of its kind, or somebody whom Marketo alone knows."""
    kind, besides = dice.choice((LEAD, CONTACT)), dice.random()
    stage.add_record(story, kind, dice, f"{story.number}.first")
    if besides < 0.25:
        stage.add_record(story, kind, dice, f"{story.number}.second")
    elif besides < 0.5:
        stage.add_person(story, dice, f"{story.number}.other")


def _administer(stage: Stage, number: int) -> None:
    """Metadata changes between the rounds, the same for all stories."""
    if number == 0:
        stage.set_options(pigeon=False)
        stage.set_length(50)
    elif number == 1:
        stage.set_options(pigeon=True)
        stage.set_length(100)


def end(stage: Stage) -> None:
    """A cycle that reads the feeds and writes nothing; then one more edit on each side, which crosses."""
    log = stage.world.transport.log
    log.clear()
    assert stage.cycle() == (0, 0)
    assert any("leadchanges" in url for _, url in log)
    assert sum("deltatoken" in url for _, url in log) == 2
    assert not [url for method, url in log if method != "GET" and "token" not in url]
    stage.check()
    _check_activities(stage)
    whole = [story for story in stage.stories if not any(link.refused for link in story.links)]
    last = [(story, link) for story in whole for link in story.links]
    for _, link in last:
        stage.world.edit_row(link.record.kind, link.record.id or "", address1_line2=f"last {link.record.id}")
        stage.world.edit_person(link.person.id or 0, microsoftHomePhone=f"+1 {link.person.id}")
        link.record.changed = True
    stage.settle()
    rows = stage.rows()
    for story, link in last:
        row, person = rows[link.record.id or ""], stage.world.person(link.person.id or 0, "microsoftAddress2")
        crossed = person is not None and person["microsoftAddress2"] == row["address1_line2"] and row["telephone2"]
        if crossed != f"+1 {link.person.id}":
            raise Wrong(story.number, f"an edit after the quiet cycle did not cross: {person}, {row['telephone2']}")
    stage.check()


def _check_activities(stage: Stage) -> None:
    """Who has a value that does not cross is told so in Marketo (P6, R151)."""
    for story in stage.stories:
        for link in story.links:
            told = {row["primaryAttributeValue"] for row in _outcomes(stage, link.person.id or 0, link.refused)}
            for name, _ in link.refused:
                if f"failed: {name}" not in told:
                    raise Wrong(story.number, f"person {link.person.id} is not told of {name}, only {sorted(told)}")


def _outcomes(stage: Stage, person: int, refused: Iterable[object]) -> list[dict[str, Any]]:
    return stage.world.outcome_activities(person) if refused else []


def alone(script: Script, settings: dict[str, Any] | None = None) -> Wrong | None:
    """Play one story in a world of its own: what is wrong with it; None when all is well."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            play(Path(folder), [script], settings)
        except Wrong as wrong:
            return wrong
    return None


def cut_down(script: Script, settings: dict[str, Any] | None = None, attempts: int = 60) -> Script:
    """The same story without the acts that are not needed to make it fail."""
    changed = True
    while changed:
        changed = False
        for shorter in _shorter(script):
            attempts -= 1
            if attempts < 0:
                return script
            if alone(shorter, settings) is not None:
                script, changed = shorter, True
                break
    return script


def _shorter(script: Script) -> Iterable[Script]:
    for number, halves in enumerate(script.rounds):
        for half, acts in enumerate(halves):
            for place in range(len(acts)):
                fewer = acts[:place] + acts[place + 1 :]
                both = (fewer, halves[1]) if half == 0 else (halves[0], fewer)
                yield replace(script, rounds=(*script.rounds[:number], both, *script.rounds[number + 1 :]))
