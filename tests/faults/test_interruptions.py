"""A run that is interrupted, or ends in a mistake of ours, is closed and gives its turn back at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.leadsync.clients.transport import HttpRequest
from include.leadsync.state import Runs
from tests.world import World


@pytest.mark.parametrize("ending", [KeyboardInterrupt, ZeroDivisionError])
@pytest.mark.parametrize("call", ["leadchanges", "/rest/v1/leads.json"])
def test_the_next_cycle_need_not_wait_and_loses_nothing(tmp_path: Path, ending: type[BaseException], call: str) -> None:
    def end(request: HttpRequest) -> None:
        if call in request.url:
            raise ending

    with World(tmp_path) as world:
        world.add_row("lead", subject="s", lastname="Ax", emailaddress1="ax@example.com")
        world.transport.before.append(end)
        with pytest.raises(ending):
            world.run()
        world.transport.before.clear()
        latest = Runs(world.engine.store).latest()
        assert latest is not None
        assert (latest.outcome, latest.report["error"]) == ("failed", ending.__name__)
        world.movable.advance(-60)  # `run` lets a minute pass first
        assert world.run()["outcome"] == "done"
        world.settle()
        assert len(world.persons_by("email", "ax@example.com")) == 1
