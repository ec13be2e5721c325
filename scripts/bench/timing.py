"""Seconds and bytes: what every benchmark measures with."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median

import psutil

REPEATS = 3
_SAMPLE_SECONDS = 0.002


def seconds(work: Callable[[], object]) -> float:
    """Wall-clock seconds of one call."""
    gc.collect()
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def interleaved(rivals: Mapping[str, Callable[[], object]], repeats: int | None = None) -> dict[str, list[float]]:
    """Seconds of each rival, a few times, taking turns: what disturbs one disturbs the other."""
    taken: dict[str, list[float]] = {name: [] for name in rivals}
    for _ in range(repeats or REPEATS):
        for name, work in rivals.items():
            taken[name].append(seconds(work))
    return taken


def medians(taken: Mapping[str, list[float]]) -> dict[str, float]:
    """The middle of each rival's runs."""
    return {name: median(runs) for name, runs in taken.items()}


@dataclass
class Peak:
    """Bytes that a stretch of work took beyond what the process held when it began."""

    beyond: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)


@contextmanager
def peak_memory() -> Iterator[Peak]:
    """Watch the resident size of this process from a second thread (polars works outside the interpreter's lock)."""
    gc.collect()
    process, peak = psutil.Process(), Peak()
    before = process.memory_info().rss

    def watch() -> None:
        while not peak._stop.wait(_SAMPLE_SECONDS):
            peak.beyond = max(peak.beyond, process.memory_info().rss - before)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        peak._stop.set()
        thread.join()
