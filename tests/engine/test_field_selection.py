"""Fields that join the map, leave it, break and come back, and refreshes of single fields (R89–R107, D57–D69)."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from include.leadsync.clients.transport import Headers, HttpRequest, HttpResponse
from include.leadsync.context import RunRequest
from include.leadsync.errors import ConfigurationInvalid, ConnectionBroken, RetryLater
from include.leadsync.state import FieldJobs, Outbox
from include.leadsync.state.fields import DONE, OPEN
from tests.engine.lifecycle import Scene
from tests.engine.play import column, linked_contact, linked_lead, linked_leads, shown
from tests.engine.together import Story, linked, together
from tests.world import World, shipped_config

EMPLOYEES = {"dynamics": "numberofemployees", "type": "integer"}


def fields(entity: str = "lead", **entries: dict[str, Any] | None) -> dict[str, dict[str, Any]]:
    """The shipped map with entries added, replaced, or (None) taken out."""
    shipped: dict[str, dict[str, Any]] = shipped_config()["fields"]
    for name, entry in entries.items():
        shipped[entity].pop(name, None)
        if entry is not None:
            shipped[entity][name] = entry
    return shipped


def configure(world: World, entity: str = "lead", backfill: Any = None, **entries: dict[str, Any] | None) -> None:
    """Another map, as `fields` makes it."""
    world.configure({"fields": fields(entity, **entries), "backfill": backfill or {}})
    world.reopen()


def pairs_of(world: World, numbers: Sequence[tuple[int | None, int | None]]) -> list[tuple[int, str]]:
    """Linked leads whose two sides (CRM record, person) show numbers of employees, a field nobody syncs yet."""
    rows = [{"numberofemployees": row, "emailaddress1": f"p{at}@example.com"} for at, (row, _) in enumerate(numbers)]
    pairs = linked_leads(world, *rows)
    for (at, _), (_, person) in zip(pairs, numbers, strict=True):
        if person is not None:
            world.edit_person(at, numberOfEmployees=person)
    world.run()
    return pairs


def both(world: World, at: tuple[int, str]) -> tuple[object, object]:
    return shown(world, at[0], "numberOfEmployees"), column(world, "lead", at[1], "numberofemployees")


NUMBERS = [(5, 7), (5, None), (None, 7), (6, 6)]  # CRM record, person
FILLED = {
    "inbound": [(5, 5), (5, 5), (None, None), (6, 6)],
    "outbound": [(7, 7), (None, None), (7, 7), (6, 6)],
    "by_type": [(7, 7), (5, 5), (7, 7), (6, 6)],
}
"""What both sides show after a field joined the map (person, CRM record); inbound as in the native sync, nulls too."""


@pytest.fixture(scope="module")
def different(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[tuple[int, str]]]:
    """A world with pairs that show `NUMBERS`, made once; tests work on copies."""
    folder = tmp_path_factory.mktemp("different") / "world"
    folder.mkdir()
    with World(folder) as world:
        return folder, pairs_of(world, NUMBERS)


@pytest.mark.parametrize("direction", FILLED)
@pytest.mark.parametrize("stretch", [2, 5_000])
def test_a_field_that_joins_is_filled_on_every_link_from_the_side_that_is_configured(
    different: tuple[Path, list[tuple[int, str]]], tmp_path: Path, direction: str, stretch: int
) -> None:
    folder, pairs = different
    shutil.copytree(folder, tmp_path / "world")
    with World(tmp_path / "world", fresh=False) as world:
        configure(world, numberOfEmployees=EMPLOYEES, backfill={"direction": direction, "records_per_cycle": stretch})
        report = world.run()
        assert report["steps"]["recover"]["fields_added"] == ["lead.numberOfEmployees"]
        for _ in range(4 // stretch):
            world.run()
        assert [both(world, at) for at in pairs] == FILLED[direction]
        (job,) = FieldJobs(world.engine.store).all((OPEN, DONE))
        assert (job.state, job.done, job.total) == (DONE, 4, 4)
        assert world.activities() == []


def test_a_value_of_the_person_that_gives_way_is_in_the_ledger(world: World) -> None:
    (at,) = pairs_of(world, [(5, 7)])
    configure(world, numberOfEmployees=EMPLOYEES)
    world.settle()
    entries = world.ledger(at[0], "numberOfEmployees")
    assert {(entry["after"], entry["lost"], entry["rule"]) for entry in entries} == {("5", "7", "R95")}


def test_a_backfill_goes_on_where_a_run_that_died_left_it(world: World) -> None:
    pairs = pairs_of(world, [(number + 1, None) for number in range(4)])
    configure(world, numberOfEmployees=EMPLOYEES, backfill={"records_per_cycle": 3})

    def dies(request: HttpRequest) -> HttpResponse | None:
        if "leads.json" in request.url and request.method == "GET":
            raise ConnectionBroken("cannot be reached", maybe_committed=False)
        return None

    world.transport.before.append(dies)
    with pytest.raises(RetryLater):
        world.run()
    world.transport.before.clear()
    (job,) = FieldJobs(world.engine.store).all()
    assert (job.position, job.done) == (0, 0)
    world.reopen()
    world.run()
    (job,) = FieldJobs(world.engine.store).all()
    assert job.done == 3
    world.settle()
    assert [both(world, at) for at in pairs] == [(n + 1, n + 1) for n in range(4)]


def test_changes_go_before_a_backfill(world: World) -> None:
    pairs = pairs_of(world, [(number + 1, None) for number in range(3)])
    configure(world, numberOfEmployees=EMPLOYEES)
    world.edit_row("lead", pairs[2][1], jobtitle="CTO")
    sent: list[bytes] = []

    def watch(request: HttpRequest) -> None:
        if "leads.json" in request.url and request.method == "POST":
            sent.append(request.body or b"")

    world.transport.before.append(watch)
    world.engine.settings.batches.__dict__["marketo"] = 1
    world.run()
    assert b"CTO" in sent[0]
    assert [b"numberOfEmployees" in body for body in sent] == [False, True, True, True]


def test_a_field_that_leaves_the_map_stops_and_what_was_agreed_on_is_forgotten(world: World) -> None:
    person, lead = linked_lead(world, jobtitle="base")
    configure(world, title=None)
    report = world.run()
    assert report["steps"]["recover"]["fields_removed"] == ["lead.title"]
    world.edit_person(person, title="typed meanwhile")
    world.edit_row("lead", lead, address1_city="Lund")
    world.settle()
    assert column(world, "lead", lead, "jobtitle") == "base"
    configure(world)
    world.settle()  # back in the map: refreshed from Dynamics, not taken for an edit of the person
    assert (shown(world, person, "title"), column(world, "lead", lead, "jobtitle")) == ("base", "base")


def test_a_write_that_waits_for_a_field_that_left_is_planned_anew_without_it(world: World) -> None:
    person, lead = linked_lead(world)

    def unreachable(request: HttpRequest) -> HttpResponse | None:
        if "$batch" in request.url and b"PATCH" in (request.body or b""):
            raise ConnectionBroken("cannot be reached", maybe_committed=False)
        return None

    world.edit_person(person, title="CTO", city="Lund")
    world.transport.before.append(unreachable)
    with pytest.raises(RetryLater):
        world.run()
    world.transport.before.clear()
    configure(world, title=None)
    world.movable.advance(120)
    world.settle()
    assert (column(world, "lead", lead, "address1_city"), column(world, "lead", lead, "jobtitle")) == ("Lund", None)
    assert world.activities() == []
    assert Outbox(world.engine.store).depth().num_rows == 0


def hide(world: World, name: str, *, readable: bool = False, entity: str = "lead") -> None:
    world.dynamics.control("set_metadata", {"entity": entity, "attribute": name, "changes": {"read": readable}})


def retype(world: World, name: str, *, away: bool) -> None:
    change = {"type": "Integer" if away else "String"}
    world.dynamics.control("set_metadata", {"entity": "lead", "attribute": name, "changes": change})


# Of each column one test: all of them are in one world. Entries that are not optional are the user's own.
COLUMNS = {"title": "jobtitle", "fax": "fax", "salutation": "salutation", "website": "websiteurl"}
OWN = {"title": True, "fax": False, "salutation": True, "website": False}
ENTRIES: dict[str, dict[str, Any] | None] = {
    name: {"dynamics": crm, "type": "string", "optional": not OWN[name]} for name, crm in COLUMNS.items()
}


def told_of(scene: Scene, name: str, *, open_only: bool = False) -> list[dict[str, Any]]:
    """What was said of a field, newest first."""
    return [row for row in scene.activities(open_only=open_only) if row["field"] == name]


@pytest.mark.parametrize("name", ["title", "fax"], ids=["own entry", "optional entry"])
@together(pairs=False, fields=fields("lead", **ENTRIES))
def test_a_column_that_cannot_be_read_any_more_is_set_aside_and_catches_up_when_it_is_back(
    scene: Scene, name: str
) -> Story:
    world, crm = scene.world, COLUMNS[name]
    other = scene.add_row("lead", lastname="Other", emailaddress1=scene.address("other"), **{crm: "base"})
    person, lead = yield from linked(scene, telephone1="1", **{crm: "base"})
    hide(world, crm)
    world.edit_person(person, **{name: "typed meanwhile"}, city="Lund")
    world.edit_row("lead", lead, telephone1="2")
    yield
    assert (shown(world, person, "phone"), column(world, "lead", lead, "address1_city")) == ("2", "Lund")
    world.edit_row("lead", other, **{crm: "changed meanwhile"})
    yield
    assert [row["code"] for row in told_of(scene, name)] == ["field_set_aside"]  # told once
    hide(world, crm, readable=True)
    world.movable.advance(3_700)
    yield
    assert column(world, "lead", lead, crm) == "typed meanwhile"
    assert shown(world, scene.person_of(other), name) == "changed meanwhile"
    assert [row["outcome"] for row in told_of(scene, name)] == ["recovered", "failed"]


@pytest.mark.parametrize("name", ["salutation", "website"], ids=["own entry", "optional entry"])
@together(pairs=False, fields=fields("lead", **ENTRIES))
def test_a_column_that_changes_its_type_is_set_aside_and_catches_up_when_it_is_back(scene: Scene, name: str) -> Story:
    world, crm = scene.world, COLUMNS[name]
    person, lead = yield from linked(scene, **{crm: "base"})
    retype(world, crm, away=True)
    world.movable.advance(3_700)
    world.edit_person(person, **{name: "typed meanwhile"}, city="Lund")
    world.edit_row("lead", lead, telephone1="2")
    yield
    assert (shown(world, person, "phone"), column(world, "lead", lead, "address1_city")) == ("2", "Lund")
    assert shown(world, person, name) == "typed meanwhile"
    (told,) = told_of(scene, name, open_only=True)
    assert (told["code"], told["rule"]) == ("field_set_aside", "D67")
    retype(world, crm, away=False)
    world.movable.advance(3_700)
    yield
    assert column(world, "lead", lead, crm) == "typed meanwhile"
    assert told_of(scene, name, open_only=True) == []


def refuse_column(request: HttpRequest) -> HttpResponse | None:
    """Dynamics no longer knows a column of leads, although its delta link was made for it."""
    if "/leads?" not in request.url or "jobtitle" not in request.url:
        return None
    body = b'{"error": {"code": "0x80060888", "message": "Could not find a property named \'jobtitle\'"}}'
    return HttpResponse(400, Headers({"content-type": "application/json"}), body)


def test_an_unknown_column_in_the_middle_of_a_run_has_the_metadata_read_again_and_the_run_goes_on(
    world: World,
) -> None:
    person, lead = linked_lead(world, jobtitle="base")
    world.edit_person(person, city="Lund")
    world.settle()
    hide(world, "jobtitle")
    world.edit_row("lead", lead, telephone1="2")
    world.transport.before.append(refuse_column)
    world.run()
    assert shown(world, person, "phone") == "2"
    world.run()
    assert [row["code"] for row in world.activities(open_only=True)] == ["field_set_aside"]


def test_an_entry_that_never_fitted_is_still_a_mistake_of_the_configuration(world: World) -> None:
    linked_lead(world)
    configure(world, numberOfEmployees={"dynamics": "numberofemploees", "type": "integer"})
    with pytest.raises(ConfigurationInvalid, match="numberofemployees"):
        world.run()


@pytest.mark.parametrize("direction", ["inbound", "by_type"])
def test_a_refresh_of_one_field_repairs_a_drift_and_overrides_no_change(world: World, direction: str) -> None:
    configure(world, title={"dynamics": "jobtitle", "type": "string", "direction": "inbound"})
    other = {"emailaddress1": "other@example.com", "address1_city": "Malmö"}
    (person, lead), (changed_person, changed) = linked_leads(world, {"jobtitle": "base"}, other)
    world.edit_person(person, title="drifted")  # inbound only: nobody minds
    world.settle()
    world.edit_person(changed_person, city="Lund")
    world.run(kind="backfill", fields=("title", "city"), direction=direction)
    world.settle()
    assert (shown(world, person, "title"), column(world, "lead", lead, "jobtitle")) == ("base", "base")
    assert column(world, "lead", changed, "address1_city") == "Lund"


def test_a_refresh_takes_no_refused_edit_from_the_person_who_has_it(world: World) -> None:
    person, lead = linked_lead(world, mobilephone="1")
    too_long = "0" * 70
    world.edit_person(person, mobilePhone=too_long)
    world.settle()
    world.run(kind="backfill", fields=("mobilePhone",), direction="inbound")
    world.settle()
    assert (shown(world, person, "mobilePhone"), column(world, "lead", lead, "mobilephone")) == (too_long, "1")


@pytest.mark.parametrize(("window_on", "hit"), [("modified", {"old", "new"}), ("created", {"new"})])
def test_a_refresh_may_be_narrowed_to_records_modified_or_created_in_a_window(
    drifted: tuple[Path, str, dict[str, int]], tmp_path: Path, window_on: str, hit: set[str]
) -> None:
    folder, since, persons = drifted
    shutil.copytree(folder, tmp_path / "world")
    with World(tmp_path / "world", INBOUND, fresh=False) as world:
        world.run(kind="backfill", fields=("title",), since=since, window_on=window_on)
        world.run()
        assert {name for name, person in persons.items() if shown(world, person, "title") == "base"} == hit


INBOUND = {"fields": fields(title={"dynamics": "jobtitle", "type": "string", "direction": "inbound"})}


@pytest.fixture(scope="module")
def drifted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, dict[str, int]]:
    """Where it is; a moment; leads from before it, one of them edited since, and one from after it.

    All their persons show another title than they do, and nobody minds: it is inbound only.
    """
    folder = tmp_path_factory.mktemp("drifted") / "world"
    folder.mkdir()
    with World(folder, INBOUND) as world:
        made = [{"jobtitle": "base", "emailaddress1": f"{name}@example.com"} for name in ("old", "untouched", "new")]
        (old, lead), (untouched, _) = linked_leads(world, *made[:2])
        world.movable.advance(3_600)
        since = f"{world.clock.now():%Y-%m-%dT%H:%M:%SZ}"
        world.movable.advance(60)
        ((new, _),) = linked_leads(world, made[2])
        world.edit_row("lead", lead, fax="1")
        world.settle()
        persons = {"old": old, "new": new, "untouched": untouched}
        for person in persons.values():
            world.edit_person(person, title="drifted")
        world.settle()
        return folder, since, persons


def test_a_dry_run_counts_and_stores_nothing(world: World) -> None:
    pairs = pairs_of(world, [(number + 1, None) for number in range(3)])
    configure(world, numberOfEmployees=EMPLOYEES, backfill={"records_per_cycle": 0})
    report = world.run(kind="backfill", fields=("numberOfEmployees",), dry_run=True, limit=2)
    (estimate,) = report["steps"]["recover"]["backfill"]
    assert (estimate["records"], estimate["dynamics_calls"], estimate["marketo_calls"]) == (3, 1, 1)
    plan = world.engine.staging(RunRequest(report["run_id"])).read("plan")
    assert plan["field"].to_list().count("numberOfEmployees") == 2  # of the stretch that was looked at
    world.run()
    assert both(world, pairs[0]) == (None, 1)


def test_a_field_on_a_contact_is_filled_too(world: World) -> None:
    person, contact = linked_contact(world, employeeid="E1")
    configure(world, "contact", rating={"dynamics": "employeeid", "type": "string"})
    world.settle()
    assert (shown(world, person, "rating"), column(world, "contact", contact, "employeeid")) == ("E1", "E1")


def test_an_opt_out_of_a_consent_field_that_joins_goes_both_ways_and_none_is_lifted(world: World) -> None:
    configure(world, unsubscribed=None)
    shows = [(True, False), (False, True), (False, False), (True, True)]
    rows = [{"donotbulkemail": row, "emailaddress1": f"p{number}@example.com"} for number, (row, _) in enumerate(shows)]
    pairs = linked_leads(world, *rows)
    for (at, _), (_, person) in zip(pairs, shows, strict=True):
        world.edit_person(at, unsubscribed=person)
    world.settle()
    configure(world)
    world.settle()
    assert [shown(world, person, "unsubscribed") for person, _ in pairs] == [True, True, False, True]
    assert [column(world, "lead", lead, "donotbulkemail") for _, lead in pairs] == [True, True, False, True]


def block(world: World, name: str) -> None:
    """Marketo's Block Field Updates for API input: the value is dropped, the answer is the usual one."""

    def drop(request: HttpRequest) -> HttpResponse | None:
        if request.method != "POST" or "/rest/v1/leads.json" not in request.url:
            return None
        body = json.loads(request.body or b"{}")
        for record in body["input"]:
            record.pop(name, None)
        return world.transport._pass_on(replace(request, body=json.dumps(body).encode()))

    world.transport.before.append(drop)


