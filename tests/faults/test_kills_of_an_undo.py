"""An undo that dies at any moment has put a value back or has not, and never carries one across (P2, P9)."""

from __future__ import annotations

from pathlib import Path

from tests.engine.play import column, linked_leads, shown
from tests.faults.images import Images
from tests.world import World

NEW, PUT_BACK = ("new", "new"), ("new", "old")
"""What a pair shows, the side it came from first."""


def test_an_undo_killed_at_any_moment_is_done_or_not_and_can_be_said_again(tmp_path: Path) -> None:
    images = Images(tmp_path / "images")
    (tmp_path / "world").mkdir()
    with World(tmp_path / "world") as world:
        out, back = linked_leads(
            world, *({"emailaddress1": f"{name}@example.com", "jobtitle": "old"} for name in ("out", "back"))
        )

        def pairs(world: World) -> tuple[tuple[object, object], tuple[object, object]]:
            persons = [shown(world, person, "title") for person, _ in (out, back)]
            leads = [column(world, "lead", lead, "jobtitle") for _, lead in (out, back)]
            return (persons[0], leads[0]), (leads[1], persons[1])

        world.edit_person(out[0], title="new")
        world.edit_row("lead", back[1], jobtitle="new")
        run = world.run()["run_id"]
        with images.taken_of(world):
            world.run(kind="undo", undoes=run)
        assert world.settle() == 1
        assert pairs(world) == (PUT_BACK, PUT_BACK)
    assert images.moments > len(images.taken) > 5
    finished = 0
    for image in images.taken:
        with World(image, fresh=False) as world:
            world.movable.advance(120)  # the dead run's leases expire, Marketo has committed what it will
            world.run()
            assert set(pairs(world)) <= {NEW, PUT_BACK}
            if pairs(world) == (PUT_BACK, PUT_BACK):
                finished += 1
            else:
                world.run(kind="undo", undoes=run)
            assert world.run()["steps"]["plan"]["operations"] == 0
            assert pairs(world) == (PUT_BACK, PUT_BACK)
    assert 0 < finished < len(images.taken)  # what was stored went on by itself
