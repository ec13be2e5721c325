"""Requests made inside Marketo, by list and by field: each answered once, told, and taken out (D22, R49)."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from include.leadsync.clients.transport import HttpRequest, HttpResponse
from include.leadsync.state import Requests
from tests.engine.lifecycle import Scene
from tests.engine.together import Story, together
from tests.world import World
from tests.world_transport import ConnectionDropped

AS_LEAD, AS_CONTACT, FIELD = "Sync as lead", "Sync as contact", "syncToMicrosoft"
CHANNELS = {
    "lists": {AS_LEAD: {"reason": "fair"}, AS_CONTACT: {"sync_as": "contact"}},
    "fields": {FIELD: {"Lead": {}, "Contact": {"sync_as": "contact"}}},
}


def add_channels(world: World) -> None:
    """The lists and the field that requests are made with."""
    for name in (AS_LEAD, AS_CONTACT):
        world.marketo.control("create_list", {"name": name})
    field = {"name": FIELD, "displayName": "Sync to Microsoft", "dataType": "string"}
    world.marketo.control("create_fields", {"fields": [field]})


@pytest.fixture(scope="module")
def channelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A world with these channels, made once; tests work on copies."""
    folder = tmp_path_factory.mktemp("channelled") / "world"
    folder.mkdir()
    with World(folder, {"requests": CHANNELS}) as made:
        add_channels(made)
        made.settle()
    return folder


@pytest.fixture
def world(channelled: Path, tmp_path: Path) -> Iterator[World]:
    shutil.copytree(channelled, tmp_path / "world")
    with World(tmp_path / "world", {"requests": CHANNELS}, fresh=False) as made:
        yield made


def person(world: World | Scene, name: str = "Asker", **values: str) -> int:
    address = world.address(name) if isinstance(world, Scene) else f"{name}@example.com"
    values = {"company": "Ask Ltd", "firstName": "As", "lastName": name, "email": address, **values}
    return world.add_person(**values)


def rows_of(scene: Scene, table: str, *names: str) -> list[dict[str, Any]]:
    """CRM records with the addresses of these names."""
    return [row for name in names for row in scene.world.rows(table, f"emailaddress1 eq '{scene.address(name)}'")]


def list_id(world: World, name: str) -> int:
    found = world.engine.marketo.find_list(name)
    assert found is not None
    return found


def put_on(world: World, name: str, *persons: int) -> None:
    world.engine.marketo.add_to_list(list_id(world, name), persons)


def members(world: World, name: str) -> list[int]:
    pages = world.engine.marketo.list_members(list_id(world, name), {})
    return [each for page in pages for each in page["id"].to_pylist()]


def told_of(world: World, person_id: int) -> list[str]:
    return [row["primaryAttributeValue"] for row in world.outcome_activities(person_id)]


@pytest.mark.parametrize(("name", "table"), [(AS_LEAD, "lead"), (AS_CONTACT, "contact")])
@together(pairs=False, before=add_channels, requests=CHANNELS)
def test_a_member_of_a_request_list_gets_a_record_and_leaves_the_list_when_it_is_told(
    scene: Scene, name: str, table: str
) -> Story:
    world, asker = scene.world, person(scene)
    put_on(world, name, asker)
    yield
    (row,) = rows_of(scene, table, "Asker")
    assert world.person(asker, "microsoftId") == {"id": asker, "microsoftId": row[f"{table}id"]}
    assert asker not in members(world, name)
    assert told_of(world, asker) == ["created: sync_person"]
    assert row.get("_parentcustomerid_value") is None  # R54: a contact that belongs to no account


@pytest.mark.parametrize(("value", "table"), [("Lead", "lead"), ("contact", "contact")])
@together(pairs=False, before=add_channels, requests=CHANNELS)
def test_a_request_field_asks_in_any_case_and_is_cleared_after_the_outcome_is_written(
    scene: Scene, value: str, table: str
) -> Story:
    world, asker = scene.world, person(scene, **{FIELD: value})
    bystander = person(scene, "Bystander", **{FIELD: "Neither"})
    yield
    assert [row["lastname"] for row in rows_of(scene, table, "Asker", "Bystander")] == ["Asker"]
    assert world.person(asker, FIELD) == {"id": asker, FIELD: None}
    assert world.person(bystander, FIELD) == {"id": bystander, FIELD: "Neither"}
    assert told_of(world, asker) == ["created: sync_person"]


