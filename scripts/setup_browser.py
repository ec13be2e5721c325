"""Have a browser for the tests of the console: take the machine's, or install one of Debian's where that can be done.

`make test` drives the pages in a real browser. Nothing is downloaded but the distribution's own package, and only by
root. Where no browser can be had, one line says so, once, and those tests are skipped with that reason; nothing else
needs one. Imports the standard library only, as it runs before anything is installed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

# First the one without windows, toolbars and extensions: it needs a quarter less of the processor for the same pages.
PACKAGES = ("chromium-headless-shell", "chromium")
NAMES = (*PACKAGES, "chromium-browser", "google-chrome-stable", "google-chrome")
MISSING = f"No browser for the tests of the console, they are skipped. As root: apt-get install {PACKAGES[0]}"
_PATIENCE = 600.0  # seconds for one command of apt


def find() -> Path | None:
    """The browser on this machine's PATH that the tests drive; None when there is none."""
    found = (shutil.which(name) for name in NAMES)
    return next((Path(name) for name in found if name), None)


def obtain(mark: Path) -> bool:
    """Whether there is a browser now. What cannot be installed is tried once; `mark` remembers that."""
    if find():
        return True
    if mark.exists():
        return False
    if os.geteuid() == 0 and shutil.which("apt-get"):
        print(f"Installing {PACKAGES[0]} for the tests of the console (once) …", flush=True)
        if _install() and find():
            return True
    print(MISSING, flush=True)
    if mark.parent.is_dir():
        mark.touch()
    return False


def _install() -> bool:
    """Install the first package that the machine's lists know; with fresh lists when they know none."""
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "fonts-liberation"]

    def any_of_them() -> bool:
        return any(_run([*install, package]) for package in PACKAGES)

    return any_of_them() or (_run(["apt-get", "update", "-qq"]) and any_of_them())


def _run(command: Sequence[str]) -> bool:
    variables = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(
            command, env=variables, check=False, capture_output=True, stdin=subprocess.DEVNULL, timeout=_PATIENCE
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; always 0, because a machine without a browser can do everything else."""
    parser = argparse.ArgumentParser(description="Have a browser for the tests of the console")
    root = Path(__file__).resolve().parent.parent
    parser.add_argument("--venv", type=Path, default=root / ".venv", help="where to remember that none can be had")
    obtain(parser.parse_args(arguments).venv / ".no-browser")
    return 0


if __name__ == "__main__":
    sys.exit(main())
