"""The API budget: a share of each limit, kept by all processes together (P7)."""

from __future__ import annotations

import threading
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from multiprocessing.queues import Queue

import pytest

from include.leadsync.clock import FakeClock
from include.leadsync.errors import StateUnavailable, Throttled
from include.leadsync.model import System
from include.leadsync.state import SharedBudget, StateStore, Transaction, budget_slots
from include.leadsync.state.budget_counts import BudgetCounts, Used
from tests.own_processes import own_processes
from tests.state.callers import NOON, Limits, call_until_refused, die_during_a_call

MARKETO, DYNAMICS = System.MARKETO, System.DYNAMICS


def budget_of(
    store: StateStore, clock: FakeClock, system: System = MARKETO, *, max_wait: float = 120, **limits: float
) -> SharedBudget:
    return SharedBudget(store, system, Limits(**limits), clock, max_wait=max_wait)  # type: ignore[arg-type]


def call(budget: SharedBudget, times: int = 1, system: System = MARKETO, rows: int = 1) -> None:
    for _ in range(times):
        with budget.call(system, rows):
            pass


def test_calls_within_the_share_do_not_wait(store: StateStore, clock: FakeClock) -> None:
    call(budget_of(store, clock, share=0.5), 50)
    assert clock.slept == []


def test_a_call_beyond_the_share_waits_until_the_window_has_room(store: StateStore, clock: FakeClock) -> None:
    budget = budget_of(store, clock, share=0.5)
    call(budget, 20)
    clock.advance(8)
    call(budget, 30)
    assert clock.slept == []
    call(budget)
    assert sum(clock.slept) == pytest.approx(12, abs=0.5), "the first twenty leave 20 seconds after they came"
    call(budget, 19)
    assert len(clock.slept) == 1
    call(budget)
    assert sum(clock.slept) == pytest.approx(20, abs=0.5)


def test_no_window_of_the_limit_ever_holds_more_than_the_share(store: StateStore, clock: FakeClock) -> None:
    budget = budget_of(store, clock, calls=10, window_seconds=2)
    at: list[float] = []
    for number in range(60):
        clock.advance((0.13, 0.0, 0.41, 0.02)[number % 4])
        with budget.call(MARKETO):
            at.append(clock.monotonic())
    fullest = max(sum(start <= moment < start + 2 for moment in at) for start in at)
    assert fullest == 10


def test_a_wait_beyond_the_bound_is_refused_with_the_time_to_come_back(store: StateStore, clock: FakeClock) -> None:
    budget = budget_of(store, clock, calls=10, window_seconds=300)
    call(budget, 10)
    with pytest.raises(Throttled, match="10 calls in 300 s are our share") as caught:
        call(budget)
    assert caught.value.after == pytest.approx(300, abs=4)
    assert clock.slept == [], "what cannot succeed is not waited for"


def test_the_caller_may_bound_its_wait_below_the_budgets_own(store: StateStore, clock: FakeClock) -> None:
    budget = budget_of(store, clock, calls=1)
    call(budget)
    with pytest.raises(Throttled), budget.call(MARKETO, within=5):
        pass
    with budget.call(MARKETO, within=1000):
        pass
    assert sum(clock.slept) == pytest.approx(20, abs=0.5)


def test_all_waits_of_one_call_together_keep_the_bound(store: StateStore, clock: FakeClock) -> None:
    budget = budget_of(store, clock, concurrent=1, max_wait=30)
    with budget.call(MARKETO), pytest.raises(Throttled, match="1 calls at once"), budget.call(MARKETO):
        pass
    assert 25 < sum(clock.slept) <= 30
    assert len(clock.slept) > 20, "it asks again as long as it may"


def test_a_slot_is_free_again_when_its_call_ends_however_it_ends(store: StateStore, clock: FakeClock) -> None:
    budget = budget_of(store, clock, concurrent=2, max_wait=0)

    def fail() -> None:
        with budget.call(MARKETO):
            raise ConnectionResetError

    for _ in range(3):
        with pytest.raises(ConnectionResetError):
            fail()
    assert budget.usage().running == 0
    with budget.call(MARKETO), budget.call(MARKETO), pytest.raises(Throttled), budget.call(MARKETO):
        pass


