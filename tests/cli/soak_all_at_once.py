"""Everything started together, as processes of two machines on one PostgreSQL (P4, P7): played by `make soak`.

`AT_ONCE_ROUNDS=5` rounds from seed `AT_ONCE_SEED=1`. Each round: edits on both sides, new persons; then two cycles, a
backfill and two requests for the same persons start at the same time. One of them is killed now and then, or stopped in
the middle until its leases are over and the others have done its work: when it wakes up, it may write nothing.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from include.leadsync.setup import setup
from include.sandbox.server import SandboxServer
from scripts.demo.systems import Dynamics, Marketo
from tests.cli.command_line import CommandLine, settle
from tests.postgresql import empty_schema, running_server
from tests.waiting import PATIENCE, wait_until

ROUNDS = int(os.environ.get("AT_ONCE_ROUNDS", "5"))
SEED = int(os.environ.get("AT_ONCE_SEED", "1"))
PAIRS, ASKED = 6, 3
CALLS = 80
"""Calls that five at once make together, about."""


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[tuple[CommandLine, CommandLine]]:
    """Two machines: homes of their own, state and staging shared."""
    with running_server() as server, empty_schema(server) as url, SandboxServer(tmp_path / "sandbox") as sandbox:
        shared = {"LEADSYNC_STATE_URL": url, "LEADSYNC_STAGING": str(tmp_path / "staging")}
        pair = CommandLine(sandbox, tmp_path / "one"), CommandLine(sandbox, tmp_path / "two")
        for machine in pair:
            machine.environment |= shared
            machine.ask_without_limits()
        with pair[0].engine() as engine:
            setup(engine)
        yield pair


def test_whatever_starts_together_ends_as_if_it_had_come_one_by_one(machines: tuple[CommandLine, CommandLine]) -> None:
    one, two = machines
    marketo, dynamics = Marketo(one.sandbox.marketo_url), Dynamics(one.sandbox.dynamics_url)
    leads = [
        one.add_row("lead", subject="s", lastname=f"L{n}", emailaddress1=f"l{n}@example.com") for n in range(PAIRS)
    ]
    assert one.run("cycle").status == 0
    told = Counter[str]()
    for seed in range(SEED, SEED + ROUNDS):
        dice = random.Random(seed)
        titles = {lead: f"{dice.choice(['crm', 'person'])} {seed}" for lead in leads}
        for lead, title in titles.items():
            if title.startswith("crm"):
                one.edit_row("lead", lead, jobtitle=title)
            else:
                marketo.edit(marketo.person_of(lead)["id"], title=title)
        emails = [f"asked{seed}-{n}@example.com" for n in range(ASKED)]
        asked = [str(marketo.add(email=email, firstName="As", lastName="Ked", company="Acme")) for email in emails]
        orders = [
            (one, ("cycle",)),
            (two, ("cycle",)),
            (one, ("backfill", "--since", "2026-01-01")),
            (two, ("sync-person", *asked)),
            (one, ("sync-person", *asked, "--as", "lead")),
        ]
        dice.shuffle(orders)
        started = [machine.start(*words) for machine, words in orders]
        happens = dice.choice(["nothing", "killed", "asleep", "asleep"])
        told[happens] += 1
        if happens == "killed":
            dice.choice(started).send_signal(signal.SIGKILL)
        asleep = one_asleep(one, started, dice) if happens == "asleep" else []
        said = [process.communicate(timeout=2 * PATIENCE)[1] for process in started if process not in asleep]
        settle(two)
        for sleeper in asleep:  # it has been away for so long that its values are old
            titles = dict.fromkeys(leads, f"later {seed}")
            for lead, title in titles.items():
                one.edit_row("lead", lead, jobtitle=title)
            settle(two)
            position = one.sandbox.calls.position
            sleeper.send_signal(signal.SIGCONT)
            said.append(sleeper.communicate(timeout=2 * PATIENCE)[1])
            assert one.writes(position) == [], (seed, said)
            told["woken up"] += 1
        assert {process.returncode for process in started} <= {0, *(2 for _ in asleep), -signal.SIGKILL}, (seed, said)
        settle(two)
        for lead, title in titles.items():
            assert (one.row("lead", lead)["jobtitle"], one.person_of(lead)["title"]) == (title, title), seed
        for person, email in zip(asked, emails, strict=True):
            found = dynamics.find("lead", f"emailaddress1 eq '{email}'", "leadid", 5)
            assert [row["leadid"] for row in found] == [marketo.person(int(person), "microsoftId")["microsoftId"]], seed
            assert len(marketo.by_email(email)) == 1
    sys.stdout.write(f"seeds {SEED} to {SEED + ROUNDS - 1}: {ROUNDS} times five at once, {dict(told)}\n")


def one_asleep(
    machine: CommandLine, started: list[subprocess.Popen[str]], dice: random.Random
) -> list[subprocess.Popen[str]]:
    """Stop one of those that are still at work after some calls of all; empty when there is none."""
    before, calls = machine.sandbox.calls.position, dice.randrange(1, CALLS)
    running = dice.sample(started, len(started))

    def is_time() -> bool:
        running[:] = [process for process in running if process.poll() is None]
        return not running or machine.sandbox.calls.position - before >= calls

    wait_until(is_time, 2 * PATIENCE)
    for process in running[:1]:
        process.send_signal(signal.SIGSTOP)
    return running[:1]
