"""A run that read nothing to decide about does its bookkeeping, and nothing else changes (`quiet`)."""

from __future__ import annotations

import pytest

from include.leadsync.console.planned import RunFiles
from include.leadsync.context import RunRequest
from include.leadsync.quiet import is_quiet
from include.leadsync.state import Cursors, Echoes
from tests.engine.play import column, linked_lead, shown
from tests.world import World


def quiet(world: World, report: dict[str, object]) -> bool:
    return is_quiet(world.engine, RunRequest(str(report["run_id"])))


def test_the_echo_of_a_write_and_the_calm_after_it_are_quiet_and_a_change_is_not(world: World) -> None:
    person, lead = linked_lead(world)
    world.edit_row("lead", lead, jobtitle="CTO")
    assert [quiet(world, world.run()) for _ in range(3)] == [False, True, True]
    assert shown(world, person, "title") == "CTO"
    assert Echoes(world.engine.store).of_persons([person]).num_rows == 0  # seen, and not waited for any more
    world.edit_person(person, city="Lund")
    assert not quiet(world, world.run())
    assert column(world, "lead", lead, "address1_city") == "Lund"


@pytest.mark.parametrize("event", ["row", "person"])
def test_a_deletion_is_not_quiet(world: World, event: str) -> None:
    person, lead = linked_lead(world)
    world.delete_row("lead", lead) if event == "row" else world.delete_person(person)
    assert not quiet(world, world.run())


def test_a_dry_run_is_never_quiet_for_its_plan_is_read_from_its_files(world: World) -> None:
    world.settle()
    assert not quiet(world, world.run(dry_run=True))


def test_the_cursors_of_a_quiet_run_move_on(world: World) -> None:
    world.settle()
    streams = ("dynamics:lead", "dynamics:contact", "marketo:changes", "marketo:deletes", "marketo:merges")
    before = {stream: cursor.version for stream in streams if (cursor := Cursors(world.engine.store).get(stream))}
    assert quiet(world, world.run())
    after = {stream: cursor.version for stream in streams if (cursor := Cursors(world.engine.store).get(stream))}
    assert after == {stream: version + 1 for stream, version in before.items()}
    assert len(after) == len(streams)


def test_a_quiet_run_has_a_plan_and_a_report_to_show(world: World) -> None:
    world.settle()
    report = world.run()
    assert quiet(world, report)
    files = RunFiles(world.staging_url, str(report["run_id"]))
    page = files.plan()
    assert page is not None
    assert (page.total, page.records) == (0, [])
    assert files.report()
    assert files.summary()["operations"] == 0
