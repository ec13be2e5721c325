"""The same cycle on PostgreSQL: one rich scenario from the first link to a killed run."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from include.leadsync.clients.transport import HttpRequest, HttpResponse
from include.leadsync.context import RunRequest
from include.leadsync.cycle import run_cycle
from include.leadsync.errors import LeaseLost, StateUnavailable
from include.leadsync.requests import request_persons
from tests.engine.play import column, linked_lead, linked_leads, linked_rows, shown
from tests.postgresql import empty_schema, running_server
from tests.world import World

NAMED = {"subject": "Web form", "firstname": "Ann", "lastname": "Ax"}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with running_server() as url:
        yield url


@pytest.fixture
def world(server: str, tmp_path: Path) -> Iterator[World]:
    with empty_schema(server) as url, World(tmp_path, state_url=url) as made:
        assert made.engine.store.engine.dialect.name == "postgresql"
        yield made


def let_in(server: str, *, allowed: bool) -> None:
    """Whether the database takes connections; when it does not, those that are there end."""
    url = sa.engine.make_url(server)
    elsewhere = sa.create_engine(url.set(database="template1"), poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    with elsewhere.connect() as connection:
        connection.execute(sa.text(f'ALTER DATABASE "{url.database}" ALLOW_CONNECTIONS {allowed}'))
        if not allowed:
            ours = sa.text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name")
            connection.execute(ours, {"name": url.database})


def test_rules_winners_requests_failures_and_deletions_are_the_same(world: World) -> None:
    (person, lead), (other, contact), (gone_person, gone) = linked_rows(
        world,
        ("lead", {**NAMED, "emailaddress1": "ann@example.com", "jobtitle": "Chefingenjör 💡"}),
        ("contact", {"lastname": "Berg", "emailaddress1": "bo@example.com", "jobtitle": "Engineer"}),
        ("lead", {**NAMED, "emailaddress1": "gone@example.com"}),
    )
    asked = world.add_person(email="cy@example.com", firstName="Cy", lastName="Dee")
    world.edit_person(person, title="from Marketo")
    world.edit_row("lead", lead, jobtitle="from Dynamics", telephone1="+46 40 1")
    world.edit_person(other, title="from Marketo", mobilePhone=None, city="Lund")
    world.edit_row("contact", contact, jobtitle="from Dynamics")
    world.delete_row("lead", gone)
    request_persons(world.engine, [asked], "contact", source="test", token="1")
    world.settle()
    assert (column(world, "lead", lead, "jobtitle"), shown(world, person, "title")) == ("from Marketo",) * 2
    assert (column(world, "contact", contact, "jobtitle"), shown(world, other, "title")) == ("from Dynamics",) * 2
    assert (shown(world, person, "phone"), column(world, "contact", contact, "address1_city")) == ("+46 40 1", "Lund")
    assert shown(world, gone_person, "microsoftIsDeleted") is True
    (made,) = world.rows("contact", "emailaddress1 eq 'cy@example.com'")
    assert shown(world, asked, "microsoftId") == made["contactid"]
    collision = [entry for entry in world.ledger(person, "title") if entry["kind"] == "collision"]
    assert [(c["base"], c["lost"]) for c in collision] == [("Chefingenjör 💡", "from Dynamics")]


def test_a_failure_is_told_once_and_recovers_once(world: World) -> None:
    person, lead = linked_lead(world)
    world.edit_person(person, mktoPersonNotes="x" * 25_000, title="held back with it")
    world.settle()
    assert column(world, "lead", lead, "jobtitle") is None
    world.edit_person(person, mktoPersonNotes="short")
    world.settle()
    assert column(world, "lead", lead, "jobtitle") == "held back with it"
    assert [entry["primaryAttributeValue"] for entry in world.outcome_activities(person)] == [
        "failed: mktoPersonNotes", "recovered: mktoPersonNotes",
    ]  # fmt: skip


def test_many_deletions_wait_for_approval(world: World) -> None:
    world.configure({"policies": {"brake": {"deletes": {"count": 1, "share": 0.1}}}})
    world.reopen()
    pairs = linked_leads(world, *({"emailaddress1": f"p{number}@example.com"} for number in range(2)))
    for _, lead in pairs:
        world.delete_row("lead", lead)
    plan_hash = world.run()["steps"]["plan"]["plan_hash"]
    assert not any(shown(world, person, "microsoftIsDeleted") for person, _ in pairs)
    world.run(approve=plan_hash)
    world.settle()
    assert all(shown(world, person, "microsoftIsDeleted") for person, _ in pairs)


def test_a_run_that_died_while_writing_is_taken_over_and_nothing_is_made_twice(world: World) -> None:
    class Killed(BaseException):
        pass

    def kill(request: HttpRequest, response: HttpResponse) -> HttpResponse:
        if request.method == "POST" and "/rest/v1/leads.json" in request.url:
            raise Killed
        return response

    lead = world.add_row("lead", subject="s", lastname="Once", emailaddress1="once@example.com")
    world.transport.after.append(kill)
    with pytest.raises(Killed):
        world.run()
    world.transport.after.clear()
    world.reopen()
    world.movable.advance(-59)  # `run` lets a minute pass first
    assert world.run()["outcome"] == "skipped"
    world.movable.advance(120)
    world.settle()
    (person,) = world.persons_by("email", "once@example.com")
    assert shown(world, person["id"], "microsoftId") == lead


def test_two_cycles_at_the_same_moment_are_one_cycle(world: World) -> None:
    world.add_row("lead", subject="s", lastname="Once", emailaddress1="once@example.com")
    inside, outcomes = threading.Event(), {}

    def other() -> None:
        with world.open_engine() as engine:
            outcomes["other"] = run_cycle(engine, RunRequest("20260301T100001Z-other0"))["outcome"]
        inside.set()

    def meet(_: HttpRequest) -> HttpResponse | None:
        world.transport.before.clear()
        thread = threading.Thread(target=other)
        thread.start()
        thread.join(60)
        return None

    world.transport.before.append(meet)
    outcomes["first"] = world.run()["outcome"]
    assert inside.is_set()
    assert outcomes == {"other": "skipped", "first": "done"}
    assert len(world.persons_by("email", "once@example.com")) == 1


def test_a_backfill_and_a_request_in_the_middle_of_a_cycle_make_nothing_twice(world: World) -> None:
    person, lead = linked_lead(world)
    world.edit_person(person, title="outbound")
    new = world.add_row("lead", subject="s", lastname="Once", emailaddress1="once@example.com")
    asked = world.add_person(email="asked@example.com", firstName="As", lastName="Ked", company="Acme")
    request_persons(world.engine, [asked], "lead", source="test", token="1")
    inside = []

    def meet(request: HttpRequest) -> HttpResponse | None:
        if request.method != "POST" or b"once@example.com" not in (request.body or b""):
            return None
        world.transport.before.clear()
        for kind, since in (("request", None), ("backfill", "2026-01-01")):
            with world.open_engine() as engine:
                run = RunRequest(f"20260301T100001Z-{kind}", kind=kind, since=since)
                inside.append(run_cycle(engine, run)["outcome"])
        return None

    world.transport.before.append(meet)
    assert (world.run()["outcome"], inside) == ("done", ["done", "done"])
    world.settle()
    (row,) = world.rows("lead", "emailaddress1 eq 'asked@example.com'")
    (made,) = world.persons_by("email", "once@example.com")
    assert (shown(world, asked, "microsoftId"), shown(world, made["id"], "microsoftId")) == (row["leadid"], new)
    assert column(world, "lead", lead, "jobtitle") == "outbound"


@pytest.mark.parametrize("at", [b"leadchanges", b"$batch"])
def test_a_server_that_goes_away_in_the_middle_of_a_run_is_one_clear_error_and_nothing_is_lost(
    world: World, server: str, at: bytes
) -> None:
    person, lead = linked_lead(world)
    world.edit_person(person, title="outbound")
    new = world.add_row("lead", subject="s", lastname="Once", emailaddress1="once@example.com")

    def away(request: HttpRequest) -> None:
        if at in request.url.encode():
            world.transport.before.clear()
            let_in(server, allowed=False)

    world.transport.before.append(away)
    try:
        with pytest.raises(StateUnavailable, match="nothing was lost"):
            world.run()
    finally:
        let_in(server, allowed=True)
    assert not world.transport.before
    world.movable.advance(120)
    world.settle()
    (made,) = world.persons_by("email", "once@example.com")
    assert shown(world, made["id"], "microsoftId") == new
    assert column(world, "lead", lead, "jobtitle") == "outbound"


def test_a_loader_that_slept_while_another_took_over_writes_nothing_more(world: World) -> None:
    person, lead = linked_lead(world)
    world.edit_person(person, title="outbound")
    new = world.add_row("lead", subject="s", lastname="Once", emailaddress1="once@example.com")
    seen: list[int] = []

    def sleep(request: HttpRequest, response: HttpResponse) -> HttpResponse:
        if b"PATCH " in (request.body or b""):
            world.transport.after.clear()
            world.movable.advance(120)  # its leases end
            with world.open_engine() as engine:
                assert run_cycle(engine, RunRequest("20260301T100001Z-other0"))["outcome"] == "done"
            assert len(world.persons_by("email", "once@example.com")) == 1
            seen.append(len(world.transport.log))
        return response

    world.transport.after.append(sleep)
    with pytest.raises(LeaseLost):
        world.run()
    (awake,) = seen
    assert world.transport.log[awake:] == []
    world.settle()
    assert column(world, "lead", lead, "jobtitle") == "outbound"
    (made,) = world.persons_by("email", "once@example.com")
    assert shown(world, made["id"], "microsoftId") == new


def test_a_null_character_that_the_database_cannot_hold_stops_nobody(world: World) -> None:
    contact_row = {"lastname": "Berg", "emailaddress1": "bo@example.com"}
    (person, lead), (other, contact) = linked_rows(world, ("lead", NAMED), ("contact", contact_row))
    world.edit_person(person, title="nul\x00l")
    world.edit_person(other, title="goes on")
    world.settle()
    assert column(world, "contact", contact, "jobtitle") == "goes on"
    (entry,) = world.activities(open_only=True)
    assert (entry["field"], entry["person_id"]) == ("title", person)
    world.edit_person(person, title="null")
    world.settle()
    assert column(world, "lead", lead, "jobtitle") == "null"


def test_a_run_is_taken_back_and_a_full_compare_finds_it_agreed(world: World) -> None:
    person, lead = linked_lead(world, jobtitle="old")
    world.edit_person(person, title="new")
    run = world.run()["run_id"]
    assert world.run(kind="undo", undoes=run)["steps"]["merge"]["undo"] == {"restored": 1}
    report = world.run(kind="reconcile")
    assert (report["steps"]["compare"]["links"], report["steps"]["plan"]["operations"]) == (1, 0)
    assert (column(world, "lead", lead, "jobtitle"), shown(world, person, "title")) == ("old", "new")
