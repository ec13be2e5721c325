"""Persons who are deleted in Marketo while something else happens to them or to their CRM record."""

from __future__ import annotations

import contextlib

import pytest

from include.leadsync.clients.transport import HttpRequest, HttpResponse
from include.leadsync.errors import LeadSyncError
from include.leadsync.requests import request_persons
from include.leadsync.state import Links, Requests
from tests.engine.lifecycle import Scene
from tests.engine.test_sync_filter import FILTER, add_filters
from tests.engine.together import Story, linked, together
from tests.world_transport import ConnectionDropped

_STAYS = {"respect_marketo_delete": True, "dynamics_merge": "merge_in_marketo"}


def persons_of(scene: Scene, name: str) -> list[int]:
    return [person["id"] for person in scene.world.persons_by("email", scene.address(name))]


def goes_on_with_the_winner(scene: Scene, winners_person: str) -> Story:
    """Bo's lead is merged into Ann's, while Ann is deleted, or who she was merged into."""
    world, bo, lead = scene.world, scene.person("bo"), scene.record("ann")
    other = scene.add_person(email=scene.address("other"), lastName="Other")
    yield
    if winners_person == "merged and deleted":
        scene.merge_persons(other, scene.person("ann"))
    scene.merge_rows("lead", lead, scene.record("bo"))
    world.delete_person(other if winners_person == "merged and deleted" else scene.person("ann"))
    if winners_person == "deleted, its record updated":
        world.movable.advance(10)
        world.edit_row("lead", lead, jobtitle="later")
    yield
    assert [link for link in scene.live() if link[2] == lead] == [("lead", bo, lead)]  # D43
    assert scene.shown(bo) == {"Id": lead, "Type": "Lead", "IsDeleted": False, "MergedInto": None}
    assert "merge_proposed" not in [code for code, _ in scene.said()]


@pytest.mark.parametrize("winners_person", ["deleted", "deleted, its record updated", "merged and deleted"])
@together()
def test_a_record_merged_into_one_whose_person_is_deleted_takes_its_person_along(
    scene: Scene, winners_person: str
) -> Story:
    yield from goes_on_with_the_winner(scene, winners_person)
    assert ("lead", scene.person("ann"), scene.record("ann"), "person_deleted") in scene.links()


@pytest.mark.parametrize("winners_person", ["deleted", "merged and deleted"])
@together(lifecycle=_STAYS)
def test_likewise_where_persons_are_merged_and_stay_deleted(scene: Scene, winners_person: str) -> Story:
    yield from goes_on_with_the_winner(scene, winners_person)
    assert scene.person("ann") not in [link[1] for link in scene.links()]
    assert not [row for row in scene.activities() if row["person_id"] == scene.person("ann")]


@together()
def test_a_lead_qualified_into_a_contact_whose_person_is_deleted_takes_its_person_along(scene: Scene) -> Story:
    person, lead, contact = scene.person("ann"), scene.record("ann"), scene.record("cy")
    scene.world.edit_row("lead", lead, **{"parentcontactid@odata.bind": f"/contacts({contact})"})
    yield
    scene.qualify(lead)
    scene.world.delete_person(scene.person("cy"))
    yield
    assert [link for link in scene.live() if link[2] == contact] == [("contact", person, contact)]
    assert scene.shown(person) == {"Id": contact, "Type": "Contact", "IsDeleted": False, "MergedInto": None}


@pytest.mark.parametrize("who", ["ann", "bo"], ids=["into whom", "who"])
@together()
def test_a_proposed_merge_is_over_when_one_of_the_persons_is_deleted(scene: Scene, who: str) -> Story:
    scene.merge_rows("lead", scene.record("ann"), scene.record("bo"))
    yield
    assert ("merge_proposed", "D42") in scene.said(open_only=True)
    scene.world.delete_person(scene.person(who))
    yield
    assert scene.said(open_only=True) == []


@pytest.mark.parametrize("answer", ["comes", "is lost"])
@pytest.mark.parametrize("write", ["an update", "a new record"])
def test_our_own_write_after_a_deletion_makes_no_new_person(scene: Scene, write: str, answer: str) -> None:
    world, person, address, requests = scene.world, scene.person("ann"), scene.address("ann"), list[str]()
    if write == "an update":
        world.edit_person(person, city="Oslo")
    else:
        address = scene.address("new")
        person = scene.add_person(email=address, firstName="New", lastName="One", company="Acme")
        requests = request_persons(world.engine, [person], "lead", source="test", token="1")

    def ours(request: HttpRequest) -> bool:
        body = request.body or b""
        return "$batch" in request.url and (b"Oslo" in body or address.encode() in body)

    def deleted(request: HttpRequest) -> None:
        if ours(request):
            world.transport.before.clear()
            world.delete_person(person)
            world.movable.advance(20)

    def lost(request: HttpRequest, response: HttpResponse) -> HttpResponse:
        if answer == "is lost" and ours(request):
            world.transport.after.clear()
            raise ConnectionDropped
        return response

    world.transport.before.append(deleted)
    world.transport.after.append(lost)
    with contextlib.suppress(LeadSyncError):
        world.run()
    scene.settled()
    assert world.transport.before == []
    assert persons_of(scene, address.partition("@")[0]) == []
    assert [(row["state"], row["outcome"]) for row in Requests(world.engine.store).get(requests).to_pylist()] == [
        ("finished", "created")
    ] * len(requests)


