from __future__ import annotations

import shutil
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


@pytest.fixture(scope="session")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a new instance, made once: tests work on copies."""
    folder = tmp_path_factory.mktemp("untouched") / "marketo"
    Caller(folder).emulator.close()
    return folder


@pytest.fixture
def marketo(tmp_path: Path, untouched: Path) -> Iterator[Caller]:
    shutil.copytree(untouched, tmp_path / "marketo")
    caller = Caller(tmp_path / "marketo")
    yield caller
    caller.emulator.close()
