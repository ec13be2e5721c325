"""The layout that the Astronomer project form and our own rules ask for."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ASTRO = [
    ".airflowignore", ".astro/config.yaml", ".dockerignore", "Dockerfile", "airflow_settings.yaml", "dags", "include",
    "packages.txt", "plugins", "requirements.txt", "tests",
]  # fmt: skip
OURS = [".ci/run", "Makefile", "docs", "pyproject.toml", "requirements/runtime.lock", "requirements/dev.lock"]
TARGETS = {"setup", "demo", "test", "lint", "up", "bench", "lock", "clean"}
# Split, so that this file does not contain what it looks for.
TRACES = ["/wo" + "rk/", "/ro" + "ot/", "/opt/py" + "pi", "files.python" + "hosted", "py" + "pi.org"]


def _committed(root: Path) -> Iterator[Path]:
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=root, capture_output=True, check=True)
    for name in listed.stdout.decode().split("\0"):
        file = root / name
        if name and file.is_file() and not file.is_symlink():
            yield file


@pytest.mark.parametrize("path", [*ASTRO, *OURS])
def test_what_the_layout_asks_for_is_there(project_root: Path, path: str) -> None:
    assert (project_root / path).exists()


def test_the_dockerfile_has_one_from_line_of_the_astro_runtime_for_our_airflow(project_root: Path) -> None:
    lines = (project_root / "Dockerfile").read_text().splitlines()
    froms = [line for line in lines if line.startswith("FROM")]
    assert len(froms) == 1
    assert re.fullmatch(r"FROM astrocrpublic\.azurecr\.io/runtime:3\.3-\d+", froms[0])


def test_ci_is_a_script_that_can_be_run_and_runs_linters_and_tests(project_root: Path) -> None:
    script = project_root / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    text = script.read_text()
    assert text.startswith("#!")
    assert "make lint" in text
    assert text.rstrip().endswith("make test")


def test_the_help_lists_every_target(project_root: Path) -> None:
    answer = subprocess.run(["make", "help"], cwd=project_root, capture_output=True, text=True, check=True)
    listed = set(re.findall(r"^\s+make (\S+)", answer.stdout, re.MULTILINE))
    assert listed >= TARGETS


def test_no_committed_file_names_a_machine_or_a_package_registry(project_root: Path) -> None:
    seen = 0
    for file in _committed(project_root):
        text = file.read_bytes().decode(errors="ignore")
        seen += 1
        found = [trace for trace in TRACES if trace in text]
        assert not found, f"{file.relative_to(project_root)}: {found}"
    assert seen > 100


@cache
def _imports(file: Path) -> frozenset[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(), file.name)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.update((node.module, *(f"{node.module}.{alias.name}" for alias in node.names)))
    return frozenset(found)


def _breaches(folder: Path, banned: tuple[str, ...], *, allowed: tuple[str, ...] = ()) -> list[str]:
    files = sorted(folder.rglob("*.py"))
    assert files
    return [
        f"{file.relative_to(folder)}: {name}"
        for file in files
        if file.relative_to(folder).as_posix() not in allowed
        for name in _imports(file)
        if any(name == module or name.startswith(f"{module}.") for module in banned)
    ]


def test_engine_and_sandbox_know_nothing_of_airflow(project_root: Path) -> None:
    ours = ("leadsync_hooks", "leadsync_console", "leadsync_webhook")
    banned = ("airflow", "dags", "plugins", *ours, "scripts", "tests")
    assert _breaches(project_root / "include", banned) == []


def test_the_sandbox_proves_nothing_if_it_shares_code_with_the_engine(project_root: Path) -> None:
    assert _breaches(project_root / "include" / "sandbox", ("include.leadsync",)) == []
    assert _breaches(project_root / "include" / "leadsync", ("include.sandbox",)) == []


def test_only_the_transport_touches_the_network(project_root: Path) -> None:
    banned = ("requests", "httpx", "urllib.request", "http.client", "aiohttp")
    transport = ("clients/transport.py", "clients/bounded_http.py")
    breaches = _breaches(project_root / "include" / "leadsync", banned, allowed=transport)
    assert breaches == []


def test_airflows_names_are_imported_in_one_place(project_root: Path) -> None:
    """Pages and the plugin file use the API server's own modules, which the task SDK does not offer."""
    allowed = ("airflow_names.py", "links.py")
    assert _breaches(project_root / "plugins" / "leadsync_hooks", ("airflow",), allowed=allowed) == []
    assert _breaches(project_root / "dags", ("airflow",)) == []


def test_no_test_reads_a_stopwatch_or_sleeps(project_root: Path) -> None:
    """A busy machine is no error; `tests/waiting.py` waits for others, with an upper bound."""
    timers = {"time.perf_counter", "time.process_time", "time.monotonic", "time.time", "time.sleep"}
    named = [file for file in (project_root / "tests").rglob("*.py") if any(one in file.read_text() for one in timers)]
    found = {
        file.relative_to(project_root).as_posix()
        for file in named
        for node in ast.walk(ast.parse(file.read_text(), file.name))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in timers
    }
    assert found == {"tests/waiting.py"}


def test_modules_stay_small_enough_to_read(project_root: Path) -> None:
    folders = ("include", "plugins", "dags", "scripts")
    long = [
        f"{file.relative_to(project_root)}: {lines} lines"
        for folder in folders
        for file in (project_root / folder).rglob("*.py")
        if (lines := len(file.read_text().splitlines())) > 350
    ]
    assert long == []


def test_nothing_is_left_for_later(project_root: Path) -> None:
    markers = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "NotImplemented" + "Error")) + r")\b")
    for file in _committed(project_root):
        if file.suffix in {".py", ".yaml", ".toml", ".md"} or file.name == "Makefile":
            assert not markers.search(file.read_text()), file.relative_to(project_root)
