"""Configuration files for tests, and what a file with mistakes is told."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from include.leadsync.config import Settings, load_settings
from include.leadsync.errors import ConfigurationInvalid

FIELDS = """\
fields:
  lead:
    firstName: {dynamics: firstname, type: string}
    company: {dynamics: companyname, type: string}
  contact:
    firstName: {dynamics: firstname, type: string}
"""
"""The smallest useful file; sections are appended to it."""


def write(folder: Path, text: str) -> Path:
    path = folder / "leadsync.yaml"
    path.write_text(dedent(text), encoding="utf-8")
    return path


def lead_with(folder: Path, entry: str) -> Path:
    """A file whose lead map has `entry` in line 5."""
    return write(folder, FIELDS.replace("  contact:", f"    {entry}\n  contact:"))


def settings_with(folder: Path, entry: str) -> Settings:
    return load_settings(lead_with(folder, entry))


def mistakes(path: Path) -> list[str]:
    """Everything that is wrong with a file, without the folder it is in."""
    with pytest.raises(ConfigurationInvalid) as caught:
        load_settings(path)
    return [str(problem).replace(str(path), path.name) for problem in caught.value.problems]
