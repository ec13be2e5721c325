"""The components of a local Airflow as copies of one process: what all of them import is imported once.

`python -m scripts.local_airflow.components SETTINGS MODULES GRACE LOGDIR NAME=COMMAND…`; from GRACE on as
`scripts.supervise`. SETTINGS is loaded into the database first, unless it is empty; MODULES, with commas between them,
are imported as well. Started one by one, each component needs 2 s of CPU until it has what the others have as well,
and each task another 1-2 s for the engine and its libraries.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import random
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from scripts import supervise
from scripts.local_airflow.settings import load, read

_OF_AIRFLOW = (
    "airflow.__main__",
    "airflow.api_fastapi.execution_api.app",
    "airflow.cli.commands.api_server_command",
    "airflow.cli.commands.dag_processor_command",
    "airflow.cli.commands.scheduler_command",
    "airflow.executors.local_executor",
)
_OF_TASKS = ("great_expectations", "pandas", "polars", "pyarrow.compute", "requests", "scipy.stats", "yaml")


class Copy:
    """This process once more, as an `airflow` command."""

    def __init__(self, command: Sequence[str], log: Path) -> None:
        forking = multiprocessing.get_context("fork")
        # By this name a scheduler knows itself from its workers: only it heeds TERM.
        self._process = forking.Process(target=_become, args=(list(command), log), name="MainProcess")
        self._process.start()

    def poll(self) -> int | None:
        """Its status; None while it is at work."""
        return self._process.exitcode


def _become(command: list[str], log: Path) -> None:
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    for standard in (1, 2):
        os.dup2(output, standard)
    os.close(output)
    sys.argv = command
    random.seed()
    import_module("setproctitle").setproctitle(" ".join(("airflow", *command[1:])))  # as Airflow names its workers
    import_module("airflow.__main__").main()


def main() -> int:
    """As `supervise.main`."""
    gc.set_threshold(50_000, 20, 50)  # half a million objects of Airflow live to the end; looking for dead ones costs
    settings, modules, *rest = sys.argv[1:]
    if settings:
        load(read(Path(settings)))
    if sys.platform != "linux":  # elsewhere a copy of a process that has imported all this may not work
        return supervise.main(rest)
    for module in (*_OF_AIRFLOW, *_OF_TASKS, *filter(None, modules.split(","))):
        import_module(module)
    from airflow.settings import engine

    if engine is not None:
        engine.dispose()  # SQLite forbids connections to be shared with a copy
    gc.freeze()
    return supervise.main(rest, begin=Copy)


if __name__ == "__main__":
    sys.exit(main())
