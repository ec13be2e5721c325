"""A scheduled run of Airflow, a backfill, a request and the command line of another machine at once (P4): `make soak`.

All share one PostgreSQL. `AT_ONCE_IN_AIRFLOW_ROUNDS=2` rounds from seed `AT_ONCE_IN_AIRFLOW_SEED=1`: people edit on
both sides and new persons are there; when the scheduler has begun a run by itself, everything else starts beside it.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa

from scripts.demo.systems import Dynamics, Marketo
from scripts.local_airflow import LocalAirflow
from scripts.local_airflow.environment import ROOT
from scripts.local_airflow.rest import DagRun
from scripts.sandbox_process import SandboxProcess
from tests.afterwards import is_waiting, let_two_minutes_pass
from tests.postgresql import empty_schema, running_server
from tests.waiting import PATIENCE, wait_until

ROUNDS = int(os.environ.get("AT_ONCE_IN_AIRFLOW_ROUNDS", "2"))
SEED = int(os.environ.get("AT_ONCE_IN_AIRFLOW_SEED", "1"))
PAIRS, ASKED = 4, 2
LONG = 5 * PATIENCE


@dataclass(frozen=True)
class Shared:
    """An Airflow that runs a cycle every minute, another machine's command line, the systems, one state store."""

    airflow: LocalAirflow
    marketo: Marketo
    dynamics: Dynamics
    environment: Mapping[str, str]
    state: sa.Engine

    def start(self, *words: str) -> subprocess.Popen[str]:
        """A command of the other machine."""
        command = [sys.executable, "-m", "include.leadsync", *words]
        environment = {**os.environ, **self.environment}
        return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=-1, stderr=-1, text=True)

    def done(self, *words: str) -> str:
        """What it prints, when it has ended well."""
        process = self.start(*words)
        out, err = process.communicate(timeout=LONG)
        assert process.returncode == 0, err
        return out

    def scheduled(self, state: str) -> list[str]:
        """Runs of the cycle in this state that nobody asked for."""
        path = f"/dags/lead_sync/dagRuns?limit=100&state={state}&run_type=scheduled"
        return [str(run["dag_run_id"]) for run in self.airflow.rest.call("GET", path)["dag_runs"]]

    def paused(self) -> bool:
        """Stop the schedule between two runs: one that is under way would stop with it. Returns whether it could."""
        if self.scheduled("running") or self.scheduled("queued"):
            return False
        self.airflow.rest.pause("lead_sync")
        if busy := bool(self.scheduled("running") or self.scheduled("queued")):
            self.airflow.rest.pause("lead_sync", paused=False)
        return not busy

    def settle(self) -> None:
        """Cycles of the other machine until one plans nothing and nothing waits."""
        for _ in range(8):
            let_two_minutes_pass(self.state)
            report = json.loads(self.done("cycle", "--json").splitlines()[-1])
            if report["outcome"] == "done" and not report["steps"]["plan"]["operations"] and not is_waiting(self.state):
                return
        raise AssertionError("still writing after 8 cycles")


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Shared]:
    with (
        running_server() as server,
        empty_schema(server) as url,
        SandboxProcess(tmp_path / "sandbox", people=0) as sandbox,
    ):
        given = {**sandbox.connections(), "LEADSYNC_STATE_URL": url, "LEADSYNC_STAGING": str(tmp_path / "staging")}
        state = sa.create_engine(url)
        with LocalAirflow(tmp_path / "airflow", environment={**given, "LEADSYNC_SCHEDULE": "* * * * *"}) as airflow:
            elsewhere = {**given, "LEADSYNC_HOME": str(tmp_path / "elsewhere")}
            systems = Marketo(sandbox.marketo_url), Dynamics(sandbox.dynamics_url)
            made = Shared(airflow, *systems, elsewhere, state)
            made.done("setup")
            airflow.rest.wait_for_dags({"lead_sync", "lead_sync_backfill", "sync_person_to_microsoft"})
            yield made
        state.dispose()


def test_what_starts_beside_a_scheduled_run_ends_as_if_it_had_come_one_by_one(shared: Shared) -> None:
    leads = [
        shared.dynamics.add("lead", subject="s", lastname=f"L{n}", emailaddress1=f"l{n}@example.com")
        for n in range(PAIRS)
    ]
    wait_until(lambda: all(shared.marketo.person_of(lead) for lead in leads), LONG, every=0.5)
    for seed in range(SEED, SEED + ROUNDS):
        titles = _edited(shared, leads, random.Random(seed))
        emails = [f"asked{seed}-{n}@example.com" for n in range(ASKED)]
        asked = [shared.marketo.add(email=email, firstName="As", lastName="Ked", company="Acme") for email in emails]
        _all_at_once(shared, asked)
        for lead, title in titles.items():
            person = shared.marketo.person_of(lead, "title")
            assert (shared.dynamics.row("lead", lead)["jobtitle"], person["title"]) == (title, title), seed
        for who, email in zip(asked, emails, strict=True):
            found = shared.dynamics.find("lead", f"emailaddress1 eq '{email}'", "leadid", 5)
            assert [row["leadid"] for row in found] == [shared.marketo.person(who, "microsoftId")["microsoftId"]], seed
            assert len(shared.marketo.by_email(email)) == 1
    sys.stdout.write(f"\nseeds {SEED} to {SEED + ROUNDS - 1}: {ROUNDS} times five at once, one of them on schedule\n")


def _edited(shared: Shared, leads: Sequence[str], dice: random.Random) -> dict[str, str]:
    """Each pair gets a new title, in one system or the other."""
    titles = {lead: f"{dice.choice(['crm', 'person'])} {dice.randrange(10**6)}" for lead in leads}
    for lead, title in titles.items():
        if title.startswith("crm"):
            shared.dynamics.edit("lead", lead, jobtitle=title)
        else:
            shared.marketo.edit(shared.marketo.person_of(lead)["id"], title=title)
    return titles


def _all_at_once(shared: Shared, asked: Sequence[int]) -> None:
    """Beside a run that has just begun by itself; when all have ended, the schedule is off until the next round."""
    rest = shared.airflow.rest
    rest.pause("lead_sync", paused=False)
    before = {*shared.scheduled("running")}
    wait_until(lambda: not before >= {*shared.scheduled("running")}, LONG, every=0.1)
    beside = [DagRun("lead_sync", run) for run in shared.scheduled("running")]
    machine = [shared.start("cycle"), shared.start("sync-person", *map(str, asked), "--as", "lead")]
    beside.append(rest.trigger("sync_person_to_microsoft", {"persons": list(asked), "sync_as": "lead"}))
    beside.append(rest.trigger("lead_sync_backfill", {"since": "2026-01-01T00:00:00Z"}))
    said = [process.communicate(timeout=LONG)[1] for process in machine]
    assert [process.returncode for process in machine] == [0, 0], said
    assert {rest.wait(run, timeout=LONG) for run in beside} == {"success"}
    wait_until(shared.paused, LONG, every=0.5)
    shared.settle()
