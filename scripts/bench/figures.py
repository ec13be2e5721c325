"""One measured number, and how numbers are shown."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import psutil

LIBRARIES = ("polars", "pyarrow", "SQLAlchemy", "msgspec", "pandas", "great-expectations")


@dataclass(frozen=True)
class Bar:
    """What a good implementation reaches (shared facts, performance, "Bars"). Only ratios and counts have one."""

    limit: float
    at_least: bool = False

    def met(self, value: float) -> bool:
        """Whether a value is on the right side."""
        return value >= self.limit if self.at_least else value <= self.limit

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.limit:g}"


@dataclass(frozen=True)
class Figure:
    """One line of the result. `unit`: s, ms, B, MB, x (a ratio), calls, rows, rows/s; `runs`: single measurements."""

    group: str
    what: str
    value: float
    unit: str
    bar: Bar | None = None
    runs: Sequence[float] = ()
    detail: dict[str, Any] = field(default_factory=dict)

    @property
    def met(self) -> bool | None:
        """Whether the bar is met; None without one."""
        return None if self.bar is None else self.bar.met(self.value)

    def to_json(self) -> dict[str, Any]:
        """Plain values; the bar as text."""
        plain = {**asdict(self), "bar": str(self.bar) if self.bar else None, "met": self.met}
        return {key: value for key, value in plain.items() if value not in (None, {}, (), [])}


def ratio(group: str, what: str, over: float, under: float, bar: Bar | None = None) -> Figure:
    """A ratio of two measurements of one run."""
    return Figure(group, what, over / under, "x", bar)


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "load_before": [round(load, 1) for load in os.getloadavg()],
        "python": platform.python_version(),
        "libraries": {name: importlib.metadata.version(name) for name in LIBRARIES},
    }


def table(figures: Sequence[Figure]) -> str:
    """All figures as text, one group after the other."""
    width = max((len(figure.what) for figure in figures), default=0)
    lines: list[str] = []
    group = ""
    for figure in figures:
        if figure.group != group:
            group = figure.group
            lines += ["", group]
        verdict = "" if figure.bar is None else f"   {figure.bar!s:>8}  {'met' if figure.met else 'MISSED'}"
        lines.append(f"  {figure.what:<{width}}  {_number(figure.value):>10} {figure.unit:<6}{verdict}".rstrip())
    return "\n".join(lines[1:])


def _number(value: float) -> str:
    if value == int(value) and abs(value) < 1e9:
        return f"{int(value):,}"
    digits = 3 if abs(value) < 1 else 2 if abs(value) < 100 else 0
    return f"{value:,.{digits}f}"
