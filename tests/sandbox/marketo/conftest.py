from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sandbox.marketo.caller import Caller


@pytest.fixture
def marketo(tmp_path: Path) -> Iterator[Caller]:
    caller = Caller(tmp_path / "marketo")
    yield caller
    caller.emulator.close()
