"""Bars as inline SVG: plain geometry, drawn by the template, so that no script and no image is needed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 640, 180, 44, 22, 8
"""Units of the drawing."""

STACKED = ("inbound", "outbound", "failed")


@dataclass(frozen=True, slots=True)
class Bar:
    """One rectangle; `series` decides its colour."""

    series: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Slot:
    """One bucket: where it stands, its label if it has one, its bars from below."""

    x: float
    middle: float
    width: float
    label: str
    bucket: Mapping[str, Any]
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing of `WIDTH` × `HEIGHT`. `lines`: (y, value) of the grid."""

    slots: tuple[Slot, ...]
    lines: tuple[tuple[float, int], ...]
    is_empty: bool
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    floor: int = HEIGHT - BOTTOM


def chart(buckets: Sequence[Mapping[str, Any]], pattern: str, every: int) -> Chart:
    """Stacked bars; a label in `strftime` form under every so many buckets."""
    top = _round_up(max((sum(bucket[name] for name in STACKED) for bucket in buckets), default=0))
    room, scale = (WIDTH - LEFT) / max(len(buckets), 1), (HEIGHT - BOTTOM - TOP) / top
    slots = []
    for index, bucket in enumerate(buckets):
        x = LEFT + index * room
        since: datetime = bucket["since"]
        label = since.strftime(pattern) if index % every == 0 else ""
        slots.append(
            Slot(round(x, 1), round(x + room / 2, 1), round(room, 1), label, bucket, _bars(bucket, x, room, scale))
        )
    lines = tuple((round(HEIGHT - BOTTOM - value * scale, 1), value) for value in _grid(top))
    return Chart(tuple(slots), lines, not any(bucket[name] for bucket in buckets for name in STACKED))


def _bars(bucket: Mapping[str, Any], x: float, room: float, scale: float) -> tuple[Bar, ...]:
    below, bars = float(HEIGHT - BOTTOM), []
    for name in STACKED:
        if bucket[name]:
            height = max(bucket[name] * scale, 1.0)
            below -= height
            bars.append(Bar(name, round(x + room * 0.12, 1), round(below, 1), round(room * 0.76, 1), round(height, 1)))
    return tuple(bars)


def _round_up(value: int) -> int:
    """The next of 4, 10, 20, 40, 100, 200, 400, …: halves and quarters stay whole."""
    if value <= 4:
        return 4
    power = int(10 ** math.floor(math.log10(value)))
    return next(step * power for step in (1, 2, 4, 10) if step * power >= value)


def _grid(top: int) -> tuple[int, ...]:
    return (0, top // 2, top)
