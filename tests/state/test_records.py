"""Ledger, runs, requests, echoes, seen feed rows and metadata: kept once, found again."""

from __future__ import annotations

import threading
from datetime import timedelta

import pyarrow as pa

from include.leadsync.clock import FakeClock
from include.leadsync.model import Entity, System
from include.leadsync.state import (
    Echoes,
    Ledger,
    Metadata,
    RequestAdded,
    Requests,
    Runs,
    SeenActivities,
    StateStore,
)
from tests.state.rows import guid

WRITE: dict[str, object] = {"run_id": "r1", "entity": "lead", "direction": "inbound", "kind": "update", "rule": "R41"}


def write(person: int, field: str, after: str | None, **columns: object) -> dict[str, object]:
    return WRITE | {"person_id": person, "crm_id": guid(person), "field": field, "after": after} | columns


def add(store: StateStore, *rows: dict[str, object]) -> None:
    names = list(dict.fromkeys(name for row in rows for name in row))
    Ledger(store).add(pa.table({name: [row.get(name) for row in rows] for name in names}))


def test_the_ledger_answers_for_a_person_a_field_a_record_and_a_run(store: StateStore, clock: FakeClock) -> None:
    add(store, write(1, "email", "a"), write(1, "city", None), write(2, "email", "b"))
    clock.advance(60)
    add(store, write(1, "email", "c", run_id="r2", before="a", base="a", lost="d"))
    ledger = Ledger(store)
    assert ledger.of_person(1)["after"].to_pylist() == ["a", None, "c"]
    assert ledger.of_person(1, "email")["after"].to_pylist() == ["a", "c"]
    assert ledger.of_crm(guid(2).upper())["after"].to_pylist() == ["b"]
    last = ledger.of_run("r2").to_pylist()[0]
    assert (last["before"], last["base"], last["lost"], last["rule"], last["at"]) == ("a", "a", "d", "R41", clock.now())
    assert ledger.of_person(3).num_rows == 0


def test_what_is_already_in_the_ledger_of_an_operation_is_not_added_again(store: StateStore) -> None:
    one = write(1, "email", "a", op_id="o1", link_id=1)
    rows = pa.table({name: [one[name], {**one, "op_id": "o2"}[name]] for name in one})
    ledger = Ledger(store)
    assert [ledger.add_once(rows.slice(0, 1)), ledger.add_once(rows), ledger.add_once(rows)] == [1, 1, 0]
    assert ledger.of_person(1)["op_id"].to_pylist() == ["o1", "o2"]


def test_a_run_is_noted_from_start_to_finish(store: StateStore, clock: FakeClock) -> None:
    runs = Runs(store)
    started = clock.now()
    runs.start("r1", "cycle", {"since": None})
    clock.advance(30)
    runs.start("r1", "cycle")  # a task that is tried again
    runs.note("r1", "extract", {"rows": 5})
    runs.note("r1", "merge", {"pairs": 2})
    runs.finish("r1", "done", {"calls": 7})
    run = runs.get("r1")
    assert run is not None
    assert (run.kind, run.started_at, run.finished_at, run.outcome) == ("cycle", started, clock.now(), "done")
    assert run.window == {"since": None}
    assert run.report == {"steps": {"extract": {"rows": 5}, "merge": {"pairs": 2}}, "calls": 7}
    assert runs.get("r2") is None


