"""What the pages need to show: a collision, a refusal, two held plans, made by the engine in both systems."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from include.leadsync.cli import main
from scripts.demo.systems import Dynamics, Marketo
from scripts.local_airflow import LocalAirflow
from scripts.local_airflow.environment import ROOT
from scripts.sandbox_process import SandboxProcess

USUAL, TIGHT = "overwrites: {count: 1000, share: 0.1}", "overwrites: {count: 0, share: 0.0}"

NO_ADDRESS = "nobody at all"


@dataclass(frozen=True)
class Story:
    """What can be looked up in the console."""

    person: int
    email: str
    in_marketo: str
    in_dynamics: str
    run: str
    held: str
    to_decide: str
    unlinked: int


def play(airflow: LocalAirflow, sandbox: SandboxProcess, folder: Path) -> Story:
    """Three cycles on the command line, with the state store of this Airflow; the last two are held by the brake."""
    marketo, dynamics = Marketo(sandbox.marketo_url), Dynamics(sandbox.dynamics_url)
    leads = dynamics.find("lead", "emailaddress1 ne null", "leadid,emailaddress1,lastname", 20)
    leads.sort(key=lambda lead: not str(lead["lastname"]).isascii())  # what the pictures show can be read by most
    known = [(lead, marketo.person_of(lead["leadid"]).get("id")) for lead in leads]
    (first, person), *others = [(lead, found) for lead, found in known if found]
    tight = folder / "tight.yaml"
    tight.write_text((ROOT / "include/config/leadsync.yaml").read_text().replace(USUAL, TIGHT))
    with at_the_command_line(airflow, sandbox) as patch:
        marketo.edit(int(str(person)), title="Head of Data")
        dynamics.edit("lead", first["leadid"], jobtitle="Head of Analytics")
        dynamics.edit("lead", others[0][0]["leadid"], emailaddress1=NO_ADDRESS)
        run = cycle()["run_id"]
        patch.setenv("LEADSYNC_CONFIG", str(tight))
        held = []
        for some, tail in ((others[1::2], "Berg"), (others[2::2], "Strand")):
            for lead, _ in some:
                dynamics.edit("lead", lead["leadid"], lastname=f"{lead['lastname']}-{tail}")
            planned = cycle()["steps"]["plan"]
            assert planned["plan_hash"], planned
            held.append(str(planned["plan_hash"]))
    unlinked = marketo.add(email="asks@example.com", firstName="Asks", lastName="Forrecord", company="Tea")
    return Story(
        person=int(str(person)), email=str(first["emailaddress1"]), in_marketo="Head of Data",
        in_dynamics="Head of Analytics", run=str(run), held=held[0], to_decide=held[1], unlinked=unlinked,
    )  # fmt: skip


@contextmanager
def at_the_command_line(airflow: LocalAirflow, sandbox: SandboxProcess) -> Iterator[pytest.MonkeyPatch]:
    """The environment of a command line with the state store of this Airflow."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**sandbox.connections(), "LEADSYNC_HOME": str(airflow.home)}.items():
            patch.setenv(name, value)
        yield patch


def cycle() -> dict[str, Any]:
    """One cycle in this process; its report."""
    with redirect_stdout(io.StringIO()) as said:
        main(["cycle", "--json"])
    report: dict[str, Any] = json.loads(said.getvalue().splitlines()[-1])
    assert report["outcome"] == "done"
    return report
