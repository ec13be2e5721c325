"""The sandbox's own clock: real time plus an offset that the control endpoint can move."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta


class MovableClock:
    """Wall-clock time that can be moved; safe to share between threads."""

    def __init__(self) -> None:
        self._offset = timedelta()
        self._frozen: datetime | None = None
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """Current sandbox time, aware, UTC."""
        with self._lock:
            return (self._frozen or datetime.now(UTC)) + self._offset

    def advance(self, seconds: float) -> None:
        """Move the clock; negative values move it back."""
        with self._lock:
            self._offset += timedelta(seconds=seconds)

    def freeze(self, at: datetime | None) -> None:
        """Stand still at a moment, or run again with None."""
        with self._lock:
            self._frozen = at

    def sleep(self, seconds: float) -> None:
        """Really wait: a slow answer is slow for the client."""
        time.sleep(seconds)
