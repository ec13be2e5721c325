"""A task, a worker, the scheduler of a real Airflow killed in the middle of a write (P2, P4): played by `make soak`.

The sandbox carries the write out and holds its answer back until the victim is dead, so that nobody learns what became
of it. Then Airflow is left to itself; where its scheduler died, it is started again.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from scripts.demo.systems import Dynamics, Marketo
from scripts.local_airflow import LocalAirflow
from scripts.local_airflow.environment import ROOT
from scripts.sandbox_process import SandboxProcess
from tests.waiting import wait_until

HELD = {"pause": "after", "pause_limit": 900}
WRITES = {
    "marketo": {
        "service": "marketo",
        "method": "POST",
        "path": "/rest/v1/leads.json",
        "body": '"action"',
        "times": 1,
        "effect": HELD,
    },
    "dynamics": {"service": "dynamics", "path": "batch", "body": "PATCH ", "times": 1, "effect": HELD},
}
ZOMBIES = {  # a task that says nothing for so long counts as dead; five minutes if nothing is set
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "10",
}
LONG = 900.0


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    with SandboxProcess(tmp_path_factory.mktemp("sandbox") / "data") as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def airflow(sandbox: SandboxProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAirflow]:
    home = tmp_path_factory.mktemp("kills-in-airflow")
    given = {"LEADSYNC_SCHEDULE": "none", **sandbox.connections(), **ZOMBIES}
    command = [sys.executable, "-m", "include.leadsync", "setup"]
    subprocess.run(command, cwd=ROOT, env={**os.environ, **given, "LEADSYNC_HOME": str(home)}, check=True)
    with LocalAirflow(home, environment=given) as airflow:
        airflow.rest.wait_for_dags({"lead_sync"})
        yield airflow


def cycle(airflow: LocalAirflow) -> None:
    assert airflow.rest.wait(airflow.rest.trigger("lead_sync"), timeout=LONG) == "success"


def victims(airflow: LocalAirflow) -> dict[str, psutil.Process]:
    """The scheduler, its worker that is busy, and the task in it."""
    mine = [p for p in psutil.process_iter(["cmdline"]) if str(airflow.logs) in " ".join(p.info["cmdline"] or ())]
    (scheduler,) = [p for p in mine[0].children() if p.cmdline()[-1:] == ["scheduler"]]
    busy = [(worker, task) for worker in scheduler.children() for task in worker.children()]
    ((worker, task),) = busy
    return {"scheduler": scheduler, "worker": worker, "task": task}


@pytest.mark.parametrize("service", WRITES)
@pytest.mark.parametrize("victim", ["task", "worker", "scheduler"])
def test_a_kill_in_the_middle_of_a_write_loses_nothing_and_makes_nothing_twice(
    airflow: LocalAirflow, sandbox: SandboxProcess, service: str, victim: str
) -> None:
    marketo, dynamics = Marketo(sandbox.marketo_url), Dynamics(sandbox.dynamics_url)
    name = f"{victim}-{service}"
    known = dynamics.add("lead", subject="s", lastname="Known", emailaddress1=f"known-{name}@example.com")
    cycle(airflow)
    person = marketo.person_of(known)["id"]
    marketo.edit(person, city=name)
    dynamics.edit("lead", known, jobtitle=name)
    born = dynamics.add("lead", subject="s", lastname="Born", emailaddress1=f"born-{name}@example.com")
    marketo.control("faults/set", {"rules": [WRITES[service]]})
    run = airflow.rest.trigger("lead_sync")
    wait_until(lambda: marketo.control("faults/list", {})["result"]["rules"][0]["paused"] == 1, LONG)
    victims(airflow)[victim].kill()
    marketo.control("faults/release", {})
    marketo.control("faults/clear", {})
    if victim == "scheduler":
        airflow.stop()
        airflow.start(timeout=LONG)
    ended = airflow.rest.wait(run, timeout=LONG)
    assert ended in {"success", "failed"}
    cycle(airflow)
    assert (marketo.person(person, "title")["title"], dynamics.row("lead", known)["address1_city"]) == (name, name)
    (made,) = marketo.by_email(f"born-{name}@example.com")
    assert marketo.person_of(born)["id"] == made["id"]
    cycle(airflow)
    written = marketo.control("calls/list", {"path": "leads.json|batch", "intent": "POST", "limit": 50})["result"][
        "calls"
    ]
    sys.stdout.write(f"seeds 0 to 0: {name} killed, its run ended as {ended}; {len(written)} writing calls so far\n")
