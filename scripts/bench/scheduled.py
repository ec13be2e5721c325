"""The idle cycle through a running Airflow: every step a task of its own, scheduler and API server at work."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from scripts.bench.figures import Bar, Figure
from scripts.bench.timing import REPEATS
from scripts.local_airflow import AirflowRest, LocalAirflow
from scripts.local_airflow.environment import ROOT
from scripts.sandbox_process import SandboxProcess

_HALF_A_MINUTE = Bar(30)


def scheduled(folder: Path, people: int) -> Iterator[Figure]:
    """Nothing without people. The first run links them and is not measured."""
    if not people:
        return
    group = f"Idle cycle over {people:,} links, through Airflow's scheduler"
    home = folder / "airflow"
    with SandboxProcess(folder / "sandbox", people=people) as sandbox:
        connections = sandbox.connections()
        command = [sys.executable, "-m", "include.leadsync", "setup"]
        variables = {**os.environ, **connections, "LEADSYNC_HOME": str(home)}
        subprocess.run(command, cwd=ROOT, env=variables, check=True, stdout=subprocess.DEVNULL)
        started = time.perf_counter()
        with LocalAirflow(home, environment={**connections, "LEADSYNC_SCHEDULE": "none"}) as airflow:
            yield Figure(group, "Airflow from nothing until it is healthy", time.perf_counter() - started, "s")
            _run(airflow.rest)
            taken = [_run(airflow.rest) for _ in range(REPEATS)]
    yield Figure(group, "from the trigger to success", median(taken), "s", _HALF_A_MINUTE, runs=taken)


def _run(rest: AirflowRest) -> float:
    started = time.perf_counter()
    run = rest.trigger("lead_sync")
    state = rest.wait(run, timeout=600, poll=0.2)
    if state != "success":
        raise AssertionError(f"{run.dag_id} {run.run_id} ended as {state}: {rest.task_states(run)}")
    return time.perf_counter() - started
