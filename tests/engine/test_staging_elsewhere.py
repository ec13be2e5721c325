"""A whole run with its staging on another file system, and what is left of old runs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import fsspec
import pytest
import sqlalchemy as sa

from tests.engine.play import column, linked_lead, shown
from tests.world import World


@pytest.fixture(params=["memory", "file"])
def staging_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "file":
        yield f"file://{tmp_path}/elsewhere"
        return
    url = f"memory://{uuid4().hex}"
    yield url
    fsspec.filesystem("memory").rm(url, recursive=True)


@pytest.fixture
def world(tmp_path: Path, staging_url: str) -> Iterator[World]:
    with World(tmp_path, staging_url=staging_url) as made:
        yield made


def staged_runs(world: World) -> set[str]:
    fs, base = fsspec.core.url_to_fs(world.staging_url)
    names = {str(path).rstrip("/").rsplit("/", 1)[-1] for path in fs.ls(base, detail=False)}
    return names - {"state-store.json"}  # by which a backup that is put back is noticed


def rows(world: World, table: str) -> int:
    with world.engine.store.read() as tx:
        return int(tx.execute(sa.text(f"SELECT count(*) FROM {table}")).scalar_one())


def test_a_run_works_there_and_old_runs_leave_nothing_behind(world: World) -> None:
    person, lead = linked_lead(world, jobtitle="Engineer")
    world.edit_person(person, title="CTO", mktoPersonNotes="x" * 25_000)
    world.run()
    world.edit_person(person, mktoPersonNotes=None)
    world.settle()
    assert column(world, "lead", lead, "jobtitle") == "CTO"
    assert not (world.folder / "staging").exists()
    old = staged_runs(world)
    assert len(old) >= 3
    assert rows(world, "operation") >= 2

    world.movable.advance(timedelta(days=8).total_seconds())
    report = world.run()
    assert report["steps"]["finish"]["swept_runs"] == len(old)
    assert staged_runs(world) == {report["run_id"]}
    assert rows(world, "operation") == 0
    assert rows(world, "ledger") > 0  # `why` reaches back further

    world.movable.advance(timedelta(days=366).total_seconds())
    world.edit_row("lead", lead, jobtitle="CEO")
    world.settle()
    assert shown(world, person, "title") == "CEO"
    assert {entry["after"] for entry in world.ledger(person, "title")} == {"CEO"}
    assert rows(world, "run") <= 2
    assert world.activities() == []
