"""The world that engine tests play in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.lifecycle import Scene, copy_of, prepare
from tests.engine.together import Told
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


@pytest.fixture(scope="module")
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Told:
    """The stories of this module, told side by side; those that were not asked for are left out."""
    tests = [item for item in request.session.items if isinstance(item, pytest.Function) and item.path == request.path]
    return Told(tmp_path_factory.mktemp("stories"), tests)