@together(pairs=False, before=add_channels, requests=CHANNELS)
def test_who_has_a_record_is_told_so_and_may_ask_again(scene: Scene) -> Story:
    asker = person(scene)
    for _ in range(2):
        put_on(scene.world, AS_LEAD, asker)
        yield
        assert asker not in members(scene.world, AS_LEAD)
    assert len(rows_of(scene, "lead", "Asker")) == 1
    assert told_of(scene.world, asker) == ["created: sync_person", "no_action: sync_person"]


@together(pairs=False, before=add_channels, requests=CHANNELS)
def test_a_refused_person_leaves_the_list_with_the_reason_in_its_activity_log(scene: Scene) -> Story:
    asker = scene.add_person(email=scene.address("no"), firstName="No")
    put_on(scene.world, AS_CONTACT, asker)
    yield
    assert asker not in members(scene.world, AS_CONTACT)
    assert told_of(scene.world, asker) == ["failed: lastName"]


@pytest.mark.parametrize("lost", ["the call", "its answer"])
def test_a_removal_that_fails_is_made_up_for_by_the_next_cycle_and_asks_for_nothing(world: World, lost: str) -> None:
    asker = person(world)
    put_on(world, AS_LEAD, asker)
    struck: list[str] = []

    def is_removal(request: HttpRequest) -> bool:
        return "/rest/v1/lists/" in request.url and "DELETE" in f"{request.method} {request.url}"

    def before(request: HttpRequest) -> HttpResponse | None:
        if is_removal(request) and lost == "the call":
            struck.append(request.url)
            raise ConnectionDropped
        return None

    def after(request: HttpRequest, response: HttpResponse) -> HttpResponse:
        if is_removal(request) and lost == "its answer":
            struck.append(request.url)
            raise ConnectionDropped
        return response

    world.transport.before.append(before)
    world.transport.after.append(after)
    world.run()
    assert struck
    world.transport.before.clear()
    world.transport.after.clear()
    world.settle()
    assert members(world, AS_LEAD) == []
    assert told_of(world, asker) == ["created: sync_person"]
    assert len(Requests(world.engine.store).answered()) == 0


def test_a_person_who_leaves_the_list_or_marketo_meanwhile_ends_its_request(world: World) -> None:
    leaver, goner = person(world, "Leaver"), person(world, "Goner")
    put_on(world, AS_LEAD, leaver, goner)

    def unreachable(request: HttpRequest) -> HttpResponse | None:
        if "/lists/" in request.url and "leads.json" in request.url and "DELETE" in f"{request.method} {request.url}":
            raise ConnectionDropped
        return None

    world.transport.before.append(unreachable)
    world.run()
    world.transport.before.clear()
    world.engine.marketo.remove_from_list(list_id(world, AS_LEAD), [leaver])
    world.delete_person(goner)
    world.settle()
    assert len(Requests(world.engine.store).answered()) == 0


def test_a_list_that_marketo_does_not_have_is_named_and_stops_nothing(tmp_path: Path) -> None:
    with World(tmp_path, {"requests": {"lists": {"Nowhere": {}}}}) as world:
        report = world.run()
        assert report["outcome"] == "done"
        assert report["steps"]["recover"]["asked_in_marketo"] == {"new": 0, "lists_missing": ["Nowhere"]}
        world.marketo.control("create_list", {"name": "Nowhere"})
        assert "asked_in_marketo" not in world.run()["steps"]["recover"]


def test_a_list_that_was_made_anew_under_its_name_is_found_again(world: World) -> None:
    asker = person(world)
    with world.engine.store.begin() as tx:
        tx.exec_driver_sql("UPDATE metadata SET body = '999999' WHERE system = 'list'")
    put_on(world, AS_LEAD, asker)
    world.settle()
    assert members(world, AS_LEAD) == []
    assert len(world.rows("lead")) == 1


def test_a_dry_run_asks_for_nobody(world: World) -> None:
    asker = person(world)
    put_on(world, AS_LEAD, asker)
    world.run(dry_run=True)
    assert len(Requests(world.engine.store).pending()) == 0
    assert members(world, AS_LEAD) == [asker]
