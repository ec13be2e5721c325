"""Stories of many people, played side by side in one world: a cycle costs the same for fifty people as for one.

A test that is a story says `yield` wherever the sync shall run, until nothing is planned any more. All stories of a
module that need the same configuration share a world, each with people of its own (`Scene`); when all are at their end,
one more cycle must write nothing. Each of them stays a test of its own, which fails with what failed in its story.

A story that says how much one cycle does is `@together(single=True)`: each `yield` is one cycle, and no more. One that
breaks an answer, kills a run, changes the configuration on the way or counts cycles has a world to itself.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.engine.lifecycle import PEOPLE, Scene, quiet
from tests.world import World

Story = Generator[None, None, None]
_NEVER_BRAKED = {"brake": {kind: {"count": 100_000, "share": 1.0} for kind in ("deletes", "overwrites", "creations")}}


def linked(
    scene: Scene, entity: str = "lead", name: str = "ann", **values: Any
) -> Generator[None, None, tuple[int, str]]:
    """Somebody made in Dynamics and brought to Marketo by the sync: (person, CRM record)."""
    given = {"firstname": name.capitalize(), "lastname": "Ax", "emailaddress1": scene.address(name)}
    record = scene.add_row(entity, **given | values)
    yield
    return scene.person_of(record), record


class _Cast:
    """What a story needs: a configuration, something done to the empty world, and the pairs of `PEOPLE` or nobody."""

    def __init__(
        self, changes: Mapping[str, Any], before: Callable[[World], None] | None, pairs: bool, world: str, single: bool
    ) -> None:
        self.changes = {**changes, "policies": {**_NEVER_BRAKED, **changes.get("policies", {})}}
        self.before = before
        self.pairs = pairs
        self.single = single
        self.key = repr((sorted(changes.items()), before, pairs, world, single))


def together(
    *,
    pairs: bool = True,
    before: Callable[[World], None] | None = None,
    world: str = "",
    single: bool = False,
    **changes: Any,
) -> Callable[[Callable[..., Story]], Callable[..., None]]:
    """Make a test of a story whose first argument is its `Scene`.

    It begins with the pairs of `PEOPLE`, or with nobody, after `before` was done to the empty world. `changes` are
    sections of the configuration. Stories that do something to the whole world share one by its name, `world`.
    `single`: where a story says `yield`, one cycle runs, not as many as it takes.
    """
    cast = _Cast(changes, before, pairs, world, single)

    def decorate(story: Callable[..., Story]) -> Callable[..., None]:
        def test(told: Told, request: pytest.FixtureRequest, **_: Any) -> None:
            told.end_of(request.node)

        more = list(inspect.signature(story).parameters.values())[1:]
        asked = [each for each in inspect.signature(test).parameters.values() if each.kind is not each.VAR_KEYWORD]
        test.__dict__.update(story=story, cast=cast, __signature__=inspect.Signature([*asked, *more]))
        test.__name__, test.__doc__, test.__module__ = story.__name__, story.__doc__, story.__module__
        return test

    return decorate


class Told:
    """The stories among `tests`, each world played when its first test asks for it."""

    def __init__(self, folder: Path, tests: list[pytest.Function]) -> None:
        self._folder = folder
        self._tests = sorted((test for test in tests if hasattr(test.function, "cast")), key=lambda test: test.nodeid)
        self._ends: dict[str, BaseException | None] = {}
        self._worlds = 0

    def end_of(self, test: pytest.Function) -> None:
        """Return if its story ended well.

        Raises:
            BaseException: what its story raised, or the run that its story waited for.
        """
        if test.nodeid not in self._ends:
            cast: _Cast = test.function.cast
            self._play(cast, [each for each in self._tests if each.function.cast.key == cast.key])
        if failed := self._ends[test.nodeid]:
            raise failed

    def _play(self, cast: _Cast, tests: list[pytest.Function]) -> None:
        self._worlds += 1
        folder = self._folder / str(self._worlds)
        folder.mkdir()
        with World(folder) as world:
            if cast.before:
                cast.before(world)
                world.read_metadata()
            world.configure(cast.changes)
            world.reopen()
            hosts = {test.nodeid: f"story{number}.example.com" for number, test in enumerate(tests)}
            if cast.pairs:
                for host in hosts.values():
                    Scene.add_pairs(world, host)
                world.settle()
            people = PEOPLE if cast.pairs else {}
            under_way: dict[str, Story] = {}
            for test in tests:
                given = test.callspec.params if hasattr(test, "callspec") else {}
                scene = Scene(world, hosts[test.nodeid], people, alone=False)
                under_way[test.nodeid] = test.function.story(scene, **given)
            self._ends |= _told(under_way, world.run if cast.single else world.settle)
            try:
                quiet(world)
            except AssertionError as failed:
                self._ends |= {test.nodeid: self._ends[test.nodeid] or failed for test in tests}


def _told(under_way: dict[str, Story], go_on: Callable[[], object]) -> dict[str, BaseException | None]:
    """Tell the stories to their ends, step by step, all of them at once; `go_on` is what they wait for."""
    ends: dict[str, BaseException | None] = {}
    while under_way:
        for name, story in list(under_way.items()):
            try:
                next(story)
                continue
            except StopIteration:
                ends[name] = None
            except KeyboardInterrupt:
                raise
            except BaseException as failed:  # noqa: BLE001 - the story's own test raises it, whatever it is
                ends[name] = failed
            del under_way[name]
        try:
            if under_way:
                go_on()
        except Exception as failed:  # noqa: BLE001 - every story that waited for this run raises it
            ends |= dict.fromkeys(under_way, failed)
            under_way = {}
    return ends
