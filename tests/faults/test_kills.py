"""A run that dies at any request or any commit loses nothing and makes nothing twice (P2, P4).

Every position is tried, not a sample: the scenario is played once to count the requests and the
commits of its cycle, then once per position with a kill there, and the world must end as it should.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from include.leadsync.requests import request_persons
from tests.world import World


class Killed(BaseException):
    """The process ends here."""


_TELLING = re.compile(r"\b(link|cursor|operation|request|activity|lease)\b")
"""Tables whose contents decide what happens next; budget and report rows do not."""


class Strike:
    """Kills at the position-th chance."""

    def __init__(self, position: int) -> None:
        self._left = position

    def pass_by(self) -> None:
        """One more chance."""
        self._left -= 1
        if self._left == -1:
            raise Killed


PEOPLE = {"edited": "a@example.com", "crossed": "b@example.com", "met": "c@example.com"}


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


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A world with three linked leads and the edits made, ready for its cycle."""
    folder = tmp_path_factory.mktemp("prepared")
    with World(folder) as world:
        for email in PEOPLE.values():
            world.add_row("lead", subject="s", lastname="L", emailaddress1=email)
        world.settle()
        play(world)
    return folder


@contextmanager
def copy_of(prepared: Path, folder: Path) -> Iterator[World]:
    shutil.copytree(prepared, folder)
    with World(folder, fresh=False) as world:
        yield world


def dies(world: World, arm: Callable[[], None], disarm: Callable[[], None]) -> bool:
    """Run one cycle that may be killed; whether it was."""
    arm()
    try:
        world.run()
    except Killed:
        return True
    finally:
        disarm()
    return False


def recover_and_check(world: World) -> None:
    world.reopen()
    world.movable.advance(120)  # the dead run's leases expire, Marketo has committed what it will
    world.settle()
    assert_as_it_should_be(world)


def count_requests(prepared: Path, folder: Path) -> int:
    with copy_of(prepared, folder) as world:
        world.transport.log.clear()
        world.run()
        requests = len(world.transport.log)
        world.settle()
        assert_as_it_should_be(world)
    return requests


def test_a_kill_after_any_request_loses_nothing_and_makes_nothing_twice(prepared: Path, tmp_path: Path) -> None:
    """The service has answered, perhaps committed; the process never learns it."""
    total = count_requests(prepared, tmp_path / "count")
    assert total > 10
    for position in range(total):
        with copy_of(prepared, tmp_path / str(position)) as world:
            strike = Strike(position)

            def hook(_: object, response: object, strike: Strike = strike) -> object:
                strike.pass_by()
                return response

            assert dies(world, lambda: world.transport.after.append(hook), world.transport.after.clear)  # type: ignore[arg-type]
            recover_and_check(world)


def test_a_kill_before_any_commit_loses_nothing_and_makes_nothing_twice(prepared: Path, tmp_path: Path) -> None:
    """Every transaction that touches links, cursors, operations or requests is undone at its last moment once."""
    position = 0
    struck = True
    while struck:
        with copy_of(prepared, tmp_path / str(position)) as world:
            engine, strike = world.engine.store.engine, Strike(position)
            written: set[int] = set()

            def note(
                connection: sa.Connection, _c: object, statement: str, *_: object, written: set[int] = written
            ) -> None:
                if statement.startswith(("INSERT", "UPDATE")) and _TELLING.search(statement):
                    written.add(id(connection))

            def before_commit(connection: sa.Connection, written: set[int] = written, strike: Strike = strike) -> None:
                if id(connection) in written:
                    written.discard(id(connection))
                    strike.pass_by()

            def arm() -> None:
                sa.event.listen(engine, "before_cursor_execute", note)  # noqa: B023
                sa.event.listen(engine, "commit", before_commit)  # noqa: B023

            def disarm() -> None:
                sa.event.remove(engine, "before_cursor_execute", note)  # noqa: B023
                sa.event.remove(engine, "commit", before_commit)  # noqa: B023

            struck = dies(world, arm, disarm)
            recover_and_check(world)
        position += 1
    assert position > 10
