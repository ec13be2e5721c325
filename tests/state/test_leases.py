"""Leases: one holder at a time, taken over when it is dead, proven by a number that only grows."""

from __future__ import annotations

import pickle
import threading
from contextlib import closing
from datetime import timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from include.leadsync.clock import FakeClock
from include.leadsync.errors import LeaseLost, StateUnavailable
from include.leadsync.state import Lease, Leases, StateStore, engines

HOLDERS = ("one", "two", "three")


def test_a_held_lease_is_refused_to_others_until_it_expires(store: StateStore, clock: FakeClock) -> None:
    leases = Leases(store)
    first = leases.acquire("writer", "one", 30)
    assert first is not None
    clock.advance(29.9)
    assert leases.acquire("writer", "two", 30) is None
    assert leases.holder("writer") == "one"
    clock.advance(0.1)
    assert leases.holder("writer") is None
    second = leases.acquire("writer", "two", 30)
    assert second is not None
    assert second.fence > first.fence


def test_the_death_of_a_holder_is_noticed_within_a_minute(store: StateStore, clock: FakeClock) -> None:
    with pytest.raises(ValueError, match="at most 60"):
        Leases(store).acquire("writer", "one", 61)
    with pytest.raises(ValueError, match="more than 0"):
        Leases(store).acquire("writer", "one", 0)
    assert Leases(store).acquire("writer", "one")
    clock.advance(60)
    assert Leases(store).acquire("writer", "two")


def test_renewing_keeps_the_lease_and_its_number(store: StateStore, clock: FakeClock) -> None:
    leases = Leases(store)
    held = leases.acquire("writer", "one", 30)
    assert held is not None
    for _ in range(5):
        clock.advance(20)
        held = leases.renew(held)
    assert held.expires_at == clock.now() + timedelta(seconds=30)
    assert leases.acquire("writer", "two", 30) is None
    with store.begin() as tx:
        leases.check(held.fence, tx)


def test_a_holder_that_was_replaced_can_neither_renew_nor_write_nor_release(
    store: StateStore, clock: FakeClock
) -> None:
    leases = Leases(store)
    old = leases.acquire("writer", "one", 30)
    clock.advance(31)
    new = leases.acquire("writer", "two", 30)
    assert old is not None
    assert new is not None
    with pytest.raises(LeaseLost, match="lost to two"):
        leases.renew(old)
    with pytest.raises(LeaseLost) as caught, store.begin() as tx:
        leases.check(old.fence, tx)
    assert pickle.loads(pickle.dumps(caught.value)).fence == old.fence
    assert leases.release(old) is False
    assert leases.holder("writer") == "two"


def test_a_lease_that_expired_unnoticed_is_renewed(store: StateStore, clock: FakeClock) -> None:
    held = Leases(store).acquire("writer", "one", 30)
    assert held is not None
    clock.advance(45)
    renewed = Leases(store).renew(held)
    assert renewed.fence == held.fence
    assert Leases(store).acquire("writer", "two", 30) is None


def test_a_released_lease_is_free_at_once(store: StateStore) -> None:
    leases = Leases(store)
    first = leases.acquire("writer", "one", 30)
    assert first is not None
    assert leases.release(first) is True
    with pytest.raises(LeaseLost):
        leases.renew(first)
    second = leases.acquire("writer", "two", 30)
    assert second is not None
    assert second.fence > first.fence


def test_the_same_holder_gets_its_lease_again_under_a_new_number(store: StateStore) -> None:
    leases = Leases(store)
    first, second = leases.acquire("writer", "one", 30), leases.acquire("writer", "one", 30)
    assert first is not None
    assert second is not None
    assert second.fence > first.fence
    with pytest.raises(LeaseLost), store.begin() as tx:
        leases.check(first.fence, tx)


def test_other_processes_of_a_run_extend_and_release_its_lease_by_name(store: StateStore, clock: FakeClock) -> None:
    leases = Leases(store)
    assert leases.acquire("cycle", "run 1", 30)
    clock.advance(20)
    assert leases.extend_by("cycle", "run 1", 30) is True
    assert leases.extend_by("cycle", "run 2", 30) is False
    clock.advance(20)
    assert leases.acquire("cycle", "run 2", 30) is None
    assert leases.release_by("cycle", "run 2") is False
    assert leases.release_by("cycle", "run 1") is True
    assert leases.extend_by("cycle", "run 1", 30) is False
    assert leases.acquire("cycle", "run 2", 30) is not None


