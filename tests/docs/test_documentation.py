"""What the documentation names exists, and what there is to know about it is named there."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from include.leadsync import cli, errors
from include.leadsync.cycle import STEPS
from include.leadsync.state.schema import metadata

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
VARIABLE = re.compile(r"\b(?:LEADSYNC|AIRFLOW_CONN)_[A-Z][A-Z_]*[A-Z]\b")
OF_THE_PROJECT = r"(?:include|scripts|dags|plugins|tests|docs|requirements|\.ci)/[A-Za-z0-9_./-]*[A-Za-z0-9_/]"


def text_of(*names: str) -> str:
    return "\n".join((ROOT / name).read_text("utf-8") for name in names)


def everything_written() -> str:
    return "\n".join(page.read_text("utf-8") for page in PAGES)


@cache
def sources() -> str:
    files = [ROOT / "Makefile"]
    for folder in ("include", "plugins", "scripts", "dags"):
        files += [file for file in (ROOT / folder).rglob("*.py") if "__pycache__" not in file.parts]
    return "\n".join(file.read_text("utf-8") for file in files)


def first_cells(page: str, heading: str) -> list[str]:
    """The first column of the tables of a chapter, without the head, without marks of code."""
    chapter = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text_of(page), re.MULTILINE | re.DOTALL)
    assert chapter, f"{page} has no chapter {heading!r}"
    rows = [line.split("|")[1].strip() for line in chapter[1].splitlines() if line.startswith("|")]
    return [row for row in rows if not set(row) <= {"-", " "}][1:]


def slug(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def links() -> Iterator[tuple[Path, str]]:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
            if "://" not in target:
                yield page, target


@pytest.mark.parametrize(("page", "target"), [pytest.param(p, t, id=f"{p.name}-{t}") for p, t in links()])
def test_a_link_leads_somewhere(page: Path, target: str) -> None:
    path, _, anchor = target.partition("#")
    led_to = (page.parent / path).resolve() if path else page
    assert led_to.exists()
    if anchor:
        headings = re.findall(r"^#+ (.+)$", led_to.read_text("utf-8"), re.MULTILINE)
        assert anchor in {slug(heading) for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_named_exists(page: Path) -> None:
    named = set(re.findall(rf"(?<![\w./-]){OF_THE_PROJECT}", page.read_text("utf-8")))
    missing = sorted(name for name in named if not (ROOT / name).exists())
    assert not missing


def test_the_index_lists_every_page() -> None:
    listed = set(re.findall(r"\]\(([\w.-]+\.md)\)", text_of("docs/README.md")))
    assert listed == {page.name for page in (ROOT / "docs").glob("*.md")} - {"README.md"}


def commands() -> dict[str, argparse.ArgumentParser]:
    actions = cli._parser()._actions
    return next(dict(a.choices) for a in actions if isinstance(a, argparse._SubParsersAction))


def test_every_command_is_described_and_every_described_command_exists() -> None:
    assert {cell.strip("`") for cell in first_cells("docs/operations.md", "Commands")[: len(commands())]} == set(
        commands()
    )
    called = set(re.findall(r"python -m include\.leadsync (?!COMMAND)([a-z][\w-]*)", everything_written()))
    assert called
    assert called <= set(commands())


def test_every_option_named_beside_a_command_is_one_of_its_own() -> None:
    rows = re.findall(r"^\| `([\w-]+)` \| (.+) \|$", text_of("docs/operations.md"), re.MULTILINE)
    named = {(command, option) for command, text in rows for option in re.findall(r"`?(--[\w-]+)", text)}
    assert len(named) > 5
    for command, option in named:
        assert option in commands()[command]._option_string_actions, (command, option)


def test_exit_statuses_are_described() -> None:
    assert first_cells("docs/operations.md", "Commands")[-3:] == ["0", "1", "2"]


def test_every_dag_is_described_and_every_named_dag_exists() -> None:
    ids = set(re.findall(r'dag_id="(\w+)"', "\n".join(f.read_text("utf-8") for f in (ROOT / "dags").glob("*.py"))))
    assert {cell.strip("`") for cell in first_cells("docs/operations.md", "Airflow")} == ids
    named = set(re.findall(r"`((?:lead_sync|sync_person_to)\w*)`", everything_written()))
    assert named
    assert named <= ids


def test_every_environment_variable_named_is_read_and_every_one_that_is_read_is_named() -> None:
    named, read = set(VARIABLE.findall(everything_written())), set(VARIABLE.findall(sources()))
    assert named - read == set()
    assert read - named == set()


def test_every_make_target_named_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", text_of("Makefile"), re.MULTILINE))
    named = set(re.findall(r"(?:`|^ {4})make ([a-z-]+)", everything_written(), re.MULTILINE))
    assert {"demo", "up", "test", "bench"} <= named
    assert named <= targets


def test_the_steps_are_described_in_their_order() -> None:
    assert first_cells("docs/how-it-works.md", "One cycle")[: len(STEPS)] == list(STEPS)


def test_the_tables_described_are_tables_of_the_state_store() -> None:
    named = {name for cell in first_cells("docs/how-it-works.md", "State") for name in re.findall(r"`(\w+)`", cell)}
    assert {"link", "cursor", "operation", "ledger"} <= named <= set(metadata.tables)


def test_every_error_that_is_raised_is_explained_and_every_explained_one_exists() -> None:
    chapter = text_of("docs/operations.md").partition("## When something goes wrong")[2].partition("\n## ")[0]
    explained = {row.split("|")[2].strip() for row in chapter.splitlines() if row.startswith("|")} - {"class", "---"}
    known = {name for name, value in vars(errors).items() if isinstance(value, type)}
    assert explained <= known
    raised = {name for name in known if re.search(rf"\b{name}\(", sources().replace(f"class {name}(", ""))}
    leaves = {name for name in raised if not getattr(errors, name).__subclasses__() and name != "Problem"}
    assert {name for name in leaves if issubclass(getattr(errors, name), errors.LeadSyncError)} <= explained