def test_a_request_whose_person_is_deleted_before_anything_was_created_has_failed(scene: Scene) -> None:
    world = scene.world
    person = scene.add_person(email=scene.address("new"), firstName="New", lastName="One", company="Acme")
    (request_id,) = request_persons(world.engine, [person], "lead", source="test", token="1")

    def dropped(request: HttpRequest) -> None:
        if "$batch" in request.url and scene.address("new").encode() in (request.body or b""):
            raise ConnectionDropped

    world.transport.before.append(dropped)
    with contextlib.suppress(LeadSyncError):
        world.run()
    world.transport.before.clear()
    world.delete_person(person)
    scene.settled()
    (row,) = Requests(world.engine.store).get([request_id]).to_pylist()
    assert (row["state"], row["outcome"]) == ("finished", "failed")
    assert world.rows("lead", f"emailaddress1 eq '{scene.address('new')}'") == []


@together()
def test_a_merged_persons_record_is_anybodys_also_if_the_survivors_record_was_deleted_first(scene: Scene) -> Story:
    world, lead = scene.world, scene.record("ann")
    scene.merge_persons(scene.person("bo"), scene.person("ann"))
    yield
    world.delete_row("lead", scene.record("bo"))
    yield
    world.delete_person(scene.person("bo"))
    yield
    world.movable.advance(10)
    world.edit_row("lead", lead, jobtitle="later")
    yield
    (new,) = persons_of(scene, "ann")  # R77
    assert scene.shown(new) == {"Id": lead, "Type": "Lead", "IsDeleted": False, "MergedInto": None}


@together(lifecycle=_STAYS)
def test_who_was_flagged_before_it_was_deleted_is_forgotten_and_stays_deleted(scene: Scene) -> Story:
    world, lead = scene.world, scene.record("ann")
    world.delete_row("lead", lead)
    yield
    world.delete_person(scene.person("ann"))
    yield
    rows = Links(world.engine.store).by_id(list(range(1, 200)), statuses=None).to_pylist()
    assert scene.address("ann") not in repr(rows)  # D52
    scene.add_row("lead", leadid=lead, lastname="Back", emailaddress1=scene.address("ann"))
    yield
    assert persons_of(scene, "ann") == []


@pytest.mark.parametrize("column_name", ["jobtitle", "fax"], ids=["a mapped column", "another column"])
@pytest.mark.parametrize("merged", [False, True], ids=["deleted", "merged into one that was deleted"])
@together(world="moves the clock")
def test_a_record_that_is_held_after_its_persons_deletion_is_looked_at_again(
    scene: Scene, column_name: str, merged: bool
) -> Story:
    world, lead = scene.world, scene.record("ann")
    if merged:
        scene.merge_persons(scene.person("bo"), scene.person("ann"))
    yield
    world.delete_person(scene.person("bo" if merged else "ann"))
    twins = [scene.add_person(email=scene.address("ann"), lastName=name) for name in ("One", "Two")]
    world.movable.advance(10)
    world.edit_row("lead", lead, **{column_name: "later"})
    yield
    assert ("several_candidates", "D13") in scene.said(open_only=True)
    world.delete_person(twins[1])
    world.movable.advance(3_700)
    yield
    assert ("lead", twins[0], lead) in scene.live()
    assert ("several_candidates", "D13") not in scene.said(open_only=True)


@together(pairs=False, before=add_filters)
def test_a_record_let_in_after_its_persons_deletion_gets_a_new_person(scene: Scene) -> Story:
    world = scene.world
    person, lead = yield from linked(scene)
    world.edit_row("lead", lead, **{FILTER: False})
    yield
    world.delete_person(person)
    world.movable.advance(10)
    world.edit_row("lead", lead, **{FILTER: True})
    yield
    (new,) = persons_of(scene, "ann")  # R77, as one after another
    assert new != person
    assert scene.live() == {("lead", new, lead)}


@together(pairs=False, before=add_filters)
def test_a_record_kept_out_after_its_persons_deletion_gets_a_new_one_when_it_is_let_in(scene: Scene) -> Story:
    world = scene.world
    person, lead = yield from linked(scene)
    world.delete_person(person)
    world.movable.advance(10)
    world.edit_row("lead", lead, **{FILTER: False})
    yield
    assert persons_of(scene, "ann") == []
    world.edit_row("lead", lead, **{FILTER: True})
    yield
    assert len(persons_of(scene, "ann")) == 1
