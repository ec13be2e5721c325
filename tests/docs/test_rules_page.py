"""docs/rules.md lists every rule once, and what it names exists."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from include.leadsync.config import Settings
from include.leadsync.settings.loading import known_keys
from include.leadsync.settings.tree import FieldEntry

ROOT = Path(__file__).resolve().parents[2]
RULES = {"R": 173, "D": 101}
"""How many there are of each."""
MOST_OPEN = 2
"""Rules that may be without a test; this number only goes down."""
ENTRY = "fields.…."


class Row(NamedTuple):
    """One line of the page."""

    rules: tuple[str, ...]
    what: str
    setting: str
    test: str

    @property
    def no_part(self) -> bool:
        return self.what.startswith("*No part:* ")


def numbers(cell: str) -> tuple[str, ...]:
    first, _, last = cell.partition("–")
    if not last:
        return (first,)
    assert first[0] == last[0], cell
    return tuple(f"{first[0]}{number}" for number in range(int(first[1:]), int(last[1:]) + 1))


@cache
def page() -> tuple[Row, ...]:
    lines = (ROOT / "docs" / "rules.md").read_text("utf-8").splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if re.match(r"\| [RD]\d", line)]
    return tuple(Row(numbers(rule), what, setting, test) for rule, what, setting, test in cells)


def names(cell: str) -> Iterator[str]:
    yield from re.findall(r"`([^`]+)`", cell)


def test_every_rule_and_decision_is_listed_once() -> None:
    listed = Counter(rule for row in page() for rule in row.rules)
    assert set(listed) == {f"{kind}{number}" for kind, last in RULES.items() for number in range(1, last + 1)}
    assert [rule for rule, times in listed.items() if times > 1] == []


def test_a_rule_has_a_test_or_a_reason_to_have_none() -> None:
    wordless = [row.rules for row in page() if row.no_part and len(row.what) < len("*No part:* because")]
    assert wordless == []
    untold = [row.rules for row in page() if not row.no_part and row.test != "*open*" and not list(names(row.test))]
    assert untold == []
    assert len([row for row in page() if row.test == "*open*"]) <= MOST_OPEN


def test_ranges_are_for_what_is_no_part() -> None:
    assert [row.rules for row in page() if len(row.rules) > 1 and not row.no_part] == []


@cache
def functions_in(file: Path) -> frozenset[str]:
    tree = ast.parse(file.read_text("utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize("row", [row for row in page() if not row.no_part], ids=lambda row: row.rules[0])
def test_the_test_that_is_named_exists(row: Row) -> None:
    for named in names(row.test):
        path, _, test = named.partition("::")
        file = ROOT / path
        assert file.exists(), named
        assert not test or (test.startswith("test_") and test in functions_in(file)), named


def test_the_settings_that_are_named_exist() -> None:
    unknown = {name for row in page() for name in names(row.setting) if not is_setting(name)}
    assert unknown == set()


def is_setting(name: str) -> bool:
    if name.startswith(ENTRY):
        return name.removeprefix(ENTRY) in FieldEntry.model_fields
    if name.isupper() or name.startswith("leadsync_"):  # of the environment, or a variable of Airflow
        return any(name in file.read_text("utf-8") for part in ("include", "plugins", "dags") for file in code(part))
    *above, last = name.split(".")
    return last in (known_keys(tuple(above)) if above else Settings.model_fields)


@cache
def code(part: str) -> tuple[Path, ...]:
    return tuple((ROOT / part).rglob("*.py"))
