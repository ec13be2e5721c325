"""How long a call goes on."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from include.leadsync.clients.retry import RetryPolicy, retry_after, wait_asked
from include.leadsync.clock import FakeClock
from include.leadsync.errors import ServiceUnavailable, Throttled

NOW = datetime(2026, 3, 1, 10, tzinfo=UTC)


def test_waits_grow_and_are_spread_by_the_jitter() -> None:
    clock = FakeClock()
    attempts = RetryPolicy(attempts=5, base=1.0, cap=3.0, total=100.0, jitter=lambda: 0.5).start(clock)
    for _ in range(4):
        attempts.pause(ServiceUnavailable("down"))
    assert clock.slept == [0.5, 1.0, 1.5, 1.5]


def test_the_last_failure_is_raised_when_attempts_are_used_up() -> None:
    attempts = RetryPolicy(attempts=2, total=100.0).start(FakeClock())
    attempts.pause(ServiceUnavailable("first"))
    with pytest.raises(ServiceUnavailable, match="second"):
        attempts.pause(ServiceUnavailable("second"))


def test_the_bound_covers_the_calls_as_well_as_the_waits() -> None:
    clock = FakeClock()
    attempts = RetryPolicy(attempts=9, base=1.0, total=10.0, jitter=lambda: 1.0).start(clock)
    clock.advance(9.5)  # the first call took this long
    assert attempts.remaining == pytest.approx(0.5)
    with pytest.raises(ServiceUnavailable):
        attempts.pause(ServiceUnavailable("down"))
    assert clock.slept == []


def test_a_wait_the_service_asks_for_is_kept_in_full() -> None:
    clock = FakeClock()
    RetryPolicy(total=100.0, jitter=lambda: 0.0).start(clock).pause(Throttled("slow down", after=30.0))
    assert clock.slept == [30.0]


def test_a_wait_beyond_the_bound_is_not_begun_and_handed_on() -> None:
    clock = FakeClock()
    with pytest.raises(Throttled) as caught:
        RetryPolicy(total=20.0).start(clock).pause(Throttled("slow down", after=30.0))
    assert (caught.value.after, clock.slept) == (30.0, [])


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("17", 17.0),
        (" 2.5 ", 2.5),
        ("-3", 0.0),
        ("Sun, 01 Mar 2026 10:01:30 GMT", 90.0),
        ("Sun, 01 Mar 2026 09:00:00 GMT", 0.0),
        ("Sun, 01 Mar 2026 10:01:30 -0000", 90.0),
        ("99999999999", 86_400.0),
        ("nan", None),
        ("inf", 86_400.0),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_read_in_both_forms(value: str | None, seconds: float | None) -> None:
    assert retry_after(value, NOW) == seconds


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "Sun, 01 Mar 2026 09:01:30 GMT", "date": "Sun, 01 Mar 2026 09:00:00 GMT"}, 90.0),
        ({"retry-after": "Sun, 01 Mar 2026 11:01:30 GMT", "date": "Sun, 01 Mar 2026 11:00:00 GMT"}, 90.0),
        ({"retry-after": "Sun, 01 Mar 2026 10:01:30 GMT", "date": "yesterday"}, 90.0),
        ({"retry-after": "17", "date": "Sun, 01 Mar 2026 09:00:00 GMT"}, 17.0),
        ({"date": "Sun, 01 Mar 2026 09:00:00 GMT"}, None),
    ],
)
def test_a_date_to_wait_for_is_one_of_the_services_clock(headers: dict[str, str], seconds: float | None) -> None:
    """Our own clock may be an hour off; the difference to the answer's Date is what was meant."""
    assert wait_asked(headers, NOW) == seconds


@pytest.mark.parametrize(
    "value",
    ["Sun, 01 Mar 99999 10:00:00 GMT", "Sun, 01 Mar 2026 10:00:00 +9999999", "31 Dec 9999 23:59:59 -2359", "\0",
     "120, 120", "Sun, 99 Mar 2026 10:00:00 GMT", "1e999", "0x10"],
)  # fmt: skip
def test_no_retry_after_makes_the_reader_fail(value: str) -> None:
    assert retry_after(value, NOW) in (None, 86_400.0)
    assert wait_asked({"retry-after": "17", "date": value}, NOW) == 17.0