@pytest.mark.parametrize("entity", ["lead", "contact"])
@together(pairs=False, world="blocked")
def test_a_field_that_marketo_keeps_from_us_is_told_once_and_overwrites_nothing(scene: Scene, entity: str) -> Story:
    world = scene.world
    person, row = yield from linked(scene, entity, jobtitle="first")
    block(world, "title")
    world.edit_row(entity, row, jobtitle="second")
    yield
    for city in ("Lund", "Malmö"):
        world.movable.advance(300)
        world.edit_person(person, city=city)
        yield
    assert (shown(world, person, "title"), column(world, entity, row, "jobtitle")) == ("first", "second")
    assert [(r["code"], r["field"], r["value"]) for r in scene.activities()] == [("blocked_update", "title", "second")]
    world.edit_row(entity, row, jobtitle="third")
    yield
    world.movable.advance(300)
    world.edit_row(entity, row, jobtitle="fourth")
    world.edit_person(person, city="Ystad")
    yield
    assert column(world, entity, row, "jobtitle") == "fourth"
    world.movable.advance(300)
    world.edit_person(person, title="typed")
    yield
    assert (shown(world, person, "title"), column(world, entity, row, "jobtitle")) == ("typed", "typed")


def add_scores(world: World) -> None:
    """The column that the package of the native sync adds for the score."""
    for entity in ("lead", "contact"):
        about = {"entity": entity, "attribute": "mkt_leadscore", "type": "Integer"}
        world.dynamics.control("add_attribute", about)


@pytest.mark.parametrize("entity", ["lead", "contact"])
@together(pairs=False, before=add_scores)
def test_a_score_goes_out_and_what_is_typed_over_it_does_not_come_in(scene: Scene, entity: str) -> Story:
    person, row = yield from linked(scene, entity)
    scene.world.edit_person(person, leadScore=7)
    yield
    assert column(scene.world, entity, row, "mkt_leadscore") == 7
    scene.world.edit_row(entity, row, mkt_leadscore=99)
    yield
    assert shown(scene.world, person, "leadScore") == 7