def test_leases_of_other_names_are_apart_but_share_the_numbers(store: StateStore) -> None:
    leases = Leases(store)
    writer, sweeper = leases.acquire("writer", "one", 30), leases.acquire("sweeper", "two", 30)
    assert writer is not None
    assert sweeper is not None
    assert sweeper.fence > writer.fence
    with store.begin() as tx:
        leases.check(writer.fence, tx)
        leases.check(sweeper.fence, tx)


def test_a_clock_that_goes_back_keeps_a_dead_holder_for_one_ttl_at_most(store: StateStore, clock: FakeClock) -> None:
    assert Leases(store).acquire("writer", "dead", 60)
    clock.jump(clock.now() - timedelta(days=3))
    assert Leases(store).acquire("writer", "two", 60) is None
    clock.advance(60)
    assert Leases(store).acquire("writer", "two", 60) is not None


def test_of_many_that_ask_at_once_one_gets_it(store: StateStore) -> None:
    barrier = threading.Barrier(4)
    granted: list[Lease | None] = []

    def ask(holder: str) -> None:
        barrier.wait()
        granted.append(Leases(store).acquire("writer", holder, 30))

    threads = [threading.Thread(target=ask, args=(f"holder {n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(granted) == 4
    assert sum(lease is not None for lease in granted) == 1


class LeaseMachine(RuleBasedStateMachine):
    """Holders that ask, renew, release, sleep and die in any order, under a clock that jumps."""

    store: StateStore
    clock: FakeClock

    def __init__(self) -> None:
        super().__init__()
        self.name = f"lease {id(self)}"
        self.leases = Leases(self.store)
        self.granted: list[Lease] = []
        self.current: Lease | None = None

    @rule(holder=st.sampled_from(HOLDERS), ttl=st.sampled_from([5, 30, 60]))
    def acquire(self, holder: str, ttl: int) -> None:
        lease = self.leases.acquire(self.name, holder, ttl)
        if lease is None:
            assert self.current is not None
            assert self.current.holder != holder
            return
        assert all(lease.fence > earlier.fence for earlier in self.granted)
        self.granted.append(lease)
        self.current = lease

    @rule(pick=st.integers(0, 9))
    def renew(self, pick: int) -> None:
        if not self.granted:
            return
        lease = self.granted[pick % len(self.granted)]
        try:
            self.leases.renew(lease)
        except LeaseLost:
            assert self.current is None or lease.fence != self.current.fence
        else:
            assert self.current is not None
            assert lease.fence == self.current.fence

    @rule(pick=st.integers(0, 9))
    def release(self, pick: int) -> None:
        if not self.granted:
            return
        lease = self.granted[pick % len(self.granted)]
        was_current = self.current is not None and lease.fence == self.current.fence
        assert self.leases.release(lease) is (was_current or (self.current is None and lease is self.granted[-1]))
        if was_current:
            self.current = None

    @rule(seconds=st.sampled_from([1, 29, 61]))
    def time_passes(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @rule(hours=st.integers(-30, 30))
    def clock_jumps(self, hours: int) -> None:
        self.clock.jump(self.clock.now() + timedelta(hours=hours))

    @invariant()
    def at_most_the_last_number_may_write(self) -> None:
        for lease in self.granted:
            try:
                with self.store.begin() as tx:
                    self.leases.check(lease.fence, tx)
            except LeaseLost:
                assert self.current is None or lease.fence != self.current.fence
            else:
                assert self.current is not None
                assert lease.fence == self.current.fence


def test_whatever_holders_and_clocks_do_only_the_last_number_may_write(store: StateStore, clock: FakeClock) -> None:
    machine = type("Machine", (LeaseMachine,), {"store": store, "clock": clock})
    run_state_machine_as_test(machine, settings=settings(max_examples=15, stateful_step_count=15, deadline=None))


def test_on_postgresql_a_holder_that_falls_asleep_in_a_transaction_holds_up_nobody(
    migrated_postgresql: str, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "ASLEEP_SECONDS", 0.1)
    with (
        closing(StateStore.open(migrated_postgresql, clock)) as sleeper,
        closing(StateStore.open(migrated_postgresql, clock)) as other,
    ):
        held = Leases(sleeper).acquire("asleep", "sleeper")
        assert held is not None

        def fall_asleep() -> None:
            with sleeper.begin() as tx:
                Leases(sleeper).check(held.fence, tx)  # from here on its row is locked …
                clock.advance(61)
                assert Leases(other).acquire("asleep", "other") is not None  # … until the server ends the transaction

        with pytest.raises(StateUnavailable):
            fall_asleep()
