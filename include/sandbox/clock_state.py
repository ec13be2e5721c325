"""The sandbox clock as the control endpoint moves it, kept across restarts."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

from include.sandbox.clock import MovableClock
from include.sandbox.folder import DataFolder
from include.sandbox.service import Json

_NOTE = "clock"
# Outside of these years one or the other service could no longer write its dates.
_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(3000, 1, 1, tzinfo=UTC)


class ClockState:
    """Moves a clock and remembers where it stands, so that time never runs back over a restart."""

    def __init__(self, clock: MovableClock, folder: DataFolder) -> None:
        self.clock = clock
        self._folder = folder
        self._offset = 0.0
        self._frozen: datetime | None = None
        self._lock = threading.Lock()
        note = folder.note(_NOTE)
        if note:
            self._offset = float(note["offset"])
            self._frozen = _moment(note["frozen"])
            clock.advance(self._offset)
            clock.freeze(self._frozen)

    def advance(self, seconds: float) -> Json:
        """Move the clock on, or back with a negative number.

        Raises:
            ValueError: no finite number, or a year outside 1970 to 2999; the clock stays where it is.
        """
        with self._lock:
            _later(self.clock.now(), seconds)
            self._offset += seconds
            self.clock.advance(seconds)
            return self._keep()

    def freeze(self, at: str | None = None) -> Json:
        """Stand still at `at` (ISO 8601, with zone), or at the present moment.

        Raises:
            ValueError: no such moment, or a year outside 1970 to 2999.
        """
        with self._lock:
            # The clock adds its offset to the frozen moment too.
            shown = _later(_moment(at) or self.clock.now(), 0)
            self._frozen = shown - timedelta(seconds=self._offset)
            self.clock.freeze(self._frozen)
            return self._keep()

    def run(self) -> Json:
        """Go again: real time plus what the clock was advanced by."""
        with self._lock:
            self._frozen = None
            self.clock.freeze(None)
            return self._keep()

    def reset(self) -> Json:
        """Real time again."""
        with self._lock:
            self._frozen = None
            self.clock.freeze(None)
            self.clock.advance(-self._offset)
            self._offset = 0.0
            return self._keep()

    def show(self) -> Json:
        """The present moment, the offset in seconds and whether the clock stands still."""
        with self._lock:
            return self._state()

    def keep(self) -> None:
        """Write the note again, after the folder's content was replaced."""
        with self._lock:
            self._keep()

    def _keep(self) -> Json:
        frozen = self._frozen.isoformat() if self._frozen else None
        self._folder.write_note(_NOTE, {"offset": self._offset, "frozen": frozen})
        return self._state()

    def _state(self) -> Json:
        return {"now": self.clock.now().isoformat(), "offset": self._offset, "frozen": self._frozen is not None}


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        message = f"{text!r} has no zone: write 2026-03-01T12:00:00Z"
        raise ValueError(message)
    return moment.astimezone(UTC)


def _later(moment: datetime, seconds: float) -> datetime:
    """The moment so many seconds later, if the sandbox can live in it."""
    try:
        later = moment + timedelta(seconds=seconds)
    except (OverflowError, ValueError):  # past every calendar; no number
        later = None
    if later is None or not _FIRST <= later < _LAST:
        message = "the clock goes from the year 1970 to 2999 and moves by finite numbers of seconds"
        raise ValueError(message)
    return later
