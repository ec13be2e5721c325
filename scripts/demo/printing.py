"""The readable report: a table per scene, and what it cost."""

from __future__ import annotations

import json
import textwrap
import unicodedata
from collections.abc import Mapping

from scripts.demo.scene import Scene

_WIDTH = 100
_LABEL = 14


def print_scene(scene: Scene) -> None:
    """What was done, what should hold, what was read back."""
    print(f"  {'✔' if scene.holds else '✘'} {scene.title}")
    rows = [("done", scene.done), ("should hold", scene.should)]
    rows += [(f"read: {name}", _spelled(value)) for name, value in scene.found.items()]
    if not scene.holds:
        rows += [(f"expected: {name}", _spelled(value)) for name, value in scene.expected.items()]
    for label, text in rows:
        lines = textwrap.wrap(text, _WIDTH - _LABEL - 8) or [""]
        print(f"      {_padded(label)} │ {lines[0]}")
        for line in lines[1:]:
            print(f"      {' ' * _width()} │ {line}")


def print_costs(calls: Mapping[str, int], seconds: float) -> None:
    """API calls per system and the time of a round."""
    spent = ", ".join(f"{count} {name}" for name, count in calls.items())
    print(f"      {_padded('cost')} │ {seconds:.0f} s, API calls: {spent}\n")


def _width() -> int:
    return 26


def _padded(label: str) -> str:
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in label)
    return label + " " * max(_width() - len(label) - wide, 0)


def _spelled(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
