from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest

from include.sandbox.marketo import limits
from tests.sandbox.marketo.caller import Caller, answer, code
from tests.waiting import PATIENCE

CALL = "/rest/v1/leads/describe.json"


def test_call_101_within_20_seconds_is_refused(marketo: Caller) -> None:
    """M18."""
    for _ in range(50):
        assert marketo.get(CALL)["success"]
    marketo.clock.advance(10)
    for _ in range(50):
        assert marketo.get(CALL)["success"]
    refused = marketo.get(CALL)
    assert refused["errors"] == [{"code": "606", "message": "Max rate limit '100' exceeded with in '20' secs"}]
    marketo.clock.advance(10)
    assert marketo.get(CALL)["success"]


def test_a_clock_that_stands_still_does_not_hold_up_calls_for_ever(
    marketo: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """M18: who freezes the clock and goes on by hand waits 20 real seconds, no more."""
    moments = [1000.0]
    monkeypatch.setattr(limits, "monotonic", lambda: moments[-1])
    found = [marketo.get(CALL)["success"] for _ in range(101)]
    assert found == [True] * 100 + [False]
    moments.append(1019.9)
    assert code(marketo.get(CALL)) == "606"
    moments.append(1020.1)
    assert marketo.get(CALL)["success"]


def test_the_rate_is_shared_by_all_clients_of_the_instance(marketo: Caller) -> None:
    """M18."""
    marketo.option(rate_limit=2)
    for _ in range(2):
        marketo.get(CALL)
    marketo.client = "other"
    marketo.token()
    assert code(marketo.get(CALL)) == "606"


def test_an_eleventh_parallel_call_is_refused_and_works_later(marketo: Caller) -> None:
    """M19: ten calls are held inside the service by a slow upsert."""
    marketo.token()
    gate, started = threading.Event(), threading.Semaphore(0)

    def held(_seconds: float) -> None:
        started.release()
        assert gate.wait(PATIENCE)

    marketo.option(upsert_race_seconds=1.0)
    marketo.clock.sleep = held  # type: ignore[assignment,method-assign]
    body = {"input": [{"email": "ada@example.test"}]}
    threads = [threading.Thread(target=marketo.post, args=("/rest/v1/leads.json", body)) for _ in range(10)]
    for thread in threads:
        thread.start()
    try:
        for _ in threads:
            assert started.acquire(timeout=PATIENCE)
        assert code(marketo.get(CALL)) == "615"
    finally:
        gate.set()
        for thread in threads:
            thread.join(PATIENCE)
    assert marketo.get(CALL)["success"]


@pytest.mark.parametrize(
    ("now", "last_second"),
    [
        (datetime(2026, 3, 7, 12, tzinfo=UTC), datetime(2026, 3, 8, 5, 59, 59, tzinfo=UTC)),
        (datetime(2026, 3, 8, 12, tzinfo=UTC), datetime(2026, 3, 9, 4, 59, 59, tzinfo=UTC)),
        (datetime(2026, 11, 1, 12, tzinfo=UTC), datetime(2026, 11, 2, 5, 59, 59, tzinfo=UTC)),
    ],
)
def test_the_daily_quota_ends_at_midnight_us_central(marketo: Caller, now: datetime, last_second: datetime) -> None:
    """M20: standard time, and both days of the change."""
    marketo.clock.freeze(now)
    marketo.option(daily_quota=1)
    assert marketo.get(CALL)["success"]
    assert code(marketo.get(CALL)) == "607"
    marketo.clock.freeze(last_second)
    marketo.token()
    assert code(marketo.get(CALL)) == "607"
    marketo.clock.advance(1)
    assert marketo.get(CALL)["success"]


def test_the_daily_count_survives_a_restart(marketo: Caller) -> None:
    """M20."""
    marketo.get(CALL)
    marketo.restart()
    marketo.option(daily_quota=1)
    assert code(marketo.get(CALL)) == "607"


def test_limits_can_be_switched_off(marketo: Caller) -> None:
    marketo.option(limits=False, rate_limit=1, daily_quota=1)
    assert all(marketo.get(CALL)["success"] for _ in range(5))


def test_usage_and_errors_match_the_calls_made(marketo: Caller) -> None:
    """M21."""
    for _ in range(3):
        marketo.get(CALL)
    code(marketo.get("/rest/v1/nowhere.json"))
    code(answer(marketo.send("PUT", CALL)))
    marketo.client = "other"
    marketo.token()
    marketo.get(CALL)
    users = [
        {"userId": "other-api@example.test", "count": 2},
        {"userId": "sync-api@example.test", "count": 4},
    ]
    usage = marketo.get("/rest/v1/stats/usage.json")["result"]
    assert usage == [{"date": "2026-03-01", "total": 6, "users": users}]
    errors = [{"errorCode": "605", "count": 1}, {"errorCode": "610", "count": 1}]
    assert marketo.get("/rest/v1/stats/errors.json")["result"] == [{"date": "2026-03-01", "total": 2, "errors": errors}]


def test_the_last_seven_days_are_listed_newest_first(marketo: Caller) -> None:
    """M21."""
    for _ in range(9):
        code(marketo.get("/rest/v1/nowhere.json"))
        marketo.clock.advance(86_400)
        marketo.token()
    usage = marketo.get("/rest/v1/stats/usage/last7days.json")["result"]
    days = ["2026-03-10", *(f"2026-03-0{day}" for day in (9, 8, 7, 6, 5, 4))]
    assert [day["date"] for day in usage] == days
    errors = marketo.get("/rest/v1/stats/errors/last7days.json")["result"]
    assert [day["total"] for day in errors] == [1] * 6
