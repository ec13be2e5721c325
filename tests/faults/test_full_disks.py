"""A disk that fills up at any write of a run, and is emptied later: one clear error, and the same end (P2, P4).

`FAULTS=all` tries every page and every file of the run; the short form some of them.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from include.leadsync.errors import RetryLater
from include.leadsync.staging import DatasetWriter
from tests.faults.test_kills import assert_as_it_should_be, prepare
from tests.world import World

EVERY = os.environ.get("FAULTS") == "all"
Full = Callable[[World, int], AbstractContextManager[None]]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepare(tmp_path_factory.mktemp("full-disks"))


@contextmanager
def full_state(world: World, room: int) -> Iterator[None]:
    """The state store may grow by so many pages; SQLite itself says that the disk is full."""
    engine = world.engine.store.engine
    with engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one() + room

    def narrow(connection: sa.Connection) -> None:
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    sa.event.listen(engine, "begin", narrow)
    try:
        yield
    finally:
        sa.event.remove(engine, "begin", narrow)
        world.reopen()


@contextmanager
def full_staging(world: World, room: int) -> Iterator[None]:
    """So many datasets find room, the next does not."""
    write, written = DatasetWriter.close, 0

    def close(writer: DatasetWriter) -> None:
        nonlocal written
        write(writer)
        written += 1
        if written > room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DatasetWriter, "close", close)
        yield


def went_through(prepared: Path, folder: Path, full: Full, room: int) -> bool:
    """Whether a run with so much room needed no more; if not, it must say so, and the next must do what is left."""
    shutil.copytree(prepared, folder)
    said = ""
    with World(folder, fresh=False) as world:
        with full(world, room):
            try:
                world.run()
            except RetryLater as later:
                said = str(later)
        world.movable.advance(120)
        world.settle()
        assert_as_it_should_be(world)
    shutil.rmtree(folder)
    assert not said or "the disk is not full" in said or "free space" in said
    return not said


@pytest.mark.parametrize(("full", "some"), [(full_state, (3,)), (full_staging, (20,))])
def test_when_there_is_room_again_everything_goes_on_as_if_there_had_always_been(
    prepared: Path, tmp_path: Path, full: Full, some: tuple[int, ...]
) -> None:
    room = 0
    for room in range(10_000) if EVERY else some:
        if went_through(prepared, tmp_path / str(room), full, room):
            assert EVERY, f"room for {room} was enough: choose fewer"
            break
    assert room >= some[-1]
