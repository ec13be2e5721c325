from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from include.sandbox.marketo import extract_queue, import_queue
from tests.sandbox.marketo.caller import Caller
from tests.waiting import PATIENCE


@pytest.fixture(autouse=True)
def patient_queues(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call waits for the file it asks about as long as a busy machine needs to write it."""
    for queue in (extract_queue, import_queue):
        monkeypatch.setattr(queue, "_PATIENCE", PATIENCE)


@pytest.fixture
def marketo(tmp_path: Path) -> Iterator[Caller]:
    caller = Caller(tmp_path / "marketo")
    yield caller
    caller.emulator.close()
