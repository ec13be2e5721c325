"""Service protection limits per user, in a sliding window (section 12.1, V58)."""

from __future__ import annotations

import math
import threading
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime

from include.sandbox.dynamics.errors import ServiceError
from include.sandbox.dynamics.options import Options
from include.sandbox.service import Hold


@dataclass(slots=True)
class _Usage:
    starts: deque[float] = field(default_factory=deque)
    costs: deque[tuple[float, float]] = field(default_factory=deque)
    seconds: float = 0.0
    running: int = 0
    blocked_until: float = 0.0
    reason: tuple[str, str] = ("", "")

    def forget(self, before: float) -> None:
        while self.starts and self.starts[0] <= before:
            self.starts.popleft()
        while self.costs and self.costs[0][0] <= before:
            self.seconds -= self.costs.popleft()[1]


class ServiceProtection:
    """Counts requests and execution time; a batch or a bulk action counts once."""

    def __init__(self) -> None:
        self._usage: dict[str, _Usage] = {}
        self._lock = threading.Lock()

    def enter(self, user: str, now: datetime, options: Options, hold: Hold | None = None) -> None:
        """Let one request in, or raise 429 with `Retry-After`; `leave` must follow. One with a hold runs already."""
        moment = now.timestamp()
        with self._lock:
            usage = self._usage.setdefault(user, _Usage())
            usage.forget(moment - options.limit_window)
            if options.limits:
                crowded = hold.refused if hold else usage.running >= options.limit_concurrency
                _check(usage, moment, options, crowded=crowded)
            usage.running += hold is None
            usage.starts.append(moment)

    def leave(self, user: str, now: datetime, seconds: float, hold: Hold | None = None) -> None:
        """A request ended after `seconds` of execution time; one with a hold runs on until it is released."""
        with self._lock:
            usage = self._usage.setdefault(user, _Usage())
            usage.running = max(0, usage.running - (hold is None))
            usage.costs.append((now.timestamp(), seconds))
            usage.seconds += seconds

    def hold(self, user: str, options: Options) -> Hold:
        """Count a request as running until it is released; refused when as many as allowed were running."""
        with self._lock:
            usage = self._usage.setdefault(user, _Usage())
            if usage.running >= options.limit_concurrency:
                return Hold(release=lambda: None, refused=True)
            usage.running += 1
            return Hold(lambda: self._release(usage))

    def _release(self, usage: _Usage) -> None:
        with self._lock:
            usage.running = max(0, usage.running - 1)

    def remaining(self, user: str, options: Options) -> tuple[int, float]:
        """Requests and seconds left in the window, for the answer's headers (V11)."""
        with self._lock:
            usage = self._usage.get(user, _Usage())
            left = options.limit_seconds - usage.seconds
            return max(0, options.limit_requests - len(usage.starts)), max(0.0, left)

    def clear(self) -> None:
        """Forget all usage, so that a test starts with a full window."""
        with self._lock:
            for usage in self._usage.values():
                usage.starts.clear()
                usage.costs.clear()
                usage.seconds = usage.blocked_until = 0.0


def _check(usage: _Usage, moment: float, options: Options, *, crowded: bool) -> None:
    if usage.blocked_until > moment:
        # A client that keeps pushing waits longer: one second per refusal, up to two windows.
        usage.blocked_until = min(usage.blocked_until + 1, moment + 2 * options.limit_window)
    elif len(usage.starts) >= options.limit_requests:
        until = usage.starts[0] + options.limit_window if usage.starts else moment + options.limit_window
        text = (
            f"Number of requests exceeded the limit of {options.limit_requests} over time window of "
            f"{options.limit_window} seconds."
        )
        usage.blocked_until, usage.reason = until, ("0x80072322", text)
    elif usage.seconds >= options.limit_seconds and usage.costs:
        text = (
            "Combined execution time of incoming requests exceeded limit of "
            f"{options.limit_seconds * 1000:,.0f} milliseconds over time window of {options.limit_window} seconds. "
            "Decrease number of concurrent requests or reduce the duration of requests and try again later."
        )
        usage.blocked_until = usage.costs[0][0] + options.limit_window
        usage.reason = ("0x80072321", text)
    elif crowded:
        text = f"Number of concurrent requests exceeded the limit of {options.limit_concurrency}."
        raise _throttled(("0x80072326", text), 1)
    if usage.blocked_until > moment:
        raise _throttled(usage.reason, usage.blocked_until - moment)


def _throttled(reason: tuple[str, str], wait: float) -> ServiceError:
    return ServiceError(429, *reason, headers=[("Retry-After", str(max(1, math.ceil(wait))))])
