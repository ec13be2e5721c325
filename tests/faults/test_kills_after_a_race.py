"""A run that brings back an edit which a write of ours ran over may die at any moment: the edit stays (P2, P4)."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.leadsync.clients.transport import HttpRequest
from tests.engine.play import column, linked_contact, linked_lead, shown
from tests.faults.images import Images
from tests.world import World


@pytest.mark.parametrize("entity", ["lead", "contact"])
def test_a_kill_at_any_moment_loses_no_edit_that_we_ran_over(tmp_path: Path, entity: str) -> None:
    images = Images(tmp_path / "images")
    (tmp_path / "world").mkdir()
    with World(tmp_path / "world") as world:
        person, record = (linked_lead if entity == "lead" else linked_contact)(world, jobtitle="Engineer")
        world.edit_row(entity, record, jobtitle="from Dynamics")

        def type_meanwhile(request: HttpRequest) -> None:
            if request.method == "POST" and "/rest/v1/leads.json" in request.url:
                world.transport.before.clear()
                world.edit_person(person, title="typed meanwhile")

        world.transport.before.append(type_meanwhile)
        world.run()
        with images.taken_of(world):
            world.run()
    winner = "typed meanwhile" if entity == "lead" else "from Dynamics"
    assert images.moments > len(images.taken) > 4
    for image in images.taken:
        with World(image, fresh=False) as world:
            world.movable.advance(120)  # the dead run's leases expire
            world.settle()
            assert (shown(world, person, "title"), column(world, entity, record, "jobtitle")) == (winner, winner)
