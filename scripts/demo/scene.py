"""A scene: what is done, what should hold, and how that is read back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Reading = dict[str, Any]


@dataclass
class Scene:
    """One rule, shown.

    `prepare` does what a marketer or salesperson would do; `expected` are values by name, and
    `read` brings the same names from both systems.
    """

    title: str
    done: str
    should: str
    prepare: Callable[[], None]
    read: Callable[[], Reading]
    expected: Reading
    found: Reading = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        """Whether what was read back is what should be."""
        return self.found == self.expected

    def check(self) -> None:
        """Read back from both systems."""
        self.found = self.read()


@dataclass
class Round:
    """Scenes that share one run of the DAG, and the runs they need. `conf` goes to `lead_sync`."""

    title: str
    scenes: list[Scene]
    runs: int = 1
