"""The activity log: each outcome once, each recovery with a row of its own, each person told."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from include.leadsync.clock import FakeClock
from include.leadsync.state import ActivityLog, Links, Outbox, StateStore
from tests.state.rows import add_links, add_operations, operation

TOO_LONG = {
    "outcome": "failed",
    "operation": "update",
    "direction": "outbound",
    "field": "firstName",
    "value": "x" * 200,
    "code": "too_long",
    "message": "200 characters, 50 are allowed",
    "rule": "R110",
    "run_id": "run-1",
    "link_id": 1,
    "person_id": 11,
    "crm_id": "c-1",
    "entity": "lead",
}


def record(store: StateStore, *changes: dict[str, Any]) -> int:
    """Record the outcome above, once for each change of it."""
    rows = [TOO_LONG | change for change in changes]
    return ActivityLog(store).record(pa.table({name: [row[name] for row in rows] for name in TOO_LONG}))


def open_fields(store: StateStore) -> list[str | None]:
    return sorted(ActivityLog(store).browse()["field"].to_pylist(), key=str)


def everything(store: StateStore) -> list[dict[str, Any]]:
    return [row for page in ActivityLog(store).export() for row in page.to_pylist()]


def test_a_failure_is_stored_with_all_that_explains_it(store: StateStore, clock: FakeClock) -> None:
    assert record(store, {}) == 1
    row = ActivityLog(store).browse().to_pylist()[0]
    assert {name: row[name] for name in TOO_LONG} == TOO_LONG
    assert (row["open"], row["at"], row["delivered_at"]) == (True, clock.now(), None)


def test_the_same_failure_is_written_once_while_it_is_open(store: StateStore) -> None:
    assert record(store, {}, {}) == 1
    assert record(store, {"run_id": "run-2", "message": "worded otherwise"}) == 0
    assert len(everything(store)) == 1


def test_another_value_field_code_direction_or_link_is_another_failure(store: StateStore) -> None:
    changes: list[dict[str, Any]] = [{"value": None}, {"field": None}, {"code": "x"}, {"direction": "inbound"}]
    changes.append({"link_id": 2})
    assert record(store, {}, *changes) == 6


def test_without_a_link_the_records_tell_failures_apart(store: StateStore) -> None:
    unlinked = {"link_id": None}
    assert record(store, unlinked, unlinked | {"person_id": None}, unlinked | {"crm_id": "c-2"}, unlinked) == 3


def test_a_success_closes_the_failure_with_a_row_of_its_own(store: StateStore, clock: FakeClock) -> None:
    record(store, {})
    clock.advance(300)
    done = pa.table({"link_id": [1], "direction": ["outbound"], "field": ["firstName"]})
    assert ActivityLog(store).recover(done, "run-2") == 1
    failed, recovered = everything(store)
    assert (failed["outcome"], failed["open"]) == ("failed", False)
    assert (recovered["outcome"], recovered["open"], recovered["run_id"]) == ("recovered", False, "run-2")
    assert recovered["message"] == "recovered; it was: 200 characters, 50 are allowed"
    assert (recovered["at"], recovered["delivered_at"]) == (clock.now(), None)
    kept = ("link_id", "person_id", "crm_id", "direction", "field", "value", "code", "rule")
    assert all(recovered[name] == failed[name] for name in kept)
    assert ActivityLog(store).recover(done, "run-3") == 0


def test_a_failure_that_comes_back_after_recovery_is_written_again(store: StateStore) -> None:
    record(store, {})
    ActivityLog(store).recover(pa.table({"link_id": [1], "direction": ["outbound"]}), "run-2")
    assert record(store, {}) == 1


def test_a_success_closes_nothing_of_other_fields_directions_and_links(store: StateStore) -> None:
    record(store, {"field": "a"}, {"field": "b"}, {"field": None}, {"field": "c", "direction": "inbound"})
    record(store, {"field": "d", "link_id": 2})
    log = ActivityLog(store)
    assert log.recover(pa.table({"link_id": [1], "direction": ["outbound"], "field": ["a"]}), "r") == 1
    assert open_fields(store) == [None, "b", "c", "d"]
    whole = pa.table({"link_id": [1], "direction": ["outbound"], "field": pa.nulls(1, pa.string())})
    assert log.recover(whole, "r") == 1
    assert open_fields(store) == ["b", "c", "d"]
    assert log.recover(pa.table({"link_id": [1], "direction": ["outbound"]}), "r") == 1
    assert open_fields(store) == ["c", "d"]


def test_what_a_new_plan_wants_no_more_is_settled(store: StateStore) -> None:
    record(store, {"field": "a"}, {"field": "b"}, {"field": None}, {"field": "x", "link_id": 2})
    record(store, {"field": "new", "run_id": "run-2"})
    still = pa.table({"link_id": [1], "direction": ["outbound"], "field": ["a"]})
    assert ActivityLog(store).settle_absent([1], still, "run-2") == 1
    assert open_fields(store) == [None, "a", "new", "x"]
    nothing = still.slice(0, 0)
    assert ActivityLog(store).settle_absent([1, 2], nothing, "run-3") == 4
    assert open_fields(store) == []


def test_a_person_is_told_of_each_row_once_oldest_first(store: StateStore, clock: FakeClock) -> None:
    record(store, {"field": "a"}, {"field": "b"}, {"field": "c"})
    log = ActivityLog(store)
    first = log.undelivered(2)
    assert first["field"].to_pylist() == ["a", "b"]
    assert log.mark_delivered(first["activity_id"].to_pylist()) == 2
    assert log.mark_delivered(first["activity_id"].to_pylist()) == 0
    assert log.undelivered(9)["field"].to_pylist() == ["c"]
    assert log.browse()["delivered_at"].to_pylist() == [None, clock.now(), clock.now()]
    assert log.mark_delivered([]) == 0


def test_a_row_without_a_person_waits_until_its_link_has_one(store: StateStore) -> None:
    link_ids = add_links(store, [1], person_id=None)
    record(store, {"link_id": link_ids[0], "person_id": None}, {"link_id": None, "person_id": None})
    log = ActivityLog(store)
    assert log.browse().num_rows == 2, "in the local log at once"
    assert log.undelivered(9).num_rows == 0
    Links(store).update(pa.table({"link_id": link_ids, "person_id": [77]}))
    assert log.undelivered(9)["person_id"].to_pylist() == [77]


def test_a_row_that_an_operation_carries_is_not_handed_out_again(store: StateStore) -> None:
    record(store, {"field": "a"}, {"field": "b"})
    log = ActivityLog(store)
    first = log.untold(1)["activity_id"].to_pylist()[0]
    add_operations(store, operation(f"activity-{first}", 1, kind="activity"))
    assert log.untold(9)["field"].to_pylist() == ["b"]
    assert log.undelivered(9).num_rows == 2
    Outbox(store).settle(pa.table({"op_id": [f"activity-{first}"], "state": ["done"]}))
    log.mark_delivered([first])
    assert log.untold(9)["field"].to_pylist() == ["b"]


def test_the_log_is_browsed_newest_first_in_pages(store: StateStore) -> None:
    record(store, *({"field": f"f{n}", "person_id": n % 2} for n in range(5)))
    log = ActivityLog(store)
    assert log.browse(limit=2)["field"].to_pylist() == ["f4", "f3"]
    assert log.browse(limit=2, offset=4)["field"].to_pylist() == ["f0"]
    assert log.browse(person_id=1)["field"].to_pylist() == ["f3", "f1"]
    log.recover(pa.table({"link_id": [1], "direction": ["outbound"], "field": ["f0"]}), "r")
    assert log.open_count() == 4
    assert log.browse(open_only=False).num_rows == 6


def test_nothing_to_record_or_to_recover_is_no_statement(store: StateStore) -> None:
    nothing = pa.table({name: pa.array([], pa.string()) for name in ("outcome", "code", "message", "run_id")})
    assert ActivityLog(store).record(nothing) == 0
    assert ActivityLog(store).recover(pa.table({"link_id": pa.array([], pa.int64()), "direction": []}), "r") == 0
