"""Two cycles at once, and one that is killed (DECISIONS 12–14)."""

from __future__ import annotations

import signal

import sqlalchemy as sa

from include.leadsync.setup import setup
from tests.cli.command_line import CommandLine, end_of
from tests.waiting import PATIENCE, wait_until

HELD = {"pause": "before", "pause_limit": 600}  # seconds: far longer than the commands beside it take
PAUSE = {"name": "gate", "service": "marketo", "path": "leadchanges", "times": 1, "effect": HELD}


def paused(command_line: CommandLine) -> bool:
    return bool(command_line.sandbox.control("faults.list")["rules"][0]["paused"] == 1)


def expiry(command_line: CommandLine) -> float:
    """Seconds until the lease of the cycle ends."""
    with command_line.engine() as engine, engine.store.read() as tx:
        micros = tx.execute(sa.text("SELECT expires_at FROM lease WHERE name = 'cycle'")).scalar_one()
        return float(micros / 1e6 - engine.now().timestamp())


def test_a_second_cycle_says_it_is_skipped_and_a_killed_one_is_replaced_when_its_lease_ends(
    command_line: CommandLine,
) -> None:
    with command_line.engine() as engine:
        setup(engine)
    command_line.sandbox.control("faults.set", {"rules": [PAUSE]})
    first = command_line.start("cycle", "--json")
    wait_until(lambda: paused(command_line))

    second = command_line.run("cycle", "--json")
    assert (second.status, second.report["outcome"]) == (0, "skipped")
    assert "another cycle is at work" in second.report["reason"]
    planned = command_line.run_here("plan")  # it follows the cursors too
    assert (planned.status, planned.err) == (0, "")
    assert planned.out.startswith("skipped: another cycle is at work")

    command_line.sandbox.control("faults.release")
    done = end_of(first)
    assert (done.status, done.report["outcome"]) == (0, "done")

    command_line.sandbox.control("faults.set", {"rules": [PAUSE]})
    lead = command_line.add_row("lead", subject="s", lastname="Ax", jobtitle="CTO")
    doomed = command_line.start("cycle")
    wait_until(lambda: paused(command_line))
    doomed.send_signal(signal.SIGKILL)
    doomed.communicate(timeout=PATIENCE)
    assert command_line.run_here("cycle", "--json").report["outcome"] == "skipped"
    assert 0 < expiry(command_line) <= 60  # within a minute anybody may take over …
    with command_line.engine() as engine, engine.store.begin() as tx:
        tx.execute(sa.text("UPDATE lease SET expires_at = 1 WHERE name = 'cycle'"))  # … which is now

    after = command_line.run_here("cycle", "--json")
    assert (after.status, after.report["outcome"]) == (0, "done")
    assert command_line.person_of(lead)["title"] == "CTO"
