"""Waiting for what another thread or process does: as long as a busy machine needs, never a fixed time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

PATIENCE: Final = 60.0
"""Seconds after which something has not merely been slow: an upper bound, not a wait."""


def wait_until(condition: Callable[[], bool], patience: float = PATIENCE, *, every: float = 0.005) -> None:
    """Until another thread or process has got there; fails after `patience` seconds. It looks `every` so many."""
    limit = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < limit, "it did not happen"
        threading.Event().wait(every)
