"""Cycles of the command line, killed at random instants: nothing is lost, nothing is there twice (P2, P3, P4).

`tests/faults/test_kills.py` tries every moment of one cycle in its own process. Here the process is a real one and dies
wherever it happens to be: while it starts, while it reads, in the middle of a write. Played by `make soak`:
`RANDOM_KILLS=10` rounds from seed `RANDOM_KILLS_SEED=1`.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from include.leadsync.setup import setup
from include.sandbox.server import SandboxServer
from scripts.demo.systems import Dynamics, Marketo
from tests.cli.command_line import CommandLine, settle
from tests.waiting import wait_until

ROUNDS = int(os.environ.get("RANDOM_KILLS", "10"))
SEED = int(os.environ.get("RANDOM_KILLS_SEED", "1"))
PAIRS, CALLS = 6, 14
"""Linked pairs; calls of a cycle, so that hardly one comes to its end."""


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[CommandLine]:
    """A machine with its own state."""
    with SandboxServer(tmp_path / "sandbox") as sandbox:
        made = CommandLine(sandbox, tmp_path / "home")
        with made.engine() as engine:
            setup(engine)
        yield made


def test_a_cycle_killed_at_any_instant_loses_nothing_and_makes_nothing_twice(machine: CommandLine) -> None:
    marketo, dynamics = Marketo(machine.sandbox.marketo_url), Dynamics(machine.sandbox.dynamics_url)
    leads = [
        machine.add_row("lead", subject="s", lastname=f"L{n}", emailaddress1=f"l{n}@example.com") for n in range(PAIRS)
    ]
    assert machine.run("cycle").status == 0
    persons = {lead: marketo.person_of(lead)["id"] for lead in leads}
    killed = 0
    for seed in range(SEED, SEED + ROUNDS):
        dice = random.Random(seed)
        titles = {lead: f"{dice.choice(['crm', 'person', 'both'])} {seed}" for lead in leads}
        for lead, title in titles.items():
            if not title.startswith("person"):
                machine.edit_row("lead", lead, jobtitle=title if title.startswith("crm") else f"loses {seed}")
            if not title.startswith("crm"):
                marketo.edit(persons[lead], title=title)
        new = f"new{seed}@example.com"
        machine.add_row("lead", subject="new", lastname="New", emailaddress1=new)
        killed += killed_at_some_instant(machine, dice)
        settle(machine)
        for lead, title in titles.items():  # of a lead the person's value wins (R40)
            assert (machine.row("lead", lead)["jobtitle"], machine.person_of(lead)["title"]) == (title, title), seed
        assert len(dynamics.find("lead", f"emailaddress1 eq '{new}'", "leadid", 5)) == 1, seed
        assert len(marketo.by_email(new)) == 1, seed
    sys.stdout.write(f"seeds {SEED} to {SEED + ROUNDS - 1}: {ROUNDS} cycles, {killed} killed\n")
    assert killed


def killed_at_some_instant(machine: CommandLine, dice: random.Random) -> bool:
    """Start a cycle and kill it, a little while after some call; False when it had ended by then."""
    before, calls, later = machine.sandbox.calls.position, dice.randrange(CALLS), dice.uniform(0, 0.3)
    process = machine.start("cycle")
    wait_until(lambda: process.poll() is not None or machine.sandbox.calls.position - before >= calls)
    try:
        process.communicate(timeout=later)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert process.returncode in {0, -signal.SIGKILL}
    return process.returncode != 0
