"""A run that dies at any moment loses nothing and makes nothing twice (P2, P4).

Every moment is tried, not a sample: after each answer of a service, whose effect the process never learns, and before
each commit. The world is rebuilt from what was on disk then, and must end as it should. `KILLS_AGAIN=20` also kills
the run that takes over, at 20 pairs of moments that `KILLS_SEED=17` chooses.
"""

from __future__ import annotations

import os
import random
import shutil
import sys
from pathlib import Path

from include.leadsync.requests import request_persons
from tests.faults.images import Images
from tests.world import World

AGAIN = int(os.environ.get("KILLS_AGAIN", "0"))
SEED = int(os.environ.get("KILLS_SEED", "1"))
PEOPLE = {"edited": "a@example.com", "crossed": "b@example.com", "met": "c@example.com"}


def prepare(folder: Path) -> Path:
    """Linked pairs, and everything that the next cycle has to carry."""
    with World(folder) as world:
        for email in PEOPLE.values():
            world.add_row("lead", subject="s", lastname="L", emailaddress1=email)
        world.settle()
        play(world)
    return folder


def play(world: World) -> None:
    """Edits on both sides, a collision, a new lead, a request: one cycle has to carry all of it."""
    leads = {name: world.rows("lead", f"emailaddress1 eq '{email}'")[0]["leadid"] for name, email in PEOPLE.items()}
    persons = {name: world.persons_by("microsoftId", lead)[0]["id"] for name, lead in leads.items()}
    world.edit_row("lead", leads["edited"], jobtitle="from Dynamics")
    world.edit_person(persons["crossed"], title="from Marketo")
    world.edit_row("lead", leads["met"], jobtitle="loses")
    world.edit_person(persons["met"], title="wins")
    world.add_row("lead", subject="new", lastname="New", emailaddress1="new@example.com")
    asked = world.add_person(email="asked@example.com", firstName="As", lastName="Ked", microsoftTopic="asked")
    request_persons(world.engine, [asked], "lead", source="test", token="once")


def assert_as_it_should_be(world: World) -> None:
    """Right winners, nothing lost, one record for one person."""
    expected: dict[str, str | None] = {"new@example.com": None, "asked@example.com": None}
    expected |= {"a@example.com": "from Dynamics", "b@example.com": "from Marketo", "c@example.com": "wins"}
    for email, title in expected.items():
        rows = world.rows("lead", f"emailaddress1 eq '{email}'")
        persons = world.persons_by("email", email)
        assert (len(rows), len(persons)) == (1, 1), email
        person = world.person(persons[0]["id"], "title", "microsoftId", "microsoftType")
        assert person is not None
        assert (rows[0]["jobtitle"], person["title"]) == (title, title), email
        assert (person["microsoftId"], person["microsoftType"]) == (rows[0]["leadid"], "Lead"), email


def test_a_kill_at_any_moment_loses_nothing_and_makes_nothing_twice(tmp_path: Path) -> None:
    images = Images(tmp_path / "images")
    (tmp_path / "world").mkdir()
    with World(prepare(tmp_path / "world"), fresh=False) as world:
        world.transport.log.clear()
        with images.taken_of(world):
            world.run()
        assert images.answers == len(world.transport.log)  # every request of the cycle, not a sample
        world.settle()
        assert_as_it_should_be(world)
    assert images.moments > images.answers
    assert images.moments > len(images.taken) > 10
    kill_again(images.taken, tmp_path / "again")
    for image in images.taken:
        with World(image, fresh=False) as world:
            world.movable.advance(120)  # the dead run's leases expire, Marketo has committed what it will
            world.settle()
            assert_as_it_should_be(world)


def kill_again(images: list[Path], folder: Path) -> None:
    """The run that takes over dies as well, at a moment that the seed chooses."""
    dice = random.Random(SEED)
    for number in range(AGAIN):
        second = Images(folder / str(number) / "images")
        copy = shutil.copytree(dice.choice(images), folder / str(number) / "world")
        with World(copy, fresh=False) as world:
            world.movable.advance(120)
            with second.taken_of(world):
                world.run()
        with World(dice.choice(second.taken), fresh=False) as world:
            world.movable.advance(120)
            world.settle()
            assert_as_it_should_be(world)
    sys.stdout.write(f"seeds {SEED} to {SEED}: {len(images)} moments, {AGAIN} times a moment of the next run too\n")
