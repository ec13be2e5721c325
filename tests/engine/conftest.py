"""The world that engine tests play in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.lifecycle import Scene, copy_of, prepare
from tests.world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Both systems empty, the set-up done, the shipped field map."""
    with World(tmp_path) as made:
        yield made


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pairs of `lifecycle.PEOPLE`, made once; tests work on copies."""
    return prepare(tmp_path_factory.mktemp("prepared"))


@pytest.fixture
def scene(prepared: Path, tmp_path: Path) -> Iterator[Scene]:
    """A copy of them."""
    with copy_of(prepared, tmp_path / "scene") as made:
        yield made
