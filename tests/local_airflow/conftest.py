"""One sandbox, one Airflow on the real DAG folder and one cycle for all tests here: a start costs 15 s."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from scripts.demo.systems import Dynamics
from scripts.local_airflow import LocalAirflow
from scripts.local_airflow.environment import ROOT
from scripts.local_airflow.rest import DagRun
from scripts.sandbox_process import SandboxProcess

WEBHOOK_SECRET = "a-long-shared-secret"
PLANTED = ["planted-person@example.com", "Plantedname", "planted title", "planted at nowhere"]


def processes_of(home: Path) -> list[psutil.Process]:
    """Those that run under this AIRFLOW_HOME."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("AIRFLOW_HOME") == str(home):
                found.append(process)
        except (psutil.AccessDenied, psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
    return found


@pytest.fixture(scope="package")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    with SandboxProcess(tmp_path_factory.mktemp("sandbox") / "data", people=20) as sandbox:
        yield sandbox
    assert not sandbox.running


@pytest.fixture(scope="package")
def airflow(sandbox: SandboxProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAirflow]:
    home = tmp_path_factory.mktemp("local-airflow")
    secret = {"AIRFLOW_VAR_LEADSYNC_WEBHOOK_SECRET": WEBHOOK_SECRET}
    given = {"LEADSYNC_SCHEDULE": "none", **sandbox.connections(), **secret}
    done = subprocess.run(
        [sys.executable, "-m", "include.leadsync", "setup"],
        cwd=ROOT,
        env={**os.environ, **given, "LEADSYNC_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    with LocalAirflow(home, environment=given) as airflow:
        assert processes_of(airflow.airflow_home)
        yield airflow
    assert processes_of(airflow.airflow_home) == []
    assert not airflow.running


@pytest.fixture(scope="package")
def cycle(airflow: LocalAirflow, sandbox: SandboxProcess) -> tuple[DagRun, str]:
    """A run of `lead_sync` that carries one new record and refuses another, and how it ended."""
    dynamics = Dynamics(sandbox.dynamics_url)
    address, name, title, no_address = PLANTED
    for given in (address, no_address):
        dynamics.add("lead", subject="s", lastname=name, emailaddress1=given, jobtitle=title)
    airflow.rest.wait_for_dags({"lead_sync"})
    run = airflow.rest.trigger("lead_sync")
    return run, airflow.rest.wait(run)
