"""A fresh opt-out stands against a lift whose answer was lost, and no change of record counts as a lift (D86-D88)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path

import pytest

from include.leadsync.clients.transport import HttpRequest, HttpResponse
from include.leadsync.errors import LeadSyncError
from tests.engine.lifecycle import Scene, copy_of, prepare
from tests.engine.play import column, shown
from tests.world import World
from tests.world_transport import ConnectionDropped

LIFTED = {"ann": "lead", "bo": "lead", "cy": "contact"}
OPTED_OUT_AGAIN = {"ann": "lead", "cy": "contact"}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pairs of `PEOPLE`, those of `LIFTED` opted out."""
    folder = prepare(tmp_path_factory.mktemp("prepared"))
    with World(folder, fresh=False) as world:
        scene = Scene(world)
        for name in LIFTED:
            world.edit_person(scene.person(name), unsubscribed=True)
        world.settle()
    return folder


def to_marketo(request: HttpRequest) -> bool:
    return request.method == "POST" and "/rest/v1/leads.json" in request.url


def to_dynamics(request: HttpRequest) -> bool:
    return "$batch" in request.url and b"PATCH" in (request.body or b"")


@contextmanager
def unanswered(world: World, lost: Callable[[HttpRequest], bool], *, committed: bool) -> Iterator[None]:
    """Writes are carried out, or not, and nobody hears which."""

    def before(request: HttpRequest) -> None:
        if lost(request) and not committed:
            raise ConnectionDropped

    def after(request: HttpRequest, response: HttpResponse) -> HttpResponse:
        if lost(request):
            raise ConnectionDropped
        return response

    world.transport.before.append(before)
    world.transport.after.append(after)
    yield
    world.transport.before.clear()
    world.transport.after.clear()


def cycle(world: World) -> None:
    with contextlib.suppress(LeadSyncError):
        world.run()


def opted_out(scene: Scene, name: str, entity: str, row_id: str | None = None) -> tuple[object, object]:
    """What both sides show."""
    record = row_id or scene.record(name)
    return shown(scene.world, scene.person(name), "unsubscribed"), column(scene.world, entity, record, "donotbulkemail")


@pytest.fixture(scope="module")
def doubted(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str, bool], Scene]]:
    """Told where ann, bo and cy were lifted and whether that was written: what came of it.

    Nobody heard of it, and then ann and cy opted out again on the other side. Each of these worlds is played once.
    """
    with ExitStack() as worlds:

        @cache
        def played(where: str, committed: bool, /) -> Scene:
            folder = tmp_path_factory.mktemp("doubted") / "scene"
            scene = worlds.enter_context(copy_of(prepared, folder))
            for name, entity in LIFTED.items():
                say(scene, where, name, entity, False)
            with unanswered(scene.world, to_dynamics if where == "marketo" else to_marketo, committed=committed):
                cycle(scene.world)
            for name, entity in OPTED_OUT_AGAIN.items():
                for value in (False, True):
                    say(scene, "dynamics" if where == "marketo" else "marketo", name, entity, value)
            scene.world.settle()
            return scene

        yield played


def say(scene: Scene, where: str, name: str, entity: str, value: bool) -> None:
    """Somebody opts out, or is lifted, on one side."""
    if where == "marketo":
        scene.world.edit_person(scene.person(name), unsubscribed=value)
    else:
        scene.world.edit_row(entity, scene.record(name), donotbulkemail=value)


@pytest.mark.parametrize("committed", [True, False], ids=["lift written", "lift not written"])
@pytest.mark.parametrize(("name", "entity"), OPTED_OUT_AGAIN.items())
def test_an_opt_out_in_marketo_stands_against_a_lift_of_dynamics_that_was_never_answered(
    doubted: Callable[[str, bool], Scene], name: str, entity: str, committed: bool
) -> None:
    scene = doubted("dynamics", committed)
    assert opted_out(scene, name, entity) == (True, True)
    assert lost_of(scene, name) == [("collision", "D86"), ("update", "D86")]


