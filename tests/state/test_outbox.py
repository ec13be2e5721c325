"""The outbox: planned, replaced, claimed in order, settled, held and released."""

from __future__ import annotations

import threading
from datetime import timedelta

import pyarrow as pa
import pytest

from include.leadsync.clock import FakeClock
from include.leadsync.errors import LeaseLost
from include.leadsync.state import Leases, Ledger, Links, Outbox, StateStore
from tests.state.rows import add_links, add_operations, claim, guid, hold_lease, operation, states

pytestmark = pytest.mark.usefixtures("linked")


@pytest.fixture
def linked(store: StateStore) -> list[int]:
    """Links 1 to 9."""
    return add_links(store, range(1, 10), crm_etag='W/"7"')


@pytest.fixture
def fence(store: StateStore) -> int:
    return hold_lease(store).fence


def test_a_new_operation_waits_with_the_defaults_of_a_plan(store: StateStore, clock: FakeClock) -> None:
    add_operations(store, operation("a", 1))
    row = Outbox(store).of_links([1]).to_pylist()[0]
    assert (row["state"], row["attempts"], row["base_version"], row["not_before"]) == ("pending", 0, 0, None)
    assert row["created_at"] == row["updated_at"] == clock.now()


def test_claimed_operations_bring_what_loading_needs_of_their_link(store: StateStore, fence: int) -> None:
    add_operations(store, operation("a", 1, payload='{"x":1}', base_version=3), operation("b", 2, crm_id=guid(77)))
    rows = Outbox(store).claim("inbound", None, None, 10, fence, "batch-1").to_pylist()
    first, second = rows
    assert (first["op_id"], first["payload"], first["base_version"]) == ("a", '{"x":1}', 3)
    assert (first["person_id"], first["crm_id"], first["crm_etag"], first["version"]) == (1, guid(1), 'W/"7"', 0)
    assert (first["state"], first["attempts"], first["batch_id"], first["fence"]) == ("in_flight", 1, "batch-1", fence)
    assert (first["entity"], first["link_status"]) == ("lead", "active")
    assert second["crm_id"] == guid(77), "what was planned is what is written"


def test_an_operation_without_link_is_claimed_too(store: StateStore, fence: int) -> None:
    add_operations(store, operation("a", None, person_id=5), operation("b", None, person_id=5))
    assert claim(store, fence) == ["a", "b"]


def test_lanes_go_first_then_age(store: StateStore, clock: FakeClock, fence: int) -> None:
    now = clock.now()
    add_operations(
        store,
        operation("backfill", 1, lane=3, created_at=now - timedelta(hours=9)),
        operation("young", 2, created_at=now),
        operation("old", 3, created_at=now - timedelta(hours=1)),
        operation("consent", 4, lane=0, created_at=now),
    )
    assert claim(store, fence, limit=3) == ["consent", "old", "young"]
    assert claim(store, fence, limit=3) == ["backfill"]


def test_direction_lane_and_kind_choose(store: StateStore, fence: int) -> None:
    add_operations(
        store,
        operation("a", 1),
        operation("b", 2, direction="outbound"),
        operation("c", 3, lane=3),
        operation("d", 4, kind="create"),
    )
    assert claim(store, fence, lane=3) == ["c"]
    assert claim(store, fence, kind="create") == ["d"]
    assert claim(store, fence, direction="outbound", lane=2, kind="update") == ["b"]
    assert claim(store, fence) == ["a"]


def test_what_is_not_due_yet_waits(store: StateStore, clock: FakeClock, fence: int) -> None:
    add_operations(store, operation("a", 1, not_before=clock.now() + timedelta(seconds=30)))
    assert claim(store, fence) == []
    clock.advance(30)
    assert claim(store, fence) == ["a"]


def test_one_link_has_one_operation_under_way_per_direction(store: StateStore, fence: int) -> None:
    add_operations(
        store, operation("a", 1), operation("b", 1), operation("c", 1, direction="outbound"), operation("d", 2)
    )
    assert claim(store, fence) == ["a", "d"]
    assert claim(store, fence) == [], "b waits for a"
    assert claim(store, fence, direction="outbound") == ["c"]
    Outbox(store).settle(pa.table({"op_id": ["a"], "state": ["done"]}))
    assert claim(store, fence) == ["b"]


def test_a_later_lane_waits_for_an_earlier_one_of_its_link(store: StateStore, clock: FakeClock, fence: int) -> None:
    later = clock.now() + timedelta(minutes=5)
    add_operations(store, operation("consent", 1, lane=0, not_before=later), operation("rest", 1), operation("b", 2))
    assert claim(store, fence) == ["b"]
    assert claim(store, fence, lane=2) == []
    clock.advance(300)
    assert claim(store, fence) == ["consent"]


def test_parked_and_held_operations_hold_nothing_up(store: StateStore, fence: int) -> None:
    add_operations(
        store, operation("p", 1, lane=0, state="parked"), operation("h", 1, lane=0, state="held"), operation("a", 1)
    )
    assert claim(store, fence) == ["a"]


