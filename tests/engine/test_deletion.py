"""The deletion matrix on leads and contacts: who deletes where, what becomes of the other side (R75-R82, D45-D53)."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from include.leadsync.clients.transport import HttpRequest
from include.leadsync.errors import LeadSyncError
from include.leadsync.requests import request_persons
from include.leadsync.state import Ledger
from tests.engine.lifecycle import Scene, copy_of
from tests.engine.play import column, shown
from tests.engine.together import Story, together
from tests.world import World
from tests.world_transport import ConnectionDropped

ONE_OF_EACH = pytest.mark.parametrize(("name", "entity"), [("ann", "lead"), ("cy", "contact")])


def again(scene: Scene, entity: str, row_id: str, **values: Any) -> None:
    """A deleted row comes back under its own id."""
    scene.add_row(entity, **{f"{entity}id": row_id, "lastname": "Ax", **values})


@ONE_OF_EACH
@together()
def test_deleted_in_dynamics_the_person_stays_flagged_and_its_edits_go_nowhere(
    scene: Scene, name: str, entity: str
) -> Story:
    person, row_id, people = scene.person(name), scene.record(name), scene.count()
    scene.world.delete_row(entity, row_id)
    yield
    flagged = {"Id": row_id, "Type": entity.capitalize(), "IsDeleted": True, "MergedInto": None}
    assert scene.shown(person) == flagged
    assert (entity, person, row_id, "crm_deleted") in scene.links()
    scene.world.edit_person(person, title="stays here")
    yield
    assert (scene.shown(person), scene.count()) == (flagged, people)


@ONE_OF_EACH
@together()
def test_deleted_in_marketo_the_record_is_untouched_and_only_its_next_update_makes_a_new_person(
    scene: Scene, name: str, entity: str
) -> Story:
    person, row_id = scene.person(name), scene.record(name)
    before, people = scene.world.row(entity, row_id), scene.count()
    scene.world.delete_person(person)
    yield
    assert scene.world.row(entity, row_id) == before
    assert (entity, person, row_id, "person_deleted") in scene.links()
    assert scene.count() == people - 1  # nothing happens by itself (R78)
    scene.world.edit_row(entity, row_id, jobtitle="CTO")
    yield
    (new,) = scene.world.persons_by("microsoftId", row_id)
    assert new["id"] != person
    shown_now = {"Id": row_id, "Type": entity.capitalize(), "IsDeleted": False, "MergedInto": None}
    assert scene.shown(new["id"]) == shown_now


@ONE_OF_EACH
@together()
def test_requested_after_a_deletion_the_person_gets_a_new_record_and_is_no_longer_flagged(
    scene: Scene, name: str, entity: str
) -> Story:
    person, row_id = scene.person(name), scene.record(name)
    created = shown(scene.world, person, "microsoftCreatedDate")
    scene.world.delete_row(entity, row_id)
    yield
    request_persons(scene.world.engine, [person], "contact", source="test", token="again")
    yield
    now = scene.shown(person)
    assert now
    assert now == {"Id": now["Id"], "Type": "Contact", "IsDeleted": False, "MergedInto": None}
    assert now["Id"] != row_id
    assert shown(scene.world, person, "microsoftCreatedDate") != created
    again(scene, entity, row_id, emailaddress1=scene.address(name))  # what was deleted is restored after all
    yield
    assert scene.shown(person) == now  # no link is stolen (D14): the other record has a person of its own
    assert len(scene.world.persons_by("email", scene.address(name))) == 2


@ONE_OF_EACH
@together()
def test_deleted_in_both_and_added_later_is_somebody_new(scene: Scene, name: str, entity: str) -> Story:
    person, row_id = scene.person(name), scene.record(name)
    scene.world.delete_row(entity, row_id)
    scene.world.delete_person(person)
    yield
    people = scene.count()
    again(scene, entity, row_id, emailaddress1=scene.address(name))
    yield
    assert scene.count() == people + 1
    (new,) = scene.world.persons_by("microsoftId", row_id)
    assert scene.shown(new["id"]) == {
        "Id": row_id, "Type": entity.capitalize(), "IsDeleted": False, "MergedInto": None,
    }  # fmt: skip


@ONE_OF_EACH
@together()
def test_a_restored_record_finds_its_person_again_whatever_the_person_shows(
    scene: Scene, name: str, entity: str
) -> Story:
    person, row_id, people = scene.person(name), scene.record(name), scene.count()
    scene.world.delete_row(entity, row_id)
    yield
    scene.world.edit_person(person, microsoftId=None, email=scene.address("moved"), title="meanwhile")
    again(scene, entity, row_id, address1_city="Oslo")
    yield
    assert scene.count() == people
    assert scene.shown(person) == {
        "Id": row_id, "Type": entity.capitalize(), "IsDeleted": False, "MergedInto": None,
    }  # fmt: skip
    assert column(scene.world, entity, row_id, "jobtitle") == "meanwhile"  # empty never beats a value (D4)
    assert shown(scene.world, person, "city") == "Oslo"


RESPECT = {"lifecycle": {"respect_marketo_delete": True}}


def everything_kept(folder: Path) -> str:
    """All that the state store holds."""
    with sqlite3.connect(folder / "state.db") as connection:
        return "\n".join(connection.iterdump())


def test_told_to_respect_it_nobody_deleted_in_marketo_comes_back_and_nothing_of_them_is_kept(
    prepared: Path, tmp_path: Path
) -> None:
    with copy_of(prepared, tmp_path / "scene", RESPECT) as scene:
        person, row_id, people = scene.person("ann"), scene.record("ann"), scene.count()
        scene.world.edit_person(person, title="Anonymous no more", city="Nowhere at all")
        scene.world.settle()
        scene.world.delete_person(person)
        scene.settled()
        kept = everything_kept(scene.world.folder).lower()
        for secret in ("ann@example.com", "anonymous no more", "nowhere at all", row_id):
            assert secret not in kept
        assert (scene.world.folder / "erasure.key").stat().st_mode & 0o077 == 0
        for title in ("CTO", "CEO"):
            scene.world.edit_row("lead", row_id, jobtitle=title)
            scene.settled()
        scene.world.add_row("contact", lastname="Ax", emailaddress1="Ann@Example.com")
        scene.settled()
        assert scene.count() == people - 1
        assert scene.said(open_only=True) == [("person_erased", "D52")] * 2
        assert "ann@example.com" not in everything_kept(scene.world.folder).lower()
        # Back by her own wish: a request makes the person known again.
        back = scene.world.add_person(email="ann@example.com", firstName="Ann", lastName="Ax")
        (rival,) = scene.world.rows("contact", "emailaddress1 eq 'ann@example.com'")
        scene.world.delete_row("contact", rival["contactid"])
        request_persons(scene.world.engine, [back], "lead", source="test", token="1")
        scene.settled()
        assert scene.shown(back) == {"Id": row_id, "Type": "Lead", "IsDeleted": False, "MergedInto": None}


def test_told_to_respect_it_nothing_is_kept_of_those_who_were_merged_into_the_deleted_one_either(
    prepared: Path, tmp_path: Path
) -> None:
    with copy_of(prepared, tmp_path / "scene", RESPECT) as scene:
        ann, bo, lead, people = scene.person("ann"), scene.person("bo"), scene.record("ann"), scene.count()
        scene.world.edit_person(ann, title="Anonymous no more")
        scene.world.settle()
        scene.merge_persons(bo, ann)
        scene.settled()
        scene.world.delete_person(bo)
        scene.settled()
        kept = everything_kept(scene.world.folder).lower()
        for secret in ("ann@example.com", "bo@example.com", "anonymous no more", lead, scene.record("bo")):
            assert secret not in kept
        scene.world.edit_row("lead", lead, jobtitle="CTO")
        scene.settled()
        assert scene.count() == people - 2


def wanted(action: str, **more: Any) -> dict[str, Any]:
    """A configuration that closes or deletes test leads."""
    mine = [{"column": "companyname", "operator": "one_of", "values": ["Acme"]}]
    allow = {"lead": mine, "contact": None}
    return {"lifecycle": {"delete_in_dynamics": {"action": action, "dry_run": False, "allow": allow, **more}}}


@pytest.mark.parametrize("action", ["deactivate", "delete"])
def test_told_to_the_sync_closes_or_deletes_the_records_of_the_list_and_no_others(
    prepared: Path, tmp_path: Path, action: str
) -> None:
    with copy_of(prepared, tmp_path / "scene", wanted(action)) as scene:
        scene.world.edit_row("lead", scene.record("bo"), companyname="A customer")
        scene.world.settle()
        people = scene.count()
        for name in ("ann", "bo", "cy"):
            scene.world.delete_person(scene.person(name))
        scene.settled()
        row = scene.world.row("lead", scene.record("ann"))
        assert (row and row["statecode"]) == (None if action == "delete" else 2)
        assert column(scene.world, "lead", scene.record("bo"), "statecode") == 0
        assert column(scene.world, "contact", scene.record("cy"), "statecode") == 0
        assert scene.count() == people - 3
        written = Ledger(scene.world.engine.store).of_crm(scene.record("ann")).to_pylist()
        assert [row["rule"] for row in written if row["kind"] == action] == ["D53"]


@pytest.mark.parametrize(
    ("more", "code"), [({"dry_run": True}, "would_delete"), ({"at_most": 1}, "too_many_deletions")]
)
def test_a_dry_run_and_too_many_at_once_touch_nothing_and_say_so(
    prepared: Path, tmp_path: Path, more: dict[str, Any], code: str
) -> None:
    with copy_of(prepared, tmp_path / "scene", wanted("delete", **more)) as scene:
        for name in ("ann", "bo"):
            scene.world.delete_person(scene.person(name))
        scene.settled()
        assert scene.world.row("lead", scene.record("ann"))
        assert scene.world.row("lead", scene.record("bo"))
        assert set(scene.said()) == {(code, "D53")}


class Killed(BaseException):
    """The process ends here."""


def run_killed_before(world: World, moment: Callable[[bytes], bool]) -> None:
    """A run that dies before it posts a body of this kind; it must come to that."""

    def stop(request: HttpRequest) -> None:
        if request.method == "POST" and moment(request.body or b""):
            world.transport.before.clear()
            raise Killed

    world.transport.before.append(stop)
    with contextlib.suppress(Killed):
        world.run()
    assert not world.transport.before


@pytest.mark.parametrize(
    ("meanwhile", "ending"),
    [
        ("edited out of the list", Killed),
        ("found another person", ConnectionDropped),
        ("told not to", Killed),
        ("nothing", Killed),
        ("it was deleted, only the answer was lost", Killed),
    ],
)
def test_a_record_to_be_deleted_is_looked_at_again_whenever_it_is_sent(
    prepared: Path, tmp_path: Path, meanwhile: str, ending: type[BaseException]
) -> None:
    with copy_of(prepared, tmp_path / "scene", wanted("delete")) as scene:
        world, lead = scene.world, scene.record("ann")
        world.delete_person(scene.person("ann"))

        def stop(request: HttpRequest) -> None:
            if "$batch" in request.url and b"DELETE" in (request.body or b""):
                world.transport.before.clear()
                raise ending

        world.transport.before.append(stop)
        with contextlib.suppress(Killed, LeadSyncError):
            world.run()
        if meanwhile.startswith("it was deleted"):
            world.delete_row("lead", lead)
        if meanwhile == "edited out of the list":
            world.edit_row("lead", lead, companyname="A customer")
        elif meanwhile == "found another person":
            person = world.add_person(email="ann@example.com", lastName="Ax")
            request_persons(world.engine, [person], "lead", source="test", token="1")
        elif meanwhile == "told not to":
            world.configure({})
        world.reopen()
        world.movable.advance(120)
        scene.settled()
        kept = meanwhile in {"edited out of the list", "found another person", "told not to"}
        assert (world.row("lead", lead) is not None) is kept
        assert (("deletion_withdrawn", "D53") in scene.said()) is kept
        written = [row["kind"] for row in Ledger(world.engine.store).of_crm(lead).to_pylist()]
        assert ("delete" in written) is not kept


def test_a_person_is_not_marked_as_deleted_any_more_when_its_record_is_back(scene: Scene) -> None:
    world, person, lead = scene.world, scene.person("ann"), scene.record("ann")
    world.delete_row("lead", lead)
    run_killed_before(world, lambda body: b"microsoftIsDeleted" in body and b"true" in body)
    again(scene, "lead", lead, emailaddress1="ann@example.com")
    world.reopen()
    world.movable.advance(120)
    scene.settled()
    assert scene.shown(person) == {"Id": lead, "Type": "Lead", "IsDeleted": False, "MergedInto": None}
    assert ("flag_withdrawn", "R75") in scene.said()


def test_a_person_is_not_told_of_a_record_that_was_deleted_since(scene: Scene) -> None:
    world = scene.world
    person = world.add_person(email="new@example.com", firstName="New", lastName="One", company="Acme")
    request_persons(world.engine, [person], "lead", source="test", token="1")
    run_killed_before(world, lambda body: b"microsoftIsDeleted" in body)
    (made,) = world.rows("lead", "emailaddress1 eq 'new@example.com'")
    world.delete_row("lead", made["leadid"])
    world.reopen()
    world.movable.advance(120)
    scene.settled()
    told = scene.shown(person)
    assert told
    assert told["IsDeleted"] is True
