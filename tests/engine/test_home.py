"""What is written at run time lies in one folder that only its owner can enter."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

from include.leadsync.context import Engine
from tests.world import World


def test_a_home_that_a_run_makes_is_its_owners_alone(world: World, tmp_path: Path) -> None:
    home = tmp_path / "new" / "home"
    paths = replace(world.engine.paths, home=home, state_url=f"sqlite:///{home / 'state.db'}")
    with Engine.open(world.engine.settings, paths, world.engine.connections, clock=world.clock):
        assert stat.S_IMODE(home.stat().st_mode) == 0o700
        assert (home / "state.db").exists()