def lost_of(scene: Scene, name: str) -> list[tuple[str, str]]:
    """How the lifts of somebody were lost: kind and rule."""
    entries = scene.world.ledger(scene.person(name), "unsubscribed")
    return [(row["kind"], row["rule"]) for row in entries if row["lost"] == "false"]


def test_an_opt_out_that_the_feed_shows_late_is_put_back_over_the_lift_that_ran_over_it(scene: Scene) -> None:
    world, person, lead = scene.world, scene.person("ann"), scene.record("ann")
    world.edit_row("lead", lead, donotbulkemail=False)

    def opt_out_first(request: HttpRequest) -> None:
        if to_marketo(request):
            world.transport.before.clear()
            world.edit_person(person, unsubscribed=False)
            world.edit_person(person, unsubscribed=True)

    world.transport.before.append(opt_out_first)  # after this run has read the feed
    world.run()
    assert shown(world, person, "unsubscribed") is False
    world.settle()
    assert opted_out(scene, "ann", "lead") == (True, True)


@pytest.mark.parametrize("committed", [True, False], ids=["lift written", "lift not written"])
@pytest.mark.parametrize(("name", "entity"), OPTED_OUT_AGAIN.items())
def test_an_opt_out_in_dynamics_stands_against_a_lift_of_marketo_that_was_never_answered(
    doubted: Callable[[str, bool], Scene], name: str, entity: str, committed: bool
) -> None:
    scene = doubted("marketo", committed)
    assert opted_out(scene, name, entity) == (True, True)
    assert lost_of(scene, name) == [("collision", "D86"), ("update", "D86")]


@pytest.mark.parametrize("committed", [True, False])
@pytest.mark.parametrize("where", ["marketo", "dynamics"])
def test_a_lift_that_was_never_answered_is_carried_out_where_nobody_opted_out_again(
    doubted: Callable[[str, bool], Scene], where: str, committed: bool
) -> None:
    assert opted_out(doubted(where, committed), "bo", "lead") == (False, False)


@pytest.mark.parametrize("refused", [False, True], ids=["never answered", "refused"])
def test_a_contact_that_came_of_a_lead_lifts_nothing_however_often_it_is_read(scene: Scene, refused: bool) -> None:
    world, person, lead = scene.world, scene.person("ann"), scene.record("ann")
    world.edit_person(person, title="CTO")
    world.settle()
    contact = scene.qualify(lead)
    assert contact
    world.edit_row("contact", contact, donotbulkemail=False, jobtitle=None)
    if refused:
        rule = {"entity": "contact", "when": {"donotbulkemail": True}, "message": "a plug-in says no"}
        world.dynamics.control("fail_writes", rule)
        cycle(world)
        world.dynamics.control("fail_writes", {"entity": "contact", "when": None})
    else:
        with unanswered(world, to_dynamics, committed=False):
            cycle(world)
    world.edit_row("contact", contact, address1_city="Oslo")
    world.settle()
    assert opted_out(scene, "ann", "contact", contact) == (True, True)
    assert (shown(world, person, "title"), column(world, "contact", contact, "jobtitle")) == ("CTO", "CTO")


def test_a_backfill_leaves_a_lift_to_the_cycle_which_reads_what_was_opted_out_meanwhile(scene: Scene) -> None:
    world, person, lead = scene.world, scene.person("ann"), scene.record("ann")
    world.edit_person(person, unsubscribed=False)
    world.edit_person(person, unsubscribed=True)
    world.edit_row("lead", lead, donotbulkemail=False, jobtitle="CTO")
    world.run(kind="backfill", persons=(person,))
    assert (shown(world, person, "title"), opted_out(scene, "ann", "lead")) == ("CTO", (True, False))
    world.settle()
    assert opted_out(scene, "ann", "lead") == (True, True)
