"""A browser for the tests of the console: the machine's own, or Debian's package, or one clear line."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from scripts import setup_browser
from scripts.setup_browser import MISSING, find, main


class Machine:
    """A PATH of its own; apt-get is played: `installs` says whether it can."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.commands: list[Sequence[str]] = []
        self.installs: Sequence[str] = setup_browser.PACKAGES
        self.has_lists = True

    def put(self, name: str) -> Path:
        program = self.folder / name
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
        return program

    def run(self, command: Sequence[str]) -> bool:
        self.commands.append(command)
        if command[1] == "update":
            self.has_lists = True
            return True
        if command[-1] in self.installs and self.has_lists:
            self.put(command[-1])
            return True
        return False

    @property
    def asked(self) -> list[str]:
        return [command[1] for command in self.commands]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(setup_browser, "_run", machine.run)
    machine.put("apt-get")
    return machine


def run(machine: Machine) -> int:
    return main(["--venv", str(machine.folder)])


@pytest.mark.parametrize("name", setup_browser.NAMES)
def test_a_browser_that_is_there_is_taken_and_nothing_is_installed(machine: Machine, name: str) -> None:
    browser = machine.put(name)
    assert run(machine) == 0
    assert (find(), machine.commands) == (browser, [])


def test_debians_package_is_installed_where_there_is_none(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(machine) == 0
    assert machine.asked == ["install"]
    assert "--no-install-recommends" in machine.commands[0]
    assert find()
    assert MISSING not in capsys.readouterr().out


def test_lists_that_are_missing_are_fetched_first(machine: Machine) -> None:
    machine.has_lists = False
    run(machine)
    assert machine.asked == ["install", "install", "update", "install"]
    assert find() == machine.folder / setup_browser.PACKAGES[0]


def test_a_debian_without_the_lighter_package_gets_the_whole_browser(machine: Machine) -> None:
    machine.installs = ["chromium"]
    run(machine)
    assert find() == machine.folder / "chromium"
    assert machine.asked == ["install", "install"]


def test_what_cannot_be_installed_is_said_in_one_line_and_tried_once(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.installs = []
    assert [run(machine), run(machine)] == [0, 0]
    assert machine.asked == ["install", "install", "update", "install", "install"]
    assert capsys.readouterr().out.count(MISSING) == 1
    machine.put("chromium")  # somebody installed it since
    assert run(machine) == 0
    assert find()


@pytest.mark.parametrize("hindrance", ["no root", "no apt-get"])
def test_nothing_is_installed_where_we_may_not_or_cannot(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], hindrance: str
) -> None:
    if hindrance == "no root":
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
    else:
        (machine.folder / "apt-get").unlink()
    assert run(machine) == 0
    assert machine.commands == []
    assert capsys.readouterr().out.strip() == MISSING


def test_a_command_that_is_not_there_is_no_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not setup_browser._run(["apt-get", "install"])
