"""Resolve `requirements/*.lock` afresh: one universal lock, markers and hashes, Python 3.11 and up.

`python -m scripts.lock [--upgrade]`. Without `--upgrade` the pins that still fit stay. The result names
no package index and no path of the machine it was made on (tests/project proves it), so anyone can install from it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# In this order: dev is held to the pins of runtime.
LOCKS = {"bootstrap": "requirements/bootstrap.in", "runtime": "requirements.txt", "dev": "requirements/dev.in"}
OPTIONS = (
    "--quiet", "--universal", "--generate-hashes", "--python-version", "3.11", "--fork-strategy", "fewest",
    "--no-emit-index-url", "--no-emit-find-links", "--no-annotate", "--custom-compile-command", "make lock",
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Write all lock files; further arguments go to `uv pip compile`."""
    extra = list(sys.argv[1:] if arguments is None else arguments)
    uv = Path(sys.executable).with_name("uv")
    for name, source in LOCKS.items():
        command = [str(uv), "pip", "compile", *OPTIONS, *extra, source, "--output-file", f"requirements/{name}.lock"]
        subprocess.run(command, cwd=ROOT, env=os.environ, check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
