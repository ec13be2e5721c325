"""The idle cycle through a running Airflow: every step a task of its own, scheduler and API server at work."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import requests

from scripts.bench.figures import Bar, Figure
from scripts.bench.timing import REPEATS
from scripts.demo.systems import Dynamics, Marketo
from scripts.local_airflow import AirflowRest, LocalAirflow
from scripts.local_airflow.environment import ROOT
from scripts.sandbox_process import SandboxProcess

_HALF_A_MINUTE = Bar(30)
_A_MINUTE = Bar(60)  # D35
_SECRET = secrets.token_urlsafe(24)


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
        given = {**connections, "LEADSYNC_SCHEDULE": "none", "AIRFLOW_VAR_LEADSYNC_WEBHOOK_SECRET": _SECRET}
        with LocalAirflow(home, environment=given) as airflow:
            yield Figure(group, "Airflow from nothing until it is healthy", time.perf_counter() - started, "s")
            _run(airflow.rest)
            taken = [_run(airflow.rest) for _ in range(REPEATS)]
            asked = _Webhook(airflow.url, sandbox)
            waited = [asked.until_there(number) for number in range(REPEATS)]
    yield Figure(group, "from the trigger to success", median(taken), "s", _HALF_A_MINUTE, runs=taken)
    asking = "Sync Person to Microsoft, through Airflow"
    yield Figure(asking, "from the webhook to the record", median(waited), "s", _A_MINUTE, runs=waited)


def _run(rest: AirflowRest) -> float:
    started = time.perf_counter()
    run = rest.trigger("lead_sync")
    state = rest.wait(run, timeout=600, poll=0.2)
    if state != "success":
        raise AssertionError(f"{run.dag_id} {run.run_id} ended as {state}: {rest.task_states(run)}")
    return time.perf_counter() - started


class _Webhook:
    """Marketo calling the endpoint, and a salesperson waiting for the record."""

    def __init__(self, airflow_url: str, sandbox: SandboxProcess) -> None:
        self._url = f"{airflow_url}/leadsync-webhook/requests"
        self._marketo, self._dynamics = Marketo(sandbox.marketo_url), Dynamics(sandbox.dynamics_url)

    def until_there(self, number: int) -> float:
        """Seconds from the call to the lead, for one new person."""
        email = f"webhook{number}@example.com"
        person = self._marketo.add(email=email, firstName="We", lastName="Bhook", company="Tea")
        started = time.perf_counter()
        body = {"person": person, "token": "bench"}
        requests.post(self._url, json=body, headers={"X-Lead-Sync-Secret": _SECRET}, timeout=30).raise_for_status()
        while not self._dynamics.find("lead", f"emailaddress1 eq '{email}'", "leadid", 1):
            if time.perf_counter() - started > _A_MINUTE.limit * 2:
                raise AssertionError(f"no lead for {email}")
            time.sleep(0.05)
        return time.perf_counter() - started
