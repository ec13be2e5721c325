"""How long to go on: attempts, full jitter, `Retry-After`, and one bound over all of it.

The bound of a `RetryPolicy` covers every wait *and* every call made under it; each call's own time limit
is cut to what is left. An error that survives is the last one, with the wait the service asked for.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from include.leadsync.clock import Clock
from include.leadsync.errors import RetryLater

_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When to repeat a call. Waits are uniform in 0 … min(`cap`, `base` · 2ⁿ) seconds ("full jitter")."""

    attempts: int = 6
    base: float = 0.5
    cap: float = 20.0
    total: float = 120.0
    """Seconds for all calls and waits together."""
    jitter: Callable[[], float] = field(default=random.random, repr=False)

    def start(self, clock: Clock, at_least: float = 0.0) -> Attempts:
        """Begin one logical call; `at_least` seconds where the service may take longer than `total`."""
        return Attempts(self, clock, max(self.total, at_least))


class Attempts:
    """The attempts of one logical call."""

    def __init__(self, policy: RetryPolicy, clock: Clock, total: float) -> None:
        self._policy, self._clock = policy, clock
        self._deadline = clock.monotonic() + total
        self._failed = 0

    @property
    def remaining(self) -> float:
        """Seconds left for calls and waits; never negative."""
        return max(0.0, self._deadline - self._clock.monotonic())

    def pause(self, error: RetryLater) -> None:
        """Wait before the next attempt, or raise `error` if there is none within the bound.

        A wait that the service asked for is honoured in full or not begun.
        """
        self._failed += 1
        if self._failed >= self._policy.attempts:
            raise error
        spread = self._policy.jitter() * min(self._policy.cap, self._policy.base * 2 ** (self._failed - 1))
        wait = spread if error.after is None else error.after + self._policy.jitter() * self._policy.base
        if wait >= self.remaining:
            raise error
        self._clock.sleep(wait)


def wait_asked(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds that an answer asks to wait by `Retry-After`; None if it does not.

    A date is a moment of the service's clock, which the answer's `Date` tells: ours may be wrong.
    """
    return retry_after(headers.get("retry-after"), _moment(headers.get("date") or "") or now)


def retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds asked for by a `Retry-After` header, which is a number or an HTTP date (RFC 9110 §10.2.3).

    Unreadable values are None; the past is 0; more than a day is a day.
    """
    if value is None:
        return None
    text = value.strip()
    try:
        seconds = float(text)
    except ValueError:
        moment = _moment(text)
        if moment is None:
            return None
        seconds = (moment - now).total_seconds()
    return None if math.isnan(seconds) else min(max(seconds, 0.0), _DAY)


def _moment(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