def test_activities_and_writes_of_a_link_do_not_wait_for_each_other(store: StateStore, fence: int) -> None:
    add_operations(store, operation("tell", 1, kind="activity", lane=0), operation("write", 1))
    assert claim(store, fence, kind="update") == ["write"]
    assert claim(store, fence, kind="activity") == ["tell"]


def test_a_batch_never_has_two_operations_of_one_link(store: StateStore, fence: int) -> None:
    add_operations(
        store,
        operation("tell", 1, kind="activity"),
        operation("tell more", 1, kind="activity"),
        operation("write", 1),
    )
    assert claim(store, fence) == ["tell"]
    assert claim(store, fence) == ["write"]


def test_a_loader_that_lost_its_lease_claims_nothing(store: StateStore, clock: FakeClock, fence: int) -> None:
    add_operations(store, operation("a", 1))
    clock.advance(61)
    successor = hold_lease(store, "successor")
    with pytest.raises(LeaseLost, match=f"fencing number {fence} is lost to successor"):
        claim(store, fence)
    assert states(store) == {"a": "pending"}
    assert claim(store, successor.fence) == ["a"]


def test_an_unknown_fencing_number_claims_nothing(store: StateStore) -> None:
    add_operations(store, operation("a", 1))
    with pytest.raises(LeaseLost):
        claim(store, 12345)


