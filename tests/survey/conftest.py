"""The world that surveys are played in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Both systems empty, the set-up done, the shipped field map."""
    with World(tmp_path) as made:
        yield made
