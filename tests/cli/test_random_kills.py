"""The command line, killed at random instants: nothing is lost, nothing is there twice (P2, P3, P4).

`tests/faults/test_kills.py` tries every moment of one cycle in its own process. Here the process is a real one and dies
wherever it happens to be: while it starts, while it reads, in the middle of a write, with half a file in staging. An
instant is a call of the undisturbed cycle and a part of the time that passed between it and the next, so that nearly
all of them lie inside the cycle; a round that kills too few fails. `RANDOM_KILLS=20` plays so many rounds of three
kills in a row, from seed `RANDOM_KILLS_SEED=1`.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest

from include.leadsync.setup import setup
from include.sandbox.server import SandboxServer
from scripts.demo.systems import Dynamics, Marketo
from tests.cli.command_line import CommandLine, let_time_pass, settle
from tests.waiting import wait_until

ROUNDS = int(os.environ.get("RANDOM_KILLS", "1"))
SEED = int(os.environ.get("RANDOM_KILLS_SEED", "1"))
KILLS = 3 if "RANDOM_KILLS" in os.environ else 1
"""In a row, of runs that each take over from the one before."""
PAIRS = 4
FIELDS = (("jobtitle", "title"), ("address1_city", "city"), ("telephone1", "phone"))
"""One for each kill in a row: an edit that meets one on its way to the same field has no single right end."""
START = 1.5
"""Seconds after its start in which a process may be killed before its first call."""


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[CommandLine]:
    """A machine with its own state; Marketo takes whatever it is asked, so that nobody waits for its next window."""
    with SandboxServer(tmp_path / "sandbox") as sandbox:
        made = CommandLine(sandbox, tmp_path / "home")
        made.ask_without_limits()
        with made.engine() as engine:
            setup(engine)
        yield made


@dataclass
class Office:
    """Colleagues at work in both systems, and what both must show when they have gone home."""

    machine: CommandLine
    persons: dict[str, int] = field(default_factory=dict)
    shown: dict[tuple[str, str, str], str] = field(default_factory=dict)
    asked: dict[str, str] = field(default_factory=dict)
    new: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.marketo = Marketo(self.machine.sandbox.marketo_url)
        self.dynamics = Dynamics(self.machine.sandbox.dynamics_url)
        emails = [f"l{number}@example.com" for number in range(PAIRS)]
        leads = [self.machine.add_row("lead", subject="s", lastname="L", emailaddress1=email) for email in emails]
        assert self.machine.run_here("cycle").status == 0
        self.persons = {lead: self.marketo.person_of(lead)["id"] for lead in leads}

    def work(self, name: str, turn: int, dice: random.Random) -> str:
        """An edit of every pair, on either side or on both, and somebody new on each: the new person's id."""
        column, title = FIELDS[turn]
        for lead, person in self.persons.items():
            side = dice.choice(["crm", "person", "both"])
            self.shown[lead, column, title] = f"{side} {name}"  # of a lead the person's value wins (R40)
            if side != "person":
                self.machine.edit_row("lead", lead, **{column: f"{'crm' if side == 'crm' else 'loses'} {name}"})
            if side != "crm":
                self.marketo.edit(person, **{title: f"{side} {name}"})
        self.new.append(f"new{name}@example.com")
        self.machine.add_row("lead", subject="new", lastname="New", emailaddress1=self.new[-1])
        email = f"asked{name}@example.com"
        self.asked[email] = str(self.marketo.add(email=email, firstName="As", lastName="Ked", company="Acme"))
        return self.asked[email]

    def assert_as_it_should_be(self) -> None:
        """Right winners, nothing lost, one record for one person."""
        for (lead, column, title), value in self.shown.items():
            found = self.machine.row("lead", lead)[column], self.marketo.person(self.persons[lead], title)[title]
            assert found == (value, value), (lead, column)
        for email in (*self.new, *self.asked):
            (row,) = self.dynamics.find("lead", f"emailaddress1 eq '{email}'", "leadid", 5)
            (person,) = self.marketo.by_email(email)
            assert self.marketo.person_of(row["leadid"])["id"] == person["id"], email


def test_a_command_killed_at_any_instant_loses_nothing_and_makes_nothing_twice(machine: CommandLine) -> None:
    office, died, tried = Office(machine), Counter[str](), 0
    office.work("0", 0, random.Random(0))
    pauses = undisturbed(machine)
    for seed in range(SEED, SEED + ROUNDS):
        dice, killed = random.Random(seed), 0
        while killed < KILLS:
            assert tried < 5 + 2 * ROUNDS * KILLS, died  # who is killed too late does not count, and is rare
            asked = office.work(f"{seed}.{tried}", killed, dice)
            command = dice.choice([("cycle",), ("cycle",), ("sync-person", asked)])
            when = kill(machine, command, dice, pauses)
            tried, killed = tried + 1, killed + (when != "ended")
            died[when] += 1
            let_time_pass(machine)
            if when == "ended":
                settle(machine)  # so that the next edits meet none that is on its way
        assert machine.run_here("sync-person", *office.asked.values()).status == 0  # asking twice makes nothing twice
        settle(machine)
        try:
            office.assert_as_it_should_be()
        except BaseException as error:
            error.add_note(f"RANDOM_KILLS=1 RANDOM_KILLS_SEED={seed}")
            raise
        office.new, office.asked = [], {}
    sys.stdout.write(f"seeds {SEED} to {SEED + ROUNDS - 1}: {tried} commands, killed: {dict(died)}\n")


def undisturbed(machine: CommandLine) -> list[float]:
    """The time before each call of a cycle that nobody kills, in seconds."""
    before = machine.sandbox.calls.position
    assert machine.run_here("cycle").status == 0
    at = [datetime.fromisoformat(call.at) for call in machine.sandbox.calls.entries(since=before)]
    return [START, *((later - earlier).total_seconds() for earlier, later in pairwise(at))]


def kill(machine: CommandLine, command: tuple[str, ...], dice: random.Random, pauses: list[float]) -> str:
    """Kill a command some time after one of its calls; in the middle of what, or "ended" when it was too late."""
    before = machine.sandbox.calls.position
    calls = dice.randrange(len(pauses))
    process = machine.start(*command)
    wait_until(lambda: process.poll() is not None or machine.sandbox.calls.position - before >= calls)
    try:
        process.communicate(timeout=dice.random() * pauses[calls])
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert process.returncode in {0, -signal.SIGKILL}
    if process.returncode == 0:
        return "ended"
    if machine.writes(before):
        return f"{command[0]} writing"
    return f"{command[0]} {'reading' if machine.sandbox.calls.position > before else 'starting'}"