def test_two_threads_never_claim_the_same_operation(store: StateStore, fence: int) -> None:
    add_operations(store, *(operation(f"{link}-{turn}", link) for link in range(1, 10) for turn in range(8)))
    claimed: list[list[str]] = []
    barrier = threading.Barrier(2)

    def load(batch: str) -> None:
        barrier.wait()
        idle = 0
        while idle < 3:
            ids = claim(store, fence, limit=4, batch_id=batch)
            idle = 0 if ids else idle + 1
            links = [op_id.partition("-")[0] for op_id in ids]
            assert len(set(links)) == len(links)
            claimed.append(ids)
            if ids:
                Outbox(store).settle(pa.table({"op_id": ids, "state": ["done"] * len(ids)}))

    threads = [threading.Thread(target=load, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    everything = [op_id for ids in claimed for op_id in ids]
    assert len(everything) == len(set(everything))
    assert set(states(store).values()) == {"done"}


def test_settling_stores_answer_and_next_try(store: StateStore, clock: FakeClock, fence: int) -> None:
    add_operations(store, operation("a", 1), operation("b", 2), operation("c", 3))
    claim(store, fence)
    later = clock.now() + timedelta(seconds=20)
    results = {
        "op_id": ["a", "b", "c"],
        "state": ["done", "pending", "parked"],
        "code": [None, "606", "1003"],
        "message": [None, "slow down", "refused"],
        "not_before": [None, later, None],
    }
    assert Outbox(store).settle(pa.table(results), fence=fence) == 3
    assert states(store) == {"a": "done", "b": "pending", "c": "parked"}
    assert claim(store, fence) == []
    clock.advance(20)
    row = Outbox(store).claim("inbound", None, None, 9, fence, "again").to_pylist()[0]
    assert (row["op_id"], row["attempts"], row["code"], row["message"]) == ("b", 2, "606", "slow down")


def test_a_loader_that_lost_its_lease_settles_nothing(store: StateStore, clock: FakeClock, fence: int) -> None:
    add_operations(store, operation("a", 1))
    claim(store, fence)
    clock.advance(61)
    hold_lease(store, "successor")
    with pytest.raises(LeaseLost):
        Outbox(store).settle(pa.table({"op_id": ["a"], "state": ["done"]}), fence=fence)
    assert states(store) == {"a": "in_flight"}


def test_a_batch_is_acknowledged_with_its_links_and_ledger_or_not_at_all(store: StateStore, fence: int) -> None:
    add_operations(store, operation("a", 1))
    claim(store, fence)
    ledger = {"run_id": ["r"], "entity": ["lead"], "direction": ["inbound"], "kind": ["update"], "rule": ["R41"]}

    def acknowledge(*, dies: bool) -> None:
        with store.begin() as tx:
            Outbox(store).settle(pa.table({"op_id": ["a"], "state": ["done"]}), tx, fence=fence)
            Links(store).update(pa.table({"link_id": [1], "expected_version": [0], "base": ["[]"]}), tx)
            Ledger(store).add(pa.table(ledger), tx)
            if dies:
                raise RuntimeError

    with pytest.raises(RuntimeError):
        acknowledge(dies=True)
    assert states(store) == {"a": "in_flight"}
    assert Links(store).by_id([1])["version"].to_pylist() == [0]
    assert Ledger(store).of_run("r").num_rows == 0
    assert Outbox(store).in_flight()["op_id"].to_pylist() == ["a"], "the next run finds it with an unknown outcome"
    acknowledge(dies=False)
    assert Outbox(store).in_flight().num_rows == 0
    assert Ledger(store).of_run("r").num_rows == 1


def test_a_newer_plan_replaces_what_waits_but_not_what_is_under_way(store: StateStore, fence: int) -> None:
    add_operations(store, operation("flying", 1), operation("other", 2))
    claim(store, fence, limit=1)
    add_operations(
        store,
        operation("pending", 1),
        operation("parked", 1, state="parked"),
        operation("held", 1, state="held"),
        operation("done", 1, state="done"),
        operation("tell", 1, kind="activity"),
    )
    assert Outbox(store).supersede([1, 3]) == 3
    gone = {op_id for op_id, state in states(store).items() if state == "superseded"}
    assert gone == {"pending", "parked", "held"}
    assert Outbox(store).supersede([]) == 0


def test_the_same_operation_planned_again_takes_its_own_place(store: StateStore, fence: int) -> None:
    add_operations(store, operation("a", 1, run_id="first", state="parked"), operation("b", 2), operation("c", 3))
    claim(store, fence, limit=1)
    Outbox(store).settle(pa.table({"op_id": ["b"], "state": ["done"]}))
    claim(store, fence, limit=1)
    assert states(store) == {"a": "parked", "b": "done", "c": "in_flight"}
    Outbox(store).supersede([1])
    add_operations(store, operation("a", 1, run_id="second"), operation("b", 2), operation("c", 3))
    assert states(store) == {"a": "pending", "b": "done", "c": "in_flight"}
    assert Outbox(store).of_links([1])["run_id"].to_pylist() == ["second"]


def test_siblings_of_an_acknowledged_operation_follow_the_version(store: StateStore, fence: int) -> None:
    add_operations(store, operation("a", 1), operation("b", 1), operation("c", 2, base_version=4))
    claim(store, fence, limit=1)
    with store.begin() as tx:
        Links(store).update(pa.table({"link_id": [1], "expected_version": [0]}), tx)
        assert Outbox(store).rebase([1], tx) == 1
    rows = Outbox(store).of_links([1, 2]).to_pylist()
    assert {row["op_id"]: row["base_version"] for row in rows} == {"a": 0, "b": 1, "c": 4}


def test_the_backlog_is_counted_per_lane_with_its_oldest(store: StateStore, clock: FakeClock, fence: int) -> None:
    start = clock.now()
    add_operations(store, operation("a", 1), operation("d", 4, state="done"), operation("p", 5, state="parked"))
    clock.advance(10)
    add_operations(store, operation("b", 2), operation("c", 3, direction="outbound", lane=0))
    claim(store, fence, direction="outbound")
    assert Outbox(store).depth().to_pylist() == [
        {"direction": "inbound", "lane": 2, "state": "parked", "count": 1, "oldest": start},
        {"direction": "inbound", "lane": 2, "state": "pending", "count": 2, "oldest": start},
        {"direction": "outbound", "lane": 0, "state": "in_flight", "count": 1, "oldest": clock.now()},
    ]


def test_a_held_plan_waits_until_it_is_released(store: StateStore, clock: FakeClock, fence: int) -> None:
    held = {"state": "held", "plan_hash": "abc"}
    add_operations(store, operation("a", 1, **held), operation("b", 1, **held), operation("c", 2, **held))
    add_operations(store, operation("d", 3, state="held", plan_hash="other"))
    assert claim(store, fence) == []
    waiting = {row["plan_hash"]: row for row in Outbox(store).held().to_pylist()}
    assert (waiting["abc"]["ops"], waiting["abc"]["links"], waiting["abc"]["created_at"]) == (3, 2, clock.now())
    assert Outbox(store).release("abc") == [1, 2]
    assert states(store) == {"a": "superseded", "b": "superseded", "c": "superseded", "d": "held"}
    assert Outbox(store).release("abc") == []


def test_links_with_a_refused_operation_are_known_per_entity(store: StateStore) -> None:
    parked = {"state": "parked"}
    add_operations(store, operation("a", 3, **parked), operation("b", 1, **parked), operation("c", 1, **parked))
    add_operations(store, operation("d", 2), operation("e", 4, entity="contact", state="parked"))
    add_operations(store, operation("tell", None, kind="activity", **parked))
    assert Outbox(store).parked_links("lead") == [1, 3]
    assert Outbox(store).parked_links("contact") == [4]


def test_an_empty_plan_is_stored_as_nothing(store: StateStore) -> None:
    empty = pa.table({"op_id": pa.array([], pa.string()), "link_id": pa.array([], pa.int64())})
    assert Outbox(store).add(empty) == 0
    assert Outbox(store).settle(empty) == 0


def test_a_released_lease_is_no_proof(store: StateStore, fence: int) -> None:
    add_operations(store, operation("a", 1))
    held = Leases(store).acquire("writer", "loader", 60)
    assert held is not None
    assert held.fence > fence
    Leases(store).release(held)
    with pytest.raises(LeaseLost, match="nobody"):
        claim(store, held.fence)
