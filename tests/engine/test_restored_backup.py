"""A backup of the state store put back: noticed, nothing old sent, no value lost unseen (`restored`)."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from include.leadsync.clients.transport import HttpRequest
from include.leadsync.errors import ConnectionBroken, LeadSyncError, RetryLater
from include.leadsync.state import Outbox
from tests.engine.play import column, linked_contact, linked_lead, shown
from tests.world import MARKETO, World


class Killed(BaseException):
    """The process ends here."""


def back_up(world: World) -> Path:
    """As docs/operations.md says: while everything runs."""
    copy = world.folder / "backup.db"
    with (
        contextlib.closing(sqlite3.connect(world.folder / "state.db")) as source,
        contextlib.closing(sqlite3.connect(copy)) as target,
    ):
        source.backup(target)
    return copy


def put_back(world: World, backup: Path) -> None:
    world.engine.store.close()
    for leftover in world.folder.glob("state.db*"):
        leftover.unlink()
    backup.rename(world.folder / "state.db")
    world.reopen()


def waits_in(world: World) -> int:
    return sum(row["count"] for row in Outbox(world.engine.store).depth().to_pylist())


def noticed(report: dict[str, object]) -> bool:
    steps = report["steps"]
    assert isinstance(steps, dict)
    return bool(steps["recover"].get("restored_backup"))


def test_what_was_synced_since_stays_as_it_is_and_everyone_keeps_their_link(world: World) -> None:
    person, lead = linked_lead(world)
    backup = back_up(world)
    world.edit_row("lead", lead, jobtitle="CTO")
    world.edit_person(person, city="Lund")
    born = world.add_row("lead", subject="s", lastname="New", emailaddress1="new@example.com")
    world.settle()
    put_back(world, backup)
    assert noticed(world.run())
    world.settle()
    assert (shown(world, person, "title"), column(world, "lead", lead, "address1_city")) == ("CTO", "Lund")
    assert len(world.persons_by("microsoftId", born)) == len(world.persons_by("email", "new@example.com")) == 1
    assert Outbox(world.engine.store).held().num_rows == 0
    world.edit_person(person, city="Umeå")  # and it goes on
    assert not noticed(world.run())
    assert column(world, "lead", lead, "address1_city") == "Umeå"


def test_a_write_that_waited_in_the_backup_is_not_sent_over_what_came_later(world: World) -> None:
    person, lead = linked_lead(world)
    world.edit_row("lead", lead, jobtitle="CTO")

    def away(request: HttpRequest) -> None:
        if request.method == "POST" and "/leads.json" in request.url:
            raise ConnectionBroken("cannot be reached", maybe_committed=False)

    world.transport.before.append(away)
    with contextlib.suppress(RetryLater):
        world.run()
    world.transport.before.clear()
    backup = back_up(world)
    world.movable.advance(120)
    world.settle()
    world.edit_person(person, title="CEO")
    world.settle()
    assert (shown(world, person, "title"), column(world, "lead", lead, "jobtitle")) == ("CEO", "CEO")
    put_back(world, backup)
    assert waits_in(world) == 1
    world.movable.advance(120)
    world.transport.log.clear()
    assert noticed(world.run(kind="request"))  # which reads no feed, and empties the outbox
    assert shown(world, person, "title") == "CEO"
    world.settle()
    assert (shown(world, person, "title"), column(world, "lead", lead, "jobtitle")) == ("CEO", "CEO")
    assert ("POST", f"{MARKETO}/rest/v1/leads.json") not in world.transport.log


@pytest.mark.parametrize("entity", ["lead", "contact"])
def test_a_value_that_would_lose_because_the_baseline_is_old_waits_for_a_look(world: World, entity: str) -> None:
    person, row = linked_lead(world) if entity == "lead" else linked_contact(world)
    backup = back_up(world)
    world.edit_person(person, title="First")
    world.settle()
    # The side that loses collisions has the newer value: nobody can tell from the old baseline.
    if entity == "lead":
        world.edit_row("lead", row, jobtitle="Second")
    else:
        world.edit_person(person, title="Second")
    put_back(world, backup)
    report = world.run()
    (held,) = Outbox(world.engine.store).held().to_pylist()
    assert "backup" in " ".join(report["steps"]["plan"]["held_because"])
    expected = ("First", "Second") if entity == "lead" else ("Second", "First")
    assert (shown(world, person, "title"), column(world, entity, row, "jobtitle")) == expected
    world.run(approve=held["plan_hash"])
    world.settle()
    assert shown(world, person, "title") == column(world, entity, row, "jobtitle") == "First"
    assert {entry["lost"] for entry in world.ledger(person, "title")} >= {"Second"}


def test_a_mark_that_cannot_be_read_stops_nothing(world: World) -> None:
    for mark in ("", "[]", '{"store": 1, "runs": "many"}', "\x00"):
        (world.folder / "staging").mkdir(exist_ok=True)
        (world.folder / "staging" / "state-store.json").write_text(mark)
        assert not noticed(world.run())


def test_another_store_on_the_same_staging_is_no_backup_of_this_one(world: World, tmp_path: Path) -> None:
    world.settle()
    with World(tmp_path / "other", staging_url=world.staging_url) as other:
        assert not noticed(other.run())


def test_a_dry_run_counts_nothing(world: World) -> None:
    world.run()
    mark = (world.folder / "staging" / "state-store.json").read_text()
    world.run(dry_run=True)
    assert (world.folder / "staging" / "state-store.json").read_text() == mark


def test_a_cycle_that_dies_leaves_the_care_to_the_next(world: World) -> None:
    person, lead = linked_lead(world)
    backup = back_up(world)
    world.edit_person(person, title="First")
    world.settle()
    world.edit_row("lead", lead, jobtitle="Second")
    put_back(world, backup)

    def dies(request: HttpRequest) -> None:
        if "leads" in request.url and "filterType=id" in request.url:
            world.transport.before.clear()
            raise Killed

    world.transport.before.append(dies)
    with contextlib.suppress(Killed, LeadSyncError):
        world.run()
    world.reopen()
    world.movable.advance(120)
    world.run()
    assert Outbox(world.engine.store).held().num_rows == 1
    assert column(world, "lead", lead, "jobtitle") == "Second"
