"""Which processors a test worker uses.

A worker keeps to one: polars hands every filter and join, of three rows as of three million, to a thread of its own,
and to wake that on another processor costs more than the work. With it go the threads and processes that tests start.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

_EVERY = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set[int]()  # Linux has it


def keep_to_one(worker: str) -> None:
    """Give a worker of pytest-xdist (`gw0`, `gw1`, ...) its processor; called before polars is imported."""
    if _EVERY:
        os.sched_setaffinity(0, {sorted(_EVERY)[int(worker.removeprefix("gw")) % len(_EVERY)]})


@contextmanager
def every_processor() -> Iterator[None]:
    """Processes that are started meanwhile run where there is room."""
    if not _EVERY:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, _EVERY)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
