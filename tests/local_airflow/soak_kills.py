"""A task, a worker, the scheduler of a real Airflow killed in the middle of a run (P2, P4): played by `make soak`.

The sandbox holds the answer to one call back until the victim is dead, so that nobody learns what became of it. Then
Airflow is left to itself; where its scheduler died, it is started again. `KILLS_IN_AIRFLOW=4` plays so many of the 24
kinds, from number `KILLS_IN_AIRFLOW_SEED=1` on; they go round, and `all` plays each.
"""

from __future__ import annotations

import itertools
import os
import random
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from scripts.demo.systems import Dynamics, Marketo
from scripts.local_airflow import LocalAirflow
from scripts.local_airflow.environment import ROOT
from scripts.sandbox_process import SandboxProcess
from tests.local_airflow.conftest import processes_of
from tests.local_airflow.kills import LONG, held, settle

CALLS: Mapping[str, Mapping[str, Any]] = {
    "a read of Marketo": {"service": "marketo", "path": "leadchanges"},
    "a read of Dynamics": {"service": "dynamics", "method": "GET", "path": "/leads$", "query": "deltatoken"},
    "a write to Marketo": {"service": "marketo", "method": "POST", "path": "^/rest/v1/leads.json", "body": '"action"'},
    "a write to Dynamics": {"service": "dynamics", "path": "batch", "body": "PATCH "},
}
ZOMBIES = {  # a task that says nothing for so long counts as dead; five minutes if nothing is set
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "10",
}
KINDS = list(itertools.product(("task", "worker", "scheduler"), CALLS, ("after", "before")))
random.Random(0).shuffle(KINDS)
SEED = int(os.environ.get("KILLS_IN_AIRFLOW_SEED", "1"))
NUMBER = int(os.environ.get("KILLS_IN_AIRFLOW", "4").replace("all", str(len(KINDS))))


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
    for left in processes_of(airflow.airflow_home):  # a scheduler that was killed leaves its workers behind
        left.kill()


@pytest.mark.parametrize("seed", range(SEED, SEED + NUMBER))
def test_whoever_is_killed_in_the_middle_of_a_run_nothing_is_lost_and_nothing_there_twice(
    airflow: LocalAirflow, sandbox: SandboxProcess, seed: int
) -> None:
    victim, call, moment = KINDS[(seed - 1) % len(KINDS)]
    marketo, dynamics = Marketo(sandbox.marketo_url), Dynamics(sandbox.dynamics_url)
    known = dynamics.add("lead", subject="s", lastname="Known", emailaddress1=f"known{seed}@example.com")
    settle(airflow, sandbox)
    person = marketo.person_of(known)["id"]
    marketo.edit(person, city=f"city {seed}")
    dynamics.edit("lead", known, jobtitle=f"title {seed}")
    born = dynamics.add("lead", subject="s", lastname="Born", emailaddress1=f"born{seed}@example.com")
    with held(airflow, sandbox, CALLS[call], moment) as kill:
        run = airflow.rest.trigger("lead_sync")
        kill(victim)
    if victim == "scheduler":
        airflow.stop()
        airflow.start(timeout=LONG)
    ended = airflow.rest.wait(run, timeout=LONG)
    assert ended in {"success", "failed"}
    settle(airflow, sandbox)
    both = marketo.person(person, "title", "city"), dynamics.row("lead", known)
    assert [both[0]["title"], both[1]["jobtitle"]] == [f"title {seed}"] * 2
    assert [both[0]["city"], both[1]["address1_city"]] == [f"city {seed}"] * 2
    for crm_id, email in ((known, f"known{seed}@example.com"), (born, f"born{seed}@example.com")):
        (found,) = marketo.by_email(email)
        assert marketo.person_of(crm_id)["id"] == found["id"]
        assert [row["leadid"] for row in dynamics.find("lead", f"emailaddress1 eq '{email}'", "leadid", 5)] == [crm_id]
    told = f"the {victim} killed {moment} {call} was carried out, its run ended as {ended}"
    sys.stdout.write(f"\nseeds {seed} to {seed}: {told}\n")
