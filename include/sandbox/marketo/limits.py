"""Call limits and the usage statistics (facts/marketo-api.md section 11; M8, M18-M21)."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from time import monotonic
from zoneinfo import ZoneInfo

from include.sandbox.marketo.database import Database
from include.sandbox.marketo.options import Options
from include.sandbox.marketo.wire import Call, Refusal, Reply
from include.sandbox.service import Hold, Json

CENTRAL = ZoneInfo("America/Chicago")
"""Quotas start anew at midnight US Central, daylight saving included."""
FREE = frozenset({"601", "602", "604", "605", "608", "611"})
"""Answers that count against no limit (section 3.2, the codes with a star). All others count, 606 included."""


def central_day(now: datetime) -> str:
    """The day of the quota."""
    return now.astimezone(CENTRAL).date().isoformat()


class Limits:
    """Counts calls of the whole instance. The 20-second window is in memory, the days are in the file."""

    def __init__(self, database: Database, options: Options) -> None:
        """Start with an empty window: a restart forgets the last 20 seconds (assumption)."""
        self._database = database
        self._options = options
        self._lock = threading.Lock()
        self._window: deque[tuple[float, float]] = deque()
        """When the last calls came, by the sandbox's clock and by the machine's, for the first may stand still."""
        self._running = 0

    @contextmanager
    def admitted(self, call: Call) -> Iterator[None]:
        """One counted call; answers with a free code are taken off the counters again.

        Raises:
            Refusal: 615, 606 or 607.
        """
        moment, day = call.now.timestamp(), central_day(call.now)
        held = call.request.hold is not None
        place = call.request.hold or self.hold()
        refusal = self._enter(moment, self._count(day, call.user, 1), place)
        try:
            if refusal:
                raise refusal
            yield
        except Refusal as error:
            self._fail(day, error.code)
            if error.code in FREE:
                self._forget(moment)
                self._count(day, call.user, -1)
            raise
        finally:
            if not held:
                place.release()

    def hold(self) -> Hold:
        """A call that runs from now on until it is released; refused with 615 when all places were taken."""
        with self._lock:
            if self._running >= self._options.concurrency_limit:
                return Hold(release=lambda: None, refused=True)
            self._running += 1
            return Hold(self._leave)

    def _leave(self) -> None:
        with self._lock:
            self._running -= 1

    def _enter(self, moment: float, today: int, place: Hold) -> Refusal | None:
        options = self._options
        with self._lock:
            real = monotonic()
            while self._window and self._is_over(self._window[0], moment, real):
                self._window.popleft()
            self._window.append((moment, real))
            if not options.limits:
                return None
            if place.refused:
                return Refusal("615", "Concurrent access limit reached")
            if len(self._window) > options.rate_limit:
                limit, window = options.rate_limit, options.rate_window
                return Refusal("606", f"Max rate limit '{limit}' exceeded with in '{window}' secs")
            return Refusal("607", "Daily quota reached") if today > options.daily_quota else None

    def _is_over(self, call: tuple[float, float], moment: float, real: float) -> bool:
        """Whether a call is out of the window, or ahead of a clock that was moved back."""
        window = self._options.rate_window
        return not moment - window < call[0] <= moment or call[1] <= real - window

    def _forget(self, moment: float) -> None:
        with self._lock:
            found = next((call for call in self._window if call[0] == moment), None)
            if found is not None:
                self._window.remove(found)

    def _count(self, day: str, user: str, calls: int) -> int:
        """Add to the day's count; returns the calls of all users that day."""
        add = "INSERT INTO usage VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET calls = calls + excluded.calls"
        with self._database.count() as connection:
            connection.execute(add, (day, user, calls))
            (total,) = connection.execute("SELECT sum(calls) FROM usage WHERE day = ?", (day,)).fetchone()
        return int(total)

    def _fail(self, day: str, code: str) -> None:
        add = "INSERT INTO usage_error VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET calls = calls + 1"
        with self._database.count() as connection:
            connection.execute(add, (day, code))

    def uncounted(self, call: Call, code: str) -> None:
        """Remember the error of a call that was never admitted, such as 601."""
        self._fail(central_day(call.now), code)

    def reset(self) -> None:
        """Forget the 20-second window and all days."""
        with self._lock:
            self._window.clear()
        with self._database.count() as connection:
            connection.execute("DELETE FROM usage")
            connection.execute("DELETE FROM usage_error")

    def usage(self, call: Call) -> Reply:
        """`stats/usage.json`: calls today, this one included (M21)."""
        return Reply([self._usage_of(central_day(call.now))])

    def usage_week(self, call: Call) -> Reply:
        """`stats/usage/last7days.json`: the days among the last seven that had calls, newest first."""
        return Reply([day for day in map(self._usage_of, _week(call.now)) if day["users"]])

    def errors(self, call: Call) -> Reply:
        """`stats/errors.json`."""
        return Reply([self._errors_of(central_day(call.now))])

    def errors_week(self, call: Call) -> Reply:
        """`stats/errors/last7days.json`."""
        return Reply([day for day in map(self._errors_of, _week(call.now)) if day["errors"]])

    def _usage_of(self, day: str) -> dict[str, Json]:
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT user, calls FROM usage WHERE day = ? AND calls > 0 ORDER BY user", (day,)
            ).fetchall()
        users = [{"userId": user, "count": calls} for user, calls in rows]
        return {"date": day, "total": sum(calls for _, calls in rows), "users": users}

    def _errors_of(self, day: str) -> dict[str, Json]:
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT code, calls FROM usage_error WHERE day = ? ORDER BY code", (day,)
            ).fetchall()
        errors = [{"errorCode": code, "count": calls} for code, calls in rows]
        return {"date": day, "total": sum(calls for _, calls in rows), "errors": errors}


def _week(now: datetime) -> list[str]:
    today = now.astimezone(CENTRAL).date()
    return [(today - timedelta(days=back)).isoformat() for back in range(7)]
