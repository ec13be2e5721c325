"""The environment is made from a well built Python where there is one, and always from the one that was named."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import choose_python, setup_environment
from scripts.choose_python import Build, ask, choose, main, this_build

OPTIMISED = "'--prefix=/opt/python' '--enable-optimizations'"
PLAIN = "'--prefix=/opt/python'"
SLOW = Build((3, 11), "/opt/python", PLAIN, complete=True)
FAST = SLOW._replace(arguments=OPTIMISED)
TOO_OLD = FAST._replace(version=(3, 9))
WITHOUT_ENSUREPIP = FAST._replace(complete=False)
ROOT = Path(__file__).resolve().parents[2]


class Machine:
    """A folder of programs; each answers with the build that was put there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, name: str, build: Build | str) -> str:
        answer = build if isinstance(build, str) else json.dumps(build)
        program = self.folder / name
        program.write_text("#!/bin/sh\ncat <<'END'\n" + answer + "\nEND\n")
        program.chmod(0o755)
        return str(program)

    def choose(self, build: Build) -> str:
        return choose("python3", build, ["/no/such/folder", str(self.folder)])


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_python3_is_taken_when_it_is_well_built(machine: Machine) -> None:
    machine.put("python3.11", FAST)
    assert machine.choose(FAST) == "python3"


def test_a_distributions_own_python_counts_as_well_built(machine: Machine) -> None:
    assert machine.choose(SLOW._replace(prefix="/usr")) == "python3"


def test_where_python3_is_slow_a_well_built_one_is_taken(machine: Machine) -> None:
    well_built = machine.put("python3.12", FAST._replace(version=(3, 12)))
    assert machine.choose(SLOW) == well_built


@pytest.mark.parametrize("minor", [11, 12])
def test_of_two_well_built_ones_the_version_of_python3_is_taken(machine: Machine, minor: int) -> None:
    paths = {m: machine.put(f"python3.{m}", FAST._replace(version=(3, m))) for m in (11, 12)}
    assert machine.choose(SLOW._replace(version=(3, minor))) == paths[minor]


@pytest.mark.parametrize("other", [SLOW, TOO_OLD, WITHOUT_ENSUREPIP, "no JSON", "", "[1]", "{}"])
def test_a_slow_python3_stays_when_no_other_is_better(machine: Machine, other: Build | str) -> None:
    machine.put("python3.11", other)
    assert machine.choose(SLOW) == "python3"


@pytest.mark.parametrize("unsuitable", [TOO_OLD, WITHOUT_ENSUREPIP])
@pytest.mark.parametrize("other", [SLOW, FAST])
def test_where_python3_cannot_serve_another_does(machine: Machine, unsuitable: Build, other: Build) -> None:
    path = machine.put("python3.11", other)
    assert machine.choose(unsuitable) == path


def test_what_is_no_program_is_not_asked(machine: Machine) -> None:
    (machine.folder / "python3.11").mkdir()
    Path(machine.put("python3.12", FAST)).chmod(0o644)
    assert machine.choose(SLOW) == "python3"


def test_a_python_describes_itself_as_it_is_asked() -> None:
    assert ask(sys.executable) == this_build()


def test_a_python_that_fails_has_no_build(tmp_path: Path) -> None:
    program = tmp_path / "python3.12"
    program.write_text("#!/bin/sh\necho 'pyenv: python3.12: command not found' >&2\nexit 127\n")
    program.chmod(0o755)
    assert ask(str(program)) is None


def test_the_answer_is_a_python_that_sets_the_project_up(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    build = ask(capsys.readouterr().out.strip())
    assert build is not None
    assert build.is_suitable


def test_make_takes_the_python_that_is_named() -> None:
    command = ["make", "-n", "--no-print-directory", "setup", "PYTHON=the-one-i-named"]
    outside = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}  # of `make test`
    done = subprocess.run(command, cwd=ROOT, env=outside, capture_output=True, text=True, check=True)
    assert done.stdout.split()[0] == "the-one-i-named"


def test_both_scripts_agree_on_the_oldest_python() -> None:
    assert choose_python.OLDEST == setup_environment.OLDEST
