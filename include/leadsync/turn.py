"""Whose turn it is: one cycle at a time, by a lease that every step of the run keeps alive (DECISIONS 12–14).

The lease only spares work: two cycles that meet all the same cannot harm each other, because the
cursors advance by compare-and-set and writes need the writer lease with its fencing number.
"""

from __future__ import annotations

from include.leadsync.context import Engine, RunRequest
from include.leadsync.errors import AnotherRunAtWork
from include.leadsync.state import Leases

CYCLE = "cycle"
CYCLE_SECONDS = 55.0
"""A dead run's turn ends within a minute."""
_FRESH = 10.0  # seconds in which the lease need not be renewed again


def take_turn(engine: Engine, run: RunRequest) -> None:
    """Begin or go on with a cycle; other kinds of runs need no turn.

    A step that takes longer than `CYCLE_SECONDS` calls this between its pages. Raises
    `AnotherRunAtWork` when another cycle has the turn.
    """
    if not run.incremental:
        return
    now = engine.clock.monotonic()
    held, since = engine.opened.get(CYCLE, (None, now))
    if held == run.run_id and now - since < _FRESH:
        return
    leases = Leases(engine.store)
    if not leases.extend_by(CYCLE, run.run_id, CYCLE_SECONDS) and not leases.acquire(CYCLE, run.run_id, CYCLE_SECONDS):
        raise AnotherRunAtWork("another cycle is at work; this one leaves without touching anything")
    engine.opened[CYCLE] = (run.run_id, now)


def end_turn(engine: Engine, run: RunRequest) -> None:
    """Let the next cycle begin at once."""
    engine.opened.pop(CYCLE, None)
    Leases(engine.store).release_by(CYCLE, run.run_id)
