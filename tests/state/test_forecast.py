"""When what waits will be done (`forecast`)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from include.leadsync.forecast import Forecast, forecast
from include.leadsync.model import System
from include.leadsync.state import BudgetUsage

NOW = datetime(2026, 3, 2, 18, tzinfo=UTC)
MIDNIGHT = datetime(2026, 3, 3, 6, tzinfo=UTC)
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)


def usage(system: System, today: int, paused_until: datetime | None = None) -> BudgetUsage:
    """50 calls in 20 s, 1,000 a day."""
    return BudgetUsage(system, 0, 50, 20, 0, 5, today, 1_000, paused_until)


@pytest.mark.parametrize(
    ("waiting", "today", "needs", "fits", "done_by"),
    [
        (0, 0, 0, True, None),
        (300, 0, 1, True, NOW + 0.4 * SECOND),
        (301, 999, 2, False, MIDNIGHT + 0.4 * SECOND),
        (300 * 500, 500, 500, True, NOW + 200 * SECOND),
        (300 * 1_500, 500, 1_500, False, MIDNIGHT + 400 * SECOND),
        (300 * 2_501, 1_000, 2_501, False, MIDNIGHT + 2 * DAY + 200.4 * SECOND),
    ],
)
def test_marketo_counts_calls_and_starts_anew_at_midnight_us_central(
    waiting: int, today: int, needs: int, fits: bool, done_by: datetime | None
) -> None:
    assert forecast(waiting, 300, usage(System.MARKETO, today), NOW) == Forecast(waiting, needs, fits, done_by)


def test_dynamics_counts_rows_and_renews_them_after_a_day() -> None:
    assert forecast(900, 100, usage(System.DYNAMICS, 0), NOW) == Forecast(900, 900, True, NOW + 3.6 * SECOND)
    later = forecast(900, 100, usage(System.DYNAMICS, 200), NOW)
    assert (later.needs, later.fits_today, later.done_by) == (900, False, NOW + DAY + 40 * SECOND)


def test_a_pause_that_the_service_asked_for_comes_first() -> None:
    pause = NOW + timedelta(minutes=7)
    assert forecast(300, 300, usage(System.MARKETO, 0, pause), NOW).done_by == pause + 0.4 * SECOND
