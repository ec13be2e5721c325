"""A run that dies while a lead is qualified and records are merged in both systems leaves no link behind (P2, P4).

Tried at every moment of one cycle that has to carry a conversion, a merge in Dynamics, a merge in Marketo, and a
change on its way for each.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.engine.lifecycle import Scene, copy_of, prepare
from tests.engine.play import column, shown
from tests.faults.images import Images
from tests.world import World


def play(scene: Scene) -> Callable[[], None]:
    """Everything at once; returns what must hold in the end."""
    ann, bo, cy, di = (scene.person(name) for name in ("ann", "bo", "cy", "di"))
    free = scene.world.add_person(email="free@example.com", lastName="Free")
    for person in (ann, bo, cy):
        scene.world.edit_person(person, title="on its way")
    contact = scene.qualify(scene.record("ann"))
    assert contact
    scene.merge_rows("contact", scene.record("di"), scene.record("cy"))
    scene.merge_persons(free, bo)

    def as_it_should_be() -> None:
        expected = {("contact", ann, contact), ("lead", free, scene.record("bo")), ("contact", di, scene.record("di"))}
        assert scene.live() == expected
        assert len(scene.links()) == len(expected) + 3  # one piece of history each
        assert scene.world.marketo.control("people_count", {}) == {"people": 4}
        assert (scene.shown(ann) or {})["Type"] == "Contact"
        assert scene.shown(cy) == {"Id": scene.record("cy"), "Type": "Contact", "IsDeleted": True,
                                   "MergedInto": scene.record("di")}  # fmt: skip
        for entity, person, record in expected:
            assert person
            assert record
            assert column(scene.world, entity, record, "jobtitle") == "on its way", (entity, record)
            assert shown(scene.world, person, "title") == "on its way", (entity, person)
            assert shown(scene.world, person, "microsoftId") == record
        assert scene.said(open_only=True) == [("merge_proposed", "D42")]

    return as_it_should_be


def test_a_kill_at_any_moment_leaves_nobody_behind(tmp_path: Path) -> None:
    images = Images(tmp_path / "images")
    with copy_of(prepare(tmp_path), tmp_path / "scene") as scene:
        as_it_should_be = play(scene)
        with images.taken_of(scene.world):
            scene.world.run()
        scene.settled()
        as_it_should_be()
    assert images.moments > len(images.taken) > 10
    for image in images.taken:
        with World(image, fresh=False) as world:
            world.movable.advance(120)  # the dead run's leases expire
            scene.world = world
            scene.settled()
            as_it_should_be()
