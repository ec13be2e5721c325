"""A store of one's own, copied from a migrated one, and a clock that stands."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from include.leadsync.clock import FakeClock
from include.leadsync.state import StateStore
from tests.state.conftest import migrated_sqlite

__all__ = ["migrated_sqlite"]

START = datetime(2026, 3, 2, 6, tzinfo=UTC)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(START)


@pytest.fixture
def store(tmp_path: Path, clock: FakeClock, migrated_sqlite: Path) -> Iterator[StateStore]:
    shutil.copy(migrated_sqlite, tmp_path / "state.db")
    opened = StateStore.open(f"sqlite:///{tmp_path / 'state.db'}", clock)
    yield opened
    opened.close()
