"""`make setup` installs what the lock says, once."""

from __future__ import annotations

import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from scripts import setup_environment
from scripts.setup_environment import digest, install, is_current, main, stamp


@pytest.fixture
def root(tmp_path: Path) -> Path:
    requirements = tmp_path / "requirements"
    requirements.mkdir()
    for name in ("bootstrap", "runtime", "dev"):
        (requirements / f"{name}.lock").write_text(f"{name}==1\n")
    return tmp_path


class Installer:
    """Stands for pip and uv: remembers what it was told, fails when asked to."""

    def __init__(self) -> None:
        self.commands: list[Sequence[str]] = []
        self.environments: list[dict[str, str]] = []
        self.fails = False

    def __call__(self, command: Sequence[str], variables: dict[str, str]) -> None:
        self.commands.append(command)
        self.environments.append(variables)
        if self.fails:
            raise subprocess.CalledProcessError(1, list(command))


@pytest.fixture
def installer(monkeypatch: pytest.MonkeyPatch) -> Installer:
    """No packages are fetched; the environment itself is a real, bare one."""
    installer = Installer()
    monkeypatch.setattr(setup_environment, "_run", installer)
    bare = venv.create
    monkeypatch.setattr(venv, "create", lambda folder, **_: bare(folder, with_pip=False, symlinks=True))
    return installer


def test_a_second_call_does_nothing(root: Path, installer: Installer) -> None:
    assert main(["runtime", "--root", str(root)]) == 0
    assert len(installer.commands) == 2
    assert main(["runtime", "--root", str(root)]) == 0
    assert len(installer.commands) == 2


def test_the_installer_itself_is_installed_by_hash_before_anything_else(root: Path, installer: Installer) -> None:
    main(["runtime", "--root", str(root)])
    pip, uv = installer.commands
    assert "--require-hashes" in pip
    assert pip[-1].endswith("bootstrap.lock")
    assert uv[0].endswith("/bin/uv")
    assert "--require-hashes" in uv
    assert "--compile-bytecode" in uv
    assert uv[-1].endswith("runtime.lock")


def test_byte_code_is_written_even_where_the_shell_forbids_it(
    root: Path, installer: Installer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    main(["runtime", "--root", str(root)])
    for environment in installer.environments:
        assert "PYTHONDONTWRITEBYTECODE" not in environment


def test_a_changed_lock_is_installed(root: Path, installer: Installer) -> None:
    main(["runtime", "--root", str(root)])
    (root / "requirements" / "runtime.lock").write_text("runtime==2\n")
    main(["runtime", "--root", str(root)])
    assert len(installer.commands) == 4


def test_the_development_environment_serves_the_users_commands_too(root: Path, installer: Installer) -> None:
    main(["dev", "--root", str(root)])
    main(["runtime", "--root", str(root)])
    assert len(installer.commands) == 2


def test_the_users_environment_does_not_serve_the_tests(root: Path, installer: Installer) -> None:
    main(["runtime", "--root", str(root)])
    main(["dev", "--root", str(root)])
    assert len(installer.commands) == 4


def test_an_interrupted_installation_is_not_taken_for_a_finished_one(root: Path, installer: Installer) -> None:
    environment = root / ".venv"
    install(root, environment, "dev")
    installer.fails = True
    (root / "requirements" / "dev.lock").write_text("dev==2\n")
    assert main(["dev", "--root", str(root)]) == 2
    assert not is_current(root, environment, "dev")
    assert not is_current(root, environment, "runtime")


def test_an_environment_whose_python_is_gone_is_made_anew(root: Path, installer: Installer) -> None:
    main(["runtime", "--root", str(root)])
    python = root / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to(root / "no-such-python")
    assert main(["runtime", "--root", str(root)]) == 0
    assert len(installer.commands) == 4
    assert subprocess.run([python, "-c", "pass"], check=False).returncode == 0


@pytest.mark.parametrize(("minor", "prefix"), [(99, sys.base_prefix), (sys.version_info.minor, "/opt/another-build")])
def test_another_python_or_another_build_of_it_means_another_environment(
    root: Path, monkeypatch: pytest.MonkeyPatch, minor: int, prefix: str
) -> None:
    before = digest(root, "dev")
    other = SimpleNamespace(version_info=SimpleNamespace(major=3, minor=minor), base_prefix=prefix)
    monkeypatch.setattr(setup_environment, "sys", other)
    assert digest(root, "dev") != before


def test_an_environment_of_another_build_is_made_anew(root: Path, installer: Installer) -> None:
    main(["runtime", "--root", str(root)])
    stamp(root / ".venv", "runtime").write_text("what the other build wrote")
    python = root / ".venv" / "bin" / "python"
    python.unlink()
    python.write_text(f"#!/bin/sh\necho '{sys.version_info.major}.{sys.version_info.minor} /opt/another-build'\n")
    python.chmod(0o755)
    assert main(["runtime", "--root", str(root)]) == 0
    assert subprocess.run([python, "-c", "raise SystemExit(7)"], check=False).returncode == 7


def test_a_python_that_is_too_old_is_told_what_to_do(
    root: Path, installer: Installer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(setup_environment, "OLDEST", (3, 100))
    assert main(["runtime", "--root", str(root)]) == 2
    assert "make PYTHON=" in capsys.readouterr().out
    assert installer.commands == []


def test_the_stamps_lie_in_the_environment_and_nowhere_else(root: Path, installer: Installer) -> None:
    main(["dev", "--root", str(root)])
    assert stamp(root / ".venv", "dev").read_text() == digest(root, "dev")
    assert sorted(path.name for path in root.iterdir()) == [".venv", "requirements"]
