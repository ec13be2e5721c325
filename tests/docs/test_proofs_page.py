"""docs/proofs.md names a proof for every promise, docs/security.md what is stored; both are held to the code."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from include.leadsync.config import Settings
from include.leadsync.state.schema import metadata
from scripts.soak import PROOFS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "proofs.md").read_text("utf-8")
SECURITY = (ROOT / "docs" / "security.md").read_text("utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py::\w+)`", PAGE)))
ROWS = {row.split()[1]: row for row in PAGE.splitlines() if re.match(r"\| P\d+ ", row)}


@cache
def functions_in(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize("named", NAMED)
def test_every_proof_named_exists(named: str) -> None:
    path, _, test = named.partition("::")
    assert test.startswith("test_")
    assert test in functions_in(path)


def test_every_promise_has_a_proof() -> None:
    assert list(ROWS) == [f"P{number}" for number in range(1, 11)]
    assert [promise for promise, row in ROWS.items() if "::test_" not in row] == []


def test_every_finding_has_its_test() -> None:
    findings = PAGE.partition("## What they found")[2].partition("\n## ")[0]
    rows = [row for row in findings.splitlines() if row.startswith("|")][2:]
    assert len(rows) >= 3
    assert [row for row in rows if "::test_" not in row] == []


def test_the_long_forms_are_those_of_make_soak() -> None:
    named = {name for row in ROWS.values() for name in re.findall(r"`(\w+)`", row.rsplit("|", 2)[1])}
    assert named == set(PROOFS)


def test_the_tables_and_retentions_of_the_security_page_exist_and_none_is_left_out() -> None:
    tables = set(re.findall(r"table `(\w+)`", SECURITY))
    assert {"link", "ledger", "activity", "echo", "operation"} <= tables <= set(metadata.tables)
    kept = Settings.model_validate({"fields": {"lead": {}, "contact": {}}}).retention.model_dump()
    told = dict(re.findall(r"`retention\.(\w+)` \((\d+)\)", SECURITY))
    assert told.items() <= {name: str(days) for name, days in kept.items()}.items()
    assert set(kept) - set(told) == {"seen_days"}  # ids of feed rows
