"""Retention: what is past its days goes; what is open, unfinished or linked stays."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import pyarrow as pa
import pytest

from include.leadsync.clock import FakeClock
from include.leadsync.state import (
    ActivityLog,
    Echoes,
    Ledger,
    Outbox,
    PersonMerges,
    Requests,
    Retention,
    Runs,
    SeenActivities,
    StateStore,
    retention,
)
from tests.state.rows import add_operations, operation, states


@dataclass(frozen=True)
class Days:
    staging_days: int = 2
    run_days: int = 10
    ledger_days: int = 5
    activity_days: int = 5
    seen_days: int = 3
    echo_days: int = 3


def fill(store: StateStore, mark: str) -> None:
    """One row of everything, now."""
    common = {"run_id": [mark], "entity": ["lead"], "direction": ["inbound"]}
    Ledger(store).add(pa.table(common | {"kind": ["update"], "rule": ["R1"], "person_id": [1]}))
    outcomes = {"outcome": ["failed", "recovered"], "code": [mark] * 2, "message": ["m"] * 2, "run_id": [mark] * 2}
    ActivityLog(store).record(pa.table(outcomes))
    SeenActivities(store).add(pa.table({"guid": [mark]}))
    Echoes(store).add(pa.table({"person_id": [1], "field": ["f"], "op_id": [mark]}))
    Runs(store).start(mark, "cycle")
    for state in ("pending", "in_flight", "parked", "held", "done", "superseded"):
        add_operations(store, operation(f"{mark} {state}", 1, state=state))
    PersonMerges(store).add({len(mark): 1})
    requests = Requests(store)
    requests.finish(requests.add(1, "lead", source="api", token=mark).request_id, "done")
    requests.add(1, "lead", source="api", token=f"{mark} open")


def test_each_kind_goes_after_its_own_days(store: StateStore, clock: FakeClock) -> None:
    fill(store, "old")
    clock.advance(timedelta(days=2, seconds=1).total_seconds())
    sweep = Retention(store, Days()).sweep
    tables = ("ledger", "activity", "seen_activity", "echo", "operation", "request", "person_merge", "run")
    nothing = dict.fromkeys(tables, 0)
    assert sweep(clock.now()) == nothing | {"operation": 2}
    clock.advance(86_400)
    assert sweep(clock.now()) == nothing | {"seen_activity": 1, "echo": 1}
    clock.advance(2 * 86_400)
    assert sweep(clock.now()) == nothing | {"ledger": 1, "activity": 1}
    clock.advance(5 * 86_400)
    assert sweep(clock.now()) == nothing | {"request": 1, "person_merge": 1, "run": 1}
    clock.advance(1000 * 86_400)
    assert sweep(clock.now()) == nothing


def test_what_is_open_or_unfinished_or_young_stays(store: StateStore, clock: FakeClock) -> None:
    fill(store, "old")
    clock.advance(30 * 86_400)
    fill(store, "young")
    Retention(store, Days()).sweep(clock.now())
    assert {op for op in states(store) if op.startswith("old")} == {
        "old pending",
        "old in_flight",
        "old parked",
        "old held",
    }
    assert len(states(store)) == 10
    assert ActivityLog(store).browse()["code"].to_pylist() == ["young", "old"]
    assert Requests(store).pending()["token"].to_pylist() == ["old open", "young open"]
    assert Ledger(store).of_person(1)["run_id"].to_pylist() == ["young"]
    assert SeenActivities(store).unseen(["old", "young"]) == ["old"]
    assert Echoes(store).of_persons([1])["op_id"].to_pylist() == ["young"]
    assert Runs(store).get("old") is None
    assert Runs(store).get("young") is not None


def test_an_operation_that_waited_long_and_ended_lately_stays(store: StateStore, clock: FakeClock) -> None:
    add_operations(store, operation("a", 1))
    clock.advance(30 * 86_400)
    Outbox(store).settle(pa.table({"op_id": ["a"], "state": ["done"]}))
    assert Retention(store, Days()).sweep(clock.now())["operation"] == 0
    clock.advance(3 * 86_400)
    assert Retention(store, Days()).sweep(clock.now())["operation"] == 1


def test_a_long_history_goes_in_small_batches_around_open_rows(
    store: StateStore, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "_BATCH", 3)
    outcomes = {"code": [f"c{n}" for n in range(20)], "message": ["m"] * 20, "run_id": ["r"] * 20}
    failed = ["failed" if n % 10 < 5 else "recovered" for n in range(20)]
    ActivityLog(store).record(pa.table(outcomes | {"outcome": failed}))
    SeenActivities(store).add(pa.table({"guid": [f"g{n}" for n in range(10)]}))
    clock.advance(30 * 86_400)
    ActivityLog(store).record(pa.table(outcomes | {"outcome": ["recovered"] * 20}))
    swept = Retention(store, Days()).sweep(clock.now())
    assert swept["activity"] == 10
    assert swept["seen_activity"] == 10
    assert ActivityLog(store).browse(open_only=False).num_rows == 30
    assert ActivityLog(store).open_count() == 10
