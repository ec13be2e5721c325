"""Several faults at once, again and again while people go on working: the same end state when it is over (P1 to P4).

`STORMS=20` plays more storms, `STORM_SEED=17` begins elsewhere. A failure names its seed and the rules of that storm.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from include.leadsync.clients.transport import HttpRequest, HttpResponse
from include.leadsync.errors import LeadSyncError
from tests.engine.play import column, shown
from tests.faults.fault_rules import ALONE, CODES, MORE, Rule, refuses
from tests.faults.switchboard import misbehaving
from tests.faults.test_kills import PEOPLE, assert_as_it_should_be, prepare
from tests.world import World

STORMS = int(os.environ.get("STORMS", "1"))
FIRST = int(os.environ.get("STORM_SEED", "1"))
CYCLES = 3
KINDS = sorted(ALONE | MORE)
ERRORS = sorted(name for name, rule in CODES.items() if not refuses(rule))
"""Without what refuses a record, which would wait until somebody changes it."""


def plan(dice: random.Random) -> list[Rule]:
    """Half a dozen rules that strike now and then."""
    names = dice.sample(KINDS, 4) + dice.sample(ERRORS, 2)
    known = ALONE | MORE | CODES
    return [{**known[name], "name": name, "probability": dice.choice((0.2, 0.4, 0.8))} for name in names]


def feeds(world: World, seed: int) -> None:
    """Some of Marketo's activities come late, out of order, many pages long, or once more long after."""
    dice = random.Random(f"feeds {seed}")
    late = {"late_every": dice.choice((0, 2, 3)), "late_seconds": dice.choice((30, 200)), "late_reordered": True}
    world.marketo.control("set_options", {**late, "feed_block": dice.choice((0, 3))})
    known: list[Any] = []

    def repeat(request: HttpRequest, response: HttpResponse) -> HttpResponse:
        if "leadchanges" not in request.url:
            return response
        page = json.loads(response.body)
        fresh = page.get("result", [])
        again = dice.sample(known, min(len(known), dice.choice((0, 1, 5))))
        known.extend(fresh)
        return replace(response, body=json.dumps({**page, "result": again + fresh}).encode()) if again else response

    world.transport.after.append(repeat)


def weather(world: World, rules: list[Rule], seed: int) -> Counter[str]:
    """Cycles under the storm, with an edit on each side before each; how many there were of what."""
    happened: Counter[str] = Counter()
    feeds(world, seed)
    random.seed(seed)  # the waits between attempts have jitter
    with misbehaving(world, rules, seed) as board:
        for number in range(CYCLES):
            for email in PEOPLE.values():
                (row,) = world.rows("lead", f"emailaddress1 eq '{email}'")
                world.edit_row("lead", row["leadid"], address1_city=f"{email} {number}")
                world.edit_person(world.persons_by("email", email)[0]["id"], phone=f"+46 {number}")
            try:
                world.run()
            except LeadSyncError as error:
                happened[type(error).__name__] += 1
            world.movable.advance(120)
        happened["fired"] = sum(rule.fired for rule in board.rules)
    return happened


def assert_it_cleared_up(world: World) -> None:
    world.marketo.control("set_options", {"late_every": 0, "feed_block": 0})
    world.movable.advance(86_400)  # the day's calls are there again
    world.settle()
    assert_as_it_should_be(world)
    for email in PEOPLE.values():
        (row,) = world.rows("lead", f"emailaddress1 eq '{email}'")
        (person,) = world.persons_by("email", email)
        last = (f"{email} {CYCLES - 1}", f"+46 {CYCLES - 1}")
        assert (shown(world, person["id"], "city"), shown(world, person["id"], "phone")) == last
        assert (row["address1_city"], column(world, "lead", row["leadid"], "telephone1")) == last


def test_a_storm_of_faults_passes_and_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "prepared").mkdir()
    prepared, happened = prepare(tmp_path / "prepared"), Counter[str]()
    for seed in range(FIRST, FIRST + STORMS):
        shutil.copytree(prepared, tmp_path / str(seed))
        rules = plan(random.Random(seed))
        with World(tmp_path / str(seed), fresh=False) as world:
            try:
                happened += weather(world, rules, seed)
                assert_it_cleared_up(world)
            except Exception as error:
                error.add_note(f"STORM_SEED={seed}\n" + "\n".join(map(str, rules)))
                raise
        shutil.rmtree(tmp_path / str(seed))
    sys.stdout.write(f"seeds {FIRST} to {FIRST + STORMS - 1}: {dict(happened)}\n")
    assert happened["fired"] >= STORMS
