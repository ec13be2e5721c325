"""The page about conversions, merges and deletions names tests, settings and codes that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from include.leadsync.config import Settings
from include.leadsync.model import LinkStatus

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "lifecycle.md").read_text("utf-8")
TESTS = "\n".join((ROOT / "tests" / "engine").joinpath(name).read_text("utf-8") for name in (
    "test_conversion.py", "test_crm_merges.py", "test_person_merges.py", "test_deletion.py",
    "test_gone_in_one_cycle.py", "test_deleted_meanwhile.py"))  # fmt: skip
NAMES = re.findall(r"def (test_\w+)", TESTS)


@pytest.mark.parametrize("fragment", sorted(set(re.findall(r"`((?:test_|…)\w+…?)`", PAGE))))
def test_every_test_named_exists(fragment: str) -> None:
    part = fragment.strip("…")
    assert [name for name in NAMES if part in name]


def test_every_setting_named_exists() -> None:
    known = Settings.model_validate({"fields": {"lead": {}, "contact": {}}}).lifecycle.model_dump()
    named = set(re.findall(r"`lifecycle\.(\w+)", PAGE))
    assert set(known) == named


def test_every_code_and_status_named_exists() -> None:
    listed = PAGE.partition("## Where it shows")[2]
    codes = set(re.findall(r"`(\w+)`", listed)) - {status.value for status in LinkStatus}
    folder = ROOT / "include" / "leadsync"
    sources = "\n".join(file.read_text("utf-8") for file in [*folder.glob("link/*.py"), folder / "judge.py"])
    assert codes
    assert not [code for code in codes if f'"{code}"' not in sources]
