"""One sandbox, one Airflow on the real DAG folder and one cycle for all tests here: a start costs 15 s."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path

import psutil
import pytest

from include.leadsync.cli import main
from scripts.demo.systems import Dynamics, Marketo
from scripts.local_airflow import LocalAirflow
from scripts.local_airflow.rest import DagRun
from scripts.sandbox_process import SandboxProcess
from tests.local_airflow.story import at_the_command_line
from tests.processors import every_processor

WEBHOOK_SECRET = "a-long-shared-secret"
SECRET_ECHOED = "planted-secret-7"
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


@pytest.fixture(scope="package", autouse=True)
def processors() -> Iterator[None]:
    """Airflow's processes and the browser's work while the test waits for them."""
    with every_processor():
        yield


@pytest.fixture(scope="package")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    with SandboxProcess(tmp_path_factory.mktemp("sandbox") / "data", people=20) as sandbox:
        yield sandbox
    assert not sandbox.running


@pytest.fixture(scope="package")
def airflow(sandbox: SandboxProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAirflow]:
    home = tmp_path_factory.mktemp("local-airflow")
    secret = {"AIRFLOW_VAR_LEADSYNC_WEBHOOK_SECRET": WEBHOOK_SECRET}
    unchanged = {"AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "600"}  # nobody edits a DAG meanwhile
    given = {"LEADSYNC_SCHEDULE": "none", **sandbox.connections(), **secret, **unchanged}
    airflow = LocalAirflow(home, environment=given)
    with at_the_command_line(airflow, sandbox), redirect_stdout(io.StringIO()):
        assert main(["setup"]) == 0
    with airflow:
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


@pytest.fixture(scope="package")
def refused(airflow: LocalAirflow, sandbox: SandboxProcess) -> tuple[DagRun, str]:
    """A run that fails because Marketo refuses the login, repeating a secret and a person's values; how it ended."""
    answer = {"error": "unauthorized", "error_description": f"client_secret={SECRET_ECHOED} of {' '.join(PLANTED)}"}
    rule = {"service": "marketo", "path": "/identity/", "effect": {"status": 401, "answer": json.dumps(answer)}}
    marketo = Marketo(sandbox.marketo_url)
    person = marketo.add(email="refused@example.com", firstName="Re", lastName="Fused", company="Tea")
    airflow.rest.wait_for_dags({"sync_person_to_microsoft"})
    marketo.control("faults/set", {"rules": [rule]})
    try:
        run = airflow.rest.trigger("sync_person_to_microsoft", {"persons": [person], "sync_as": "lead"})
        return run, airflow.rest.wait(run)
    finally:
        marketo.control("faults/clear", {})
