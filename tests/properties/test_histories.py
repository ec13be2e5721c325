"""Whatever people do in both systems ends as the model says, history by history (P1, P2, P3, P6, P8).

`HISTORIES=1000` plays that many, `HISTORIES_ROUNDS=4` longer ones, `HISTORIES_SEED=17` begins elsewhere, and
`HISTORIES_ONLY=123` plays that one alone and cuts it down. A failure prints its history and how to play it alone.
"""

from __future__ import annotations

import ast
import os
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.properties import model, vocabulary
from tests.properties.histories import alone, cut_down, play, written
from tests.properties.stage import Wrong

HISTORIES = int(os.environ.get("HISTORIES", "200"))
ROUNDS = int(os.environ.get("HISTORIES_ROUNDS", "2"))
FIRST = int(os.environ.get("HISTORIES_SEED", "2"))
ONLY = os.environ.get("HISTORIES_ONLY")
TOGETHER = 500
"""Histories in one world."""
PER_HUNDRED = {
    "collision": 30, "qualify": 3, "merge_records": 1, "merge_persons": 3, "delete_record": 3, "delete_person": 3,
    "restore_record": 0.5, "request": 3, "namesake": 2, "spoil_person": 15, "spoil_record": 10, "new_record": 2,
    "twin_record": 0.5, "twin_person": 0.5,
}  # fmt: skip
"""What a hundred histories must contain at least, or they prove nothing (DECISIONS 32)."""


@pytest.mark.parametrize("module", [model, vocabulary], ids=["model", "vocabulary"])
def test_the_model_knows_nothing_of_the_engine_nor_of_its_tools(module: object) -> None:
    tree = ast.parse(Path(str(module.__file__)).read_text("utf-8"))  # type: ignore[attr-defined]
    names = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    names += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    plain = sys.stdlib_module_names
    assert [name for name in names if name.split(".")[0] not in plain and name != "tests.properties.vocabulary"] == []


def test_every_history_ends_as_the_model_says(tmp_path: Path) -> None:
    numbers = [int(ONLY)] if ONLY else list(range(HISTORIES))
    happened: Counter[str] = Counter()
    for start in range(0, len(numbers), TOGETHER):
        scripts = [written(FIRST, number, ROUNDS) for number in numbers[start : start + TOGETHER]]
        try:
            happened += play(tmp_path / str(start), scripts).happened
        except Wrong as wrong:
            if ONLY:
                short = cut_down(scripts[0])
                wrong.add_note(f"cut down to what makes it fail: {alone(short)}")
            again = f"HISTORIES_SEED={FIRST} HISTORIES_ROUNDS={ROUNDS} HISTORIES_ONLY={wrong.number}"
            wrong.add_note(f"alone, cut down: {again} .venv/bin/python -m pytest -s {Path(__file__).name}")
            raise
    played = f"{len(numbers)} histories of {ROUNDS} rounds"
    sys.stdout.write(f"seeds {FIRST} to {FIRST}: {played}, {dict(happened)}\n")
    if not ONLY:
        assert all(100 * happened[name] >= least * len(numbers) for name, least in PER_HUNDRED.items()), happened
