"""How far a long step is: a line in the log and a note at its run, every `EVERY` seconds, never per record.

The note stands in the run's report under `progress`, by step: phase, done, total (null while nobody can know it),
per_second (since the phase began), seconds_left, at (ISO 8601). It goes when the run ends.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from include.leadsync.clock import iso
from include.leadsync.context import Engine
from include.leadsync.errors import LeadSyncError
from include.leadsync.logs import bound, logger
from include.leadsync.state import Runs

log = logger(__name__)

EVERY = 15.0

Total = Callable[[int], int | None]
"""From what is done to what there is in all; asked for when something is told, so it may cost a query."""


class Progress:
    """One phase of a step. `what` names its rows: "persons", "records of lead"."""

    def __init__(self, engine: Engine, run_id: str, what: str, total: int | Total | None = None) -> None:
        self._engine, self._run_id, self._what, self._total = engine, run_id, what, total
        self._began = self._told = engine.clock.monotonic()
        self.done = 0

    def advance(self, rows: int) -> None:
        """So many more are done."""
        self.done += rows
        now = self._engine.clock.monotonic()
        if now - self._told >= EVERY:
            self._told = now
            self._tell(now - self._began)

    def _tell(self, seconds: float) -> None:
        total = self._total(self.done) if callable(self._total) else self._total
        pace = self.done / seconds if seconds else 0.0
        left = round((total - self.done) / pace) if total is not None and pace and total >= self.done else None
        row = {
            "phase": self._what,
            "done": self.done,
            "total": total,
            "per_second": round(pace, 1),
            "seconds_left": left,
            "at": iso(self._engine.now()),
        }
        whole = "?" if total is None else f"{total}"
        rest = "" if left is None else f", {left} s left"
        log.info("%s: %d of %s, %.1f a second%s", self._what, self.done, whole, pace, rest, extra={"progress": row})
        with suppress(LeadSyncError):  # a busy store must not end a run that is getting on
            Runs(self._engine.store).tell_progress(self._run_id, str(bound("step") or self._what), row)


def once(ask: Callable[[], int | None]) -> Total:
    """A total that is asked for at most once; None when the question fails."""
    known: list[int | None] = []

    def total(_: int) -> int | None:
        if not known:
            try:
                known.append(ask())
            except LeadSyncError as error:
                log.info("how many there are is not known: %s", error)
                known.append(None)
        return known[0]

    return total