def test_the_slot_of_a_holder_that_died_elsewhere_expires(
    store: StateStore, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    budget = budget_of(store, clock, concurrent=1, max_wait=0)
    with ExitStack() as dead:
        monkeypatch.setattr(budget_slots, "_node", lambda: "another host")
        dead.enter_context(budget.call(MARKETO))
        monkeypatch.undo()
        clock.advance(329)
        with pytest.raises(Throttled):
            call(budget)
        clock.advance(1)
        call(budget)


def test_the_daily_quota_of_marketo_starts_anew_at_midnight_us_central(store: StateStore, clock: FakeClock) -> None:
    clock.jump(datetime(2026, 1, 15, 5, 30, tzinfo=UTC))  # 23:30 of the day before in Chicago
    budget = budget_of(store, clock, daily=10, share=0.5)
    call(budget, 5)
    with pytest.raises(Throttled, match=r"daily quota \(5\) is used up") as caught:
        call(budget)
    assert caught.value.after == 1800
    clock.advance(1800)
    call(budget, 5)
    with pytest.raises(Throttled) as caught:
        call(budget)
    assert caught.value.after == 24 * 3600


@pytest.mark.parametrize(
    ("noon", "hours"),
    [
        (datetime(2026, 3, 7, 18, tzinfo=UTC), 12),  # the day before clocks go forward: midnight is 06:00 UTC
        (datetime(2026, 3, 8, 18, tzinfo=UTC), 11),  # the day they go forward: midnight is 05:00 UTC
        (datetime(2026, 11, 1, 18, tzinfo=UTC), 12),  # the day they go back
    ],
)
def test_midnight_us_central_follows_daylight_saving(
    store: StateStore, clock: FakeClock, noon: datetime, hours: int
) -> None:
    clock.jump(noon)
    budget = budget_of(store, clock, daily=1)
    call(budget)
    with pytest.raises(Throttled) as caught:
        call(budget)
    assert caught.value.after == hours * 3600


def test_a_day_of_23_hours_keeps_its_count_from_its_own_midnight(store: StateStore, clock: FakeClock) -> None:
    clock.jump(datetime(2026, 3, 8, 6, 0, tzinfo=UTC))  # midnight in Chicago; clocks go forward at two
    budget = budget_of(store, clock, daily=1, max_wait=0)
    call(budget)
    clock.jump(datetime(2026, 3, 9, 4, 59, tzinfo=UTC))
    with pytest.raises(Throttled):
        call(budget)
    clock.jump(datetime(2026, 3, 9, 5, 0, tzinfo=UTC))
    call(budget)


def test_the_entitlement_of_dynamics_counts_rows_over_24_hours(store: StateStore, clock: FakeClock) -> None:
    budget = budget_of(store, clock, DYNAMICS, daily=100, calls=1000)
    call(budget, 9, DYNAMICS, rows=10)
    clock.advance(5 * 3600)
    call(budget, 1, DYNAMICS, rows=10)
    with pytest.raises(Throttled) as caught:
        call(budget, 1, DYNAMICS, rows=10)
    assert caught.value.after is not None
    assert 19 * 3600 <= caught.value.after <= 20 * 3600, "the first ninety are 24 hours old then"
    clock.advance(caught.value.after)
    call(budget, 9, DYNAMICS, rows=10)
    with pytest.raises(Throttled):
        call(budget, 1, DYNAMICS, rows=10)


def test_a_batch_larger_than_the_whole_entitlement_still_goes_once(store: StateStore, clock: FakeClock) -> None:
    budget = budget_of(store, clock, DYNAMICS, daily=5)
    call(budget, 1, DYNAMICS, rows=100)
    with pytest.raises(Throttled):
        call(budget, 1, DYNAMICS, rows=1)


def test_a_complaint_of_the_service_stops_everybody_for_as_long_as_it_asks(store: StateStore, clock: FakeClock) -> None:
    one, other = budget_of(store, clock), budget_of(store, clock)
    one.penalise(MARKETO, 30)
    one.penalise(MARKETO, 10)
    call(other)
    assert sum(clock.slept) == pytest.approx(30)
    one.penalise(MARKETO, 3600)
    with pytest.raises(Throttled, match="asked for a pause") as caught:
        call(other)
    assert caught.value.after == pytest.approx(3600)
    call(budget_of(store, clock, DYNAMICS), 1, DYNAMICS)


def test_a_clock_that_goes_back_does_not_stop_the_calls(store: StateStore, clock: FakeClock) -> None:
    budget = budget_of(store, clock, calls=5, concurrent=1)
    call(budget, 5)
    budget.penalise(MARKETO, 60)
    with budget.call(MARKETO):
        clock.jump(clock.now() - timedelta(days=2))
        budget.penalise(MARKETO, 1)
        with pytest.raises(Throttled), budget.call(MARKETO, within=0):
            pass
    clock.slept.clear()
    call(budget, 5)
    assert sum(clock.slept) <= 1


def test_a_clock_that_goes_back_makes_no_pause_longer(store: StateStore, clock: FakeClock) -> None:
    budget = budget_of(store, clock)
    budget.penalise(MARKETO, 60)
    clock.jump(clock.now() - timedelta(days=2))
    call(budget)
    assert sum(clock.slept) == pytest.approx(60)


def test_usage_tells_what_is_left(store: StateStore, clock: FakeClock) -> None:
    budget = budget_of(store, clock, share=0.5)
    before = budget.usage()
    assert (before.in_window, before.running, before.today, before.paused_until) == (0, 0, 0, None)
    call(budget, 3)
    clock.advance(30)
    budget.penalise(MARKETO, 12)
    clock.advance(12)
    with budget.call(MARKETO):
        budget.penalise(MARKETO, 12)
        usage = budget.usage()
    assert (usage.in_window, usage.window_limit, usage.window_seconds) == (1, 50, 20)
    assert (usage.running, usage.running_limit) == (1, 5)
    assert (usage.today, usage.daily_limit) == (4, 25_000)
    assert usage.paused_until == clock.now() + timedelta(seconds=12)


def test_a_share_is_never_less_than_one_call(store: StateStore, clock: FakeClock) -> None:
    call(budget_of(store, clock, share=0.01, concurrent=10, calls=10, max_wait=0))


def test_the_budget_of_one_system_is_not_asked_for_the_other(store: StateStore, clock: FakeClock) -> None:
    budget = budget_of(store, clock)
    with pytest.raises(ValueError, match="not of dynamics"), budget.call(DYNAMICS):
        pass
    with pytest.raises(ValueError, match="not of dynamics"):
        budget.penalise(DYNAMICS, 1)


def test_counters_of_the_past_do_not_pile_up(store: StateStore, clock: FakeClock) -> None:
    budget = budget_of(store, clock)
    for _ in range(80):
        call(budget)
        clock.advance(7200)
    with store.read() as tx:
        rows = tx.exec_driver_sql("SELECT count(*) FROM budget_use").scalar_one()
    assert rows < 40


def test_an_answer_is_not_lost_because_its_slot_cannot_be_given_back(
    store: StateStore, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    budget = budget_of(store, clock)

    def locked() -> None:
        raise StateUnavailable("locked")

    with budget.call(MARKETO):
        monkeypatch.setattr(store, "begin", locked)
    monkeypatch.undo()
    assert budget.usage().running == 1


def test_two_that_ask_at_the_same_moment_do_not_both_get_the_last_call(
    store: StateStore, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted, answered = threading.Event(), threading.Event()
    used = BudgetCounts.used

    def count_slowly(counts: BudgetCounts, tx: Transaction, now: int) -> Used:
        found = used(counts, tx, now)
        if not counted.is_set():
            counted.set()
            answered.wait(timeout=0.2)  # time enough for the other to count the same, if nothing keeps it out
        return found

    budget_of(store, clock).penalise(MARKETO, 0)  # the row of the system exists, as it does after the first call ever
    monkeypatch.setattr(BudgetCounts, "used", count_slowly)
    granted: list[str] = []

    def ask(name: str) -> None:
        with suppress(Throttled), budget_of(store, clock, calls=1, max_wait=0).call(MARKETO):
            granted.append(name)

    first = threading.Thread(target=ask, args=("first",))
    first.start()
    assert counted.wait(timeout=60)
    ask("second")
    answered.set()
    first.join()
    assert granted == ["first"]


def test_two_processes_together_stay_within_the_share(state_url: str) -> None:
    limits = Limits(calls=60, share=0.5)
    processes = own_processes()
    results: Queue[int] = processes.Queue()
    callers = [processes.Process(target=call_until_refused, args=(state_url, limits, results)) for _ in range(2)]
    for caller in callers:
        caller.start()
    counts = [results.get(timeout=60) for _ in callers]
    for caller in callers:
        caller.join()
    assert sum(counts) == 30


def test_the_slots_of_a_killed_process_are_free_at_once(store: StateStore, state_url: str) -> None:
    limits = Limits(concurrent=3)
    killed = own_processes().Process(target=die_during_a_call, args=(state_url, limits))
    killed.start()
    killed.join()
    budget = SharedBudget(store, MARKETO, limits, FakeClock(NOON), max_wait=0)
    assert budget.usage().running == 3
    call(budget)
    assert budget.usage().running == 0
