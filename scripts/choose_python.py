"""Print the Python that `.venv/` is to be made from: `python3`, or a better built one of this machine.

A Python that was compiled by hand without `--enable-optimizations` (pyenv's way when nobody asks for more) needs up to
a third more of the processor for everything: each cycle, every five minutes. Where that is what `python3` is, or where
it is too old, a supported one is taken that was built with them, of the same version if there is one. A distribution's
own, under /usr, always was (it says so nowhere, so its place decides). Who names one gets it: `make PYTHON=… setup`.

Runs on whatever `python3` is, older ones too, and imports the standard library only.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

OLDEST = (3, 11)
PROVEN = ((3, 12), (3, 11))  # what the locks are exercised on; a newer one is taken when it is `python3`, never sought
OF_THE_SYSTEM = ("/usr/bin", "/usr/local/bin")
_PATIENCE = 20.0  # seconds for one Python to answer


class Build(NamedTuple):
    """How one Python was made: version, the folder it is installed in, the arguments of its `configure`."""

    version: tuple[int, ...]
    prefix: str
    arguments: str
    complete: bool  # whether it can make environments: Debian keeps ensurepip apart

    @property
    def is_fast(self) -> bool:
        """Whether it was built with profile-guided optimisation."""
        return "--enable-optimizations" in self.arguments or self.prefix == "/usr"

    @property
    def is_suitable(self) -> bool:
        """Whether the project runs on it and its environment can be made."""
        return self.version >= OLDEST and self.complete


def this_build() -> Build:
    """How the Python was made that runs this."""
    complete = all(importlib.util.find_spec(name) for name in ("venv", "ensurepip"))
    arguments = str(sysconfig.get_config_var("CONFIG_ARGS") or "")
    return Build(tuple(sys.version_info[:2]), sys.base_prefix, arguments, complete)


def ask(python: str) -> Build | None:
    """How `python` was made; None when it does not answer (a shim of pyenv without a version behind it, say)."""
    command = [python, __file__, "--describe"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=_PATIENCE)
        version, prefix, configured, complete = json.loads(answer.stdout)
        return Build(tuple(version), prefix, configured, complete)
    except (OSError, subprocess.SubprocessError, ValueError, TypeError):
        return None


def candidates(version: tuple[int, ...], folders: Sequence[str]) -> Iterator[str]:
    """The Pythons in these folders that are worth asking: those of `version` first, then the newest."""
    for major, minor in sorted(PROVEN, key=lambda proven: proven != version):
        for folder in folders:
            python = Path(folder) / f"python{major}.{minor}"
            if python.is_file() and os.access(python, os.X_OK):
                yield str(python)


def choose(usual: str, build: Build, folders: Sequence[str]) -> str:
    """The Python to use: `usual`, unless it is slow or unsuitable and one in `folders` is neither.

    Of several that are suitable but slow the first is better than an unsuitable `usual`.
    """
    if build.is_suitable and build.is_fast:
        return usual
    second = usual
    for python in candidates(build.version, folders):
        found = ask(python)
        if found is None or not found.is_suitable:
            continue
        if found.is_fast:
            return python
        if second == usual and not build.is_suitable:
            second = python
    return second


def main(arguments: Sequence[str]) -> int:
    """Print the path; with --describe how this Python was made, as JSON."""
    if "--describe" in arguments:
        print(json.dumps(this_build()))
    else:
        print(choose(sys.executable, this_build(), [*OF_THE_SYSTEM, *os.get_exec_path()]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