def test_steps_that_end_at_the_same_time_all_enter_the_report(store: StateStore) -> None:
    runs = Runs(store)
    runs.start("r1", "cycle")
    threads = [threading.Thread(target=runs.note, args=("r1", f"step {n}", {"n": n})) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    run = runs.get("r1")
    assert run is not None
    assert run.report["steps"] == {f"step {n}": {"n": n} for n in range(6)}


def test_the_latest_run_is_the_one_that_started_last(store: StateStore, clock: FakeClock) -> None:
    runs = Runs(store)
    assert runs.latest() is None
    for number, (kind, outcome) in enumerate([("cycle", "done"), ("backfill", "done"), ("cycle", "failed")]):
        runs.start(f"r{number}", kind)
        runs.finish(f"r{number}", outcome)
        clock.advance(1)
    found = [runs.latest(), runs.latest("backfill"), runs.latest("cycle", "done"), runs.latest(outcome="skipped")]
    assert [run and run.run_id for run in found] == ["r2", "r1", "r0", None]
    assert runs.recent(2)["run_id"].to_pylist() == ["r2", "r1"]


def test_a_request_with_the_same_person_and_token_is_the_same_request(store: StateStore) -> None:
    requests = Requests(store)
    first = requests.add(5, "lead", source="webhook", token="t", owner="me", reason="event")
    assert first.is_new
    assert requests.add(5, "contact", source="api", token="t") == RequestAdded(first.request_id, is_new=False)
    requests.finish(first.request_id, "created", "lead 1 was created", guid(1))
    assert requests.add(5, "lead", source="webhook", token="t").is_new is False
    assert requests.add(6, "lead", source="webhook", token="t").is_new
    assert requests.add(5, "lead", source="webhook", token="u").is_new
    assert requests.add(5, "lead", source="manual").is_new
    assert requests.add(5, "lead", source="manual").is_new, "without a token nobody can tell a repeat"
    row = requests.get([first.request_id]).to_pylist()[0]
    assert (row["sync_as"], row["owner"], row["reason"], row["source"]) == ("lead", "me", "event", "webhook")
    assert (row["state"], row["outcome"], row["crm_id"]) == ("finished", "created", guid(1))


def test_the_same_request_from_many_at_once_is_stored_once(store: StateStore) -> None:
    barrier = threading.Barrier(4)
    added: list[RequestAdded] = []

    def ask() -> None:
        barrier.wait()
        added.append(Requests(store).add(5, "lead", source="webhook", token="t"))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(request.is_new for request in added) == 1
    assert len({request.request_id for request in added}) == 1


def test_a_request_goes_to_one_run_and_comes_again_when_that_run_is_tried_again(
    store: StateStore, clock: FakeClock
) -> None:
    requests = Requests(store)
    ids = []
    for person in (1, 2, 3):
        ids.append(requests.add(person, "lead", source="api").request_id)
        clock.advance(1)
    assert requests.claim("r1", 2)["person_id"].to_pylist() == [1, 2]
    assert requests.claim("r2", 9)["person_id"].to_pylist() == [3]
    assert requests.claim("r1", 9)["person_id"].to_pylist() == [1, 2]
    assert requests.accept(ids[:1]) == 1
    assert requests.accept([]) == 0
    assert requests.claim("r1", 9)["person_id"].to_pylist() == [2]
    assert requests.pending()["person_id"].to_pylist() == [1, 2, 3]
    assert requests.finish(ids[0], "created")
    assert requests.finish(ids[0], "failed") is False, "what it became stays"
    assert requests.pending()["person_id"].to_pylist() == [2, 3]


def test_a_request_that_a_dead_run_took_is_taken_up_by_another(store: StateStore, clock: FakeClock) -> None:
    requests = Requests(store)
    requests.add(1, "lead", source="api")
    assert requests.claim("dead", 9).num_rows == 1
    clock.advance(120)
    assert requests.claim("r2", 9).num_rows == 0
    clock.advance(1)
    assert requests.claim("r2", 9)["run_id"].to_pylist() == ["r2"]


def test_an_echo_is_expected_until_it_is_found_or_too_old(store: StateStore, clock: FakeClock) -> None:
    echoes = Echoes(store)
    rows = {"person_id": [1, 1, 2], "field": ["a", "b", "a"], "before": ["x", None, "x"], "after": [None, "y", "z"]}
    assert echoes.add(pa.table(rows | {"op_id": ["o1", "o1", "o2"]})) == 3
    clock.advance(10)
    echoes.add(pa.table({"person_id": [1], "field": ["a"], "after": ["again"], "op_id": ["o1"]}))
    found = echoes.of_persons([1, 3]).to_pylist()
    assert [(row["field"], row["before"], row["after"]) for row in found] == [("b", None, "y"), ("a", None, "again")]
    assert found[1]["written_at"] == clock.now()
    gone = pa.table({"person_id": [1, 9], "field": ["b", "b"], "op_id": ["o1", "o1"], "extra": [1, 2]})
    assert echoes.remove(gone) == 1
    assert echoes.expire(clock.now()) == 1
    assert echoes.of_persons([1, 2])["field"].to_pylist() == ["a"]
    assert echoes.add(pa.table({})) == echoes.remove(pa.table({})) == 0


def test_a_feed_row_is_taken_in_once(store: StateStore, clock: FakeClock) -> None:
    seen = SeenActivities(store)
    assert seen.unseen(["b", "a", "b"]) == ["b", "a"]
    assert seen.add(pa.table({"guid": ["a", "c", "a"], "at": [clock.now()] * 3})) == 2
    assert seen.add(pa.table({"guid": ["a"]})) == 0
    assert seen.unseen(["c", "b", "a"]) == ["b"]


def test_metadata_says_whether_it_changed_and_how_fresh_it_is(store: StateStore, clock: FakeClock) -> None:
    kept = Metadata(store)
    assert kept.get(System.DYNAMICS, Entity.LEAD) is None
    assert kept.put(System.DYNAMICS, Entity.LEAD, "one") is True
    assert kept.put(System.DYNAMICS, Entity.CONTACT, "other") is True
    clock.advance(60)
    assert kept.get("dynamics", "lead", not_before=clock.now()) is None
    assert kept.put("dynamics", "lead", "one") is False, "the same again only renews its time"
    assert kept.get("dynamics", "lead", not_before=clock.now()) == "one"
    assert kept.put("dynamics", "lead", "two") is True
    assert kept.get("dynamics", "lead", not_before=clock.now() - timedelta(days=1)) == "two"
