"""Make `.venv/` hold exactly what a lock file says; do nothing when it already does.

Runs on a bare Python 3.11 or newer, before anything is installed, so it imports the standard
library only. `python3 scripts/setup_environment.py runtime|dev [--venv DIR] [--root DIR]`.

pip installs uv from `requirements/bootstrap.lock` (one file, checked by hash), uv the rest. A stamp
in the environment names the digest of the locks it was made from: a second call costs a fraction of
a second, a changed lock or another Python builds afresh. `dev` contains `runtime` at the same versions.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

OLDEST = (3, 11)
CONTAINS = {"runtime": ("runtime",), "dev": ("runtime", "dev")}


def digest(root: Path, name: str) -> str:
    """Digest of everything that decides what `name` installs: its lock, the installer's lock, the Python."""
    parts = [_this_python().encode()]
    parts += [(root / "requirements" / f"{lock}.lock").read_bytes() for lock in ("bootstrap", name)]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def stamp(environment: Path, name: str) -> Path:
    """Where the digest of the installed lock is kept."""
    return environment / f".installed-{name}"


def is_current(root: Path, environment: Path, name: str) -> bool:
    """Whether the environment already holds the lock `name` and its Python still runs."""
    mark = stamp(environment, name)
    return mark.is_file() and mark.read_text() == digest(root, name) and interpreter(environment).exists()


def interpreter(environment: Path) -> Path:
    """The environment's own Python."""
    return environment / "bin" / "python"


def install(root: Path, environment: Path, name: str) -> None:
    """Bring the environment to the lock `name`: missing packages in, foreign and outdated ones out.

    Raises:
        CalledProcessError: pip or uv failed; no stamp is left, so the next call tries again.
    """
    for mark in environment.glob(".installed-*"):
        mark.unlink()
    if not _usable(environment):
        shutil.rmtree(environment, ignore_errors=True)
        venv.create(environment, with_pip=True, symlinks=True)
    # .pyc files are wanted: without them every Airflow command takes twice as long.
    variables = {k: v for k, v in os.environ.items() if k not in {"PYTHONDONTWRITEBYTECODE", "PYTHONPATH"}}
    variables["VIRTUAL_ENV"] = str(environment)
    python = str(interpreter(environment))
    requirements = root / "requirements"
    _run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--require-hashes",
          "--only-binary", ":all:", "-r", str(requirements / "bootstrap.lock")], variables)  # fmt: skip
    _run([str(environment / "bin" / "uv"), "pip", "sync", "-q", "--python", python, "--require-hashes",
          "--compile-bytecode", str(requirements / f"{name}.lock")], variables)  # fmt: skip
    for contained in CONTAINS[name]:
        stamp(environment, contained).write_text(digest(root, contained))


def _this_python() -> str:
    """Version and place of the Python that runs this script; two builds of one version are two (choose_python.py)."""
    return f"{sys.version_info.major}.{sys.version_info.minor} {sys.base_prefix}"


def _usable(environment: Path) -> bool:
    """Whether the environment's Python starts and is made from the one that runs this script."""
    probe = "import sys; print('%d.%d' % sys.version_info[:2], sys.base_prefix)"
    try:
        answer = subprocess.run([interpreter(environment), "-c", probe], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return False
    return answer.stdout.strip() == _this_python()


def _run(command: Sequence[str], variables: dict[str, str]) -> None:
    subprocess.run(command, env=variables, check=True, stdin=subprocess.DEVNULL)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; exit status 0 when the environment is as the lock says, 2 when it cannot be made so."""
    parser = argparse.ArgumentParser(description="Install the pinned dependencies into .venv")
    parser.add_argument("lock", choices=sorted(CONTAINS))
    root = Path(__file__).resolve().parent.parent
    parser.add_argument("--root", type=Path, default=root, help="project root")
    parser.add_argument("--venv", type=Path, default=None, help="environment (default: ROOT/.venv)")
    options = parser.parse_args(arguments)
    if sys.version_info < OLDEST:
        print(f"Python 3.11 or newer is needed, this is {sys.version.split()[0]}. Say: make PYTHON=python3.12 …")
        return 2
    environment = (options.venv or options.root / ".venv").absolute()
    if is_current(options.root, environment, options.lock):
        return 0
    python = f"Python {sys.version.split()[0]} of {sys.base_prefix}"
    print(f"Installing {options.lock} dependencies into {environment.name}/, {python} (takes a minute) …", flush=True)
    try:
        install(options.root, environment, options.lock)
    except subprocess.CalledProcessError as failure:
        print(f"Installing failed (exit status {failure.returncode}); see above. Run the same command to try again.")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
