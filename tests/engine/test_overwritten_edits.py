"""An edit in Marketo that a write of ours ran over comes back, also when nobody knows whether we wrote (P2)."""

from __future__ import annotations

import contextlib

import pyarrow as pa
import pytest
import sqlalchemy as sa

from include.leadsync.clients.transport import HttpRequest, HttpResponse
from include.leadsync.context import RunRequest
from include.leadsync.cycle import STEPS, step
from include.leadsync.errors import LeadSyncError
from include.leadsync.state import Echoes, Links
from tests.engine.play import column, linked_lead, shown
from tests.world import World
from tests.world_transport import ConnectionDropped


def writes_persons(request: HttpRequest) -> bool:
    return request.method == "POST" and "/rest/v1/leads.json" in request.url


@pytest.mark.parametrize("committed", [True, False])
def test_an_edit_comes_back_when_the_write_that_ran_over_it_was_never_answered(world: World, committed: bool) -> None:
    person, lead = linked_lead(world, jobtitle="Engineer")
    world.edit_row("lead", lead, jobtitle="from Dynamics")
    typed: list[int] = []

    def type_meanwhile(request: HttpRequest) -> None:
        if writes_persons(request):
            if not typed:
                world.edit_person(person, title="typed meanwhile")
            typed.append(1)
            if not committed:
                raise ConnectionDropped

    def drop(request: HttpRequest, response: HttpResponse) -> HttpResponse:
        if writes_persons(request):
            raise ConnectionDropped
        return response

    world.transport.before.append(type_meanwhile)
    world.transport.after.append(drop)
    with contextlib.suppress(LeadSyncError):
        world.run()
    world.transport.before.clear()
    world.transport.after.clear()
    world.settle()
    assert typed
    assert (shown(world, person, "title"), column(world, "lead", lead, "jobtitle")) == ("typed meanwhile",) * 2
    assert Echoes(world.engine.store).of_persons([person]).num_rows <= 1  # of the write that restored it


def test_an_edit_made_after_an_unanswered_write_is_not_run_over_by_sending_it_again(world: World) -> None:
    person, lead = linked_lead(world, jobtitle="Engineer")
    world.edit_row("lead", lead, jobtitle="from Dynamics")
    typed: list[int] = []

    def drop(request: HttpRequest, response: HttpResponse) -> HttpResponse:
        if writes_persons(request) and not typed:
            typed.append(1)
            world.edit_person(person, title="typed meanwhile")  # our value stands there already
            raise ConnectionDropped
        return response

    world.transport.after.append(drop)
    with contextlib.suppress(LeadSyncError):
        world.run()
    world.transport.after.clear()
    world.settle()
    assert typed
    assert (shown(world, person, "title"), column(world, "lead", lead, "jobtitle")) == ("typed meanwhile",) * 2


def test_an_edit_comes_back_although_another_run_changed_its_link_at_that_moment(world: World) -> None:
    person, lead = linked_lead(world, jobtitle="Engineer")
    world.edit_row("lead", lead, jobtitle="from Dynamics")

    def type_meanwhile(request: HttpRequest) -> None:
        if writes_persons(request):
            world.transport.before.clear()
            world.edit_person(person, title="typed meanwhile")

    world.transport.before.append(type_meanwhile)
    world.run()
    links, run = Links(world.engine.store), RunRequest("20260301T110000Z-abcdef")
    for name in STEPS:
        if name == "enqueue":  # everything is read and decided, nothing is stored yet
            (row,) = links.by_person([person]).to_pylist()
            links.update(pa.table({"link_id": [row["link_id"]], "version": [row["version"] + 5]}))
        result = step(world.engine, name, run)
        assert name != "enqueue" or result["dropped_for_newer"] == 1
    world.settle()
    world.movable.advance(3_700)
    world.settle()
    assert (shown(world, person, "title"), column(world, "lead", lead, "jobtitle")) == ("typed meanwhile",) * 2


def test_a_write_that_never_happened_is_not_taken_for_a_later_edit(world: World) -> None:
    person, lead = linked_lead(world, jobtitle="A")
    world.edit_row("lead", lead, jobtitle="B")

    def drop(request: HttpRequest) -> None:
        if writes_persons(request):
            raise ConnectionDropped

    world.transport.before.append(drop)
    with contextlib.suppress(LeadSyncError):
        world.run()
    world.transport.before.clear()
    world.settle()
    for title in ("D", "B"):
        world.edit_person(person, title=title)
    world.settle()
    assert (shown(world, person, "title"), column(world, "lead", lead, "jobtitle")) == ("B", "B")
    for title in ("D", "B"):
        world.edit_person(person, title=title)
        world.settle()
        assert (shown(world, person, "title"), column(world, "lead", lead, "jobtitle")) == (title, title)


def test_a_record_whose_version_is_not_known_is_read_before_it_is_written(world: World) -> None:
    person, lead = linked_lead(world)
    with world.engine.store.begin() as tx:
        tx.execute(sa.text("UPDATE link SET crm_etag = NULL"))
    world.edit_person(person, title="from Marketo")
    world.run()
    assert column(world, "lead", lead, "jobtitle") is None
    world.settle()
    assert column(world, "lead", lead, "jobtitle") == "from Marketo"
