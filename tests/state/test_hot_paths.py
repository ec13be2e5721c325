"""The cost of a cycle grows with its changes: every hot statement goes by index, none runs per row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa

from include.leadsync import approval
from include.leadsync.clock import FakeClock
from include.leadsync.config import load_settings
from include.leadsync.console import collisions, failures, held_plans, persons, request_list, run_history
from include.leadsync.console.backlog import backlog
from include.leadsync.console.field_table import field_table
from include.leadsync.console.trends import trends
from include.leadsync.state import (
    ActivityLog,
    Echoes,
    Ledger,
    Links,
    Outbox,
    Requests,
    SeenActivities,
    StateStore,
    Transaction,
)
from include.leadsync.state.arrow import with_constant
from include.leadsync.state.column_kinds import MOMENT
from include.leadsync.state.schema import metadata
from include.leadsync.state.statements import Params, Prepared
from tests.state.conftest import DATABASES, new_store_url
from tests.state.rows import add_links, add_operations, guid, hold_lease, operation

DEFAULT_CONFIG = Path(__file__).resolve().parents[2] / "include" / "config" / "leadsync.yaml"
MANY = 6000
SMALL = {"lease", "counter", "budget", "layout", "link_count", "cursor", "synced_field", "field_job", "metadata"}
BOUNDED = {"oldest"}  # subqueries with a limit of their own
BIG = set(metadata.tables) - SMALL
PARTIAL = {
    index.name
    for table in metadata.tables.values()
    for index in table.indexes
    if index.dialect_options["sqlite"]["where"] is not None
}

Statement = tuple[str, Any, bool]


@contextmanager
def recorded(store: StateStore) -> Iterator[list[Statement]]:
    """Every statement that the driver gets: text, parameters, whether by executemany."""
    seen: list[Statement] = []
    spelled = Prepared.spelled

    def note(_c: object, _cursor: object, text: str, params: Any, _context: object, many: bool) -> None:
        seen.append((text, params, many))

    def note_prepared(statement: Prepared, tx: Transaction, params: Params) -> tuple[str, Params]:
        text, values = spelled(statement, tx, params)
        if tx.dialect.name == "sqlite":  # there the driver is told directly
            seen.append((text, values, False))
        return text, values

    sa.event.listen(store.engine, "before_cursor_execute", note)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Prepared, "spelled", note_prepared)
            yield seen
    finally:
        sa.event.remove(store.engine, "before_cursor_execute", note)


@pytest.fixture(scope="module", params=DATABASES)
def filled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StateStore]:
    """A store with enough rows for a planner to prefer indexes, and its statistics taken."""
    with new_store_url(request, str(request.param), tmp_path_factory.mktemp("filled")) as url:
        store = StateStore.open(url, FakeClock())
        fill(store)
        yield store
        store.close()


def fill(store: StateStore) -> None:
    numbers = list(range(MANY))
    ids = add_links(store, range(1, MANY + 1))
    common: dict[str, list[Any]] = {
        "run_id": [f"run{n // 100}" for n in numbers],
        "link_id": ids,
        "entity": ["lead"] * MANY,
        "direction": ["inbound" if n % 2 else "outbound" for n in numbers],
    }
    op_ids = [f"op{n}" for n in numbers]
    operations: dict[str, list[Any]] = {
        "op_id": op_ids,
        "kind": ["update"] * MANY,
        "lane": [n % 4 for n in numbers],
        "payload": ["{}"] * MANY,
        "state": ["pending" if n % 100 == 0 else "held" if n % 100 == 1 else "done" for n in numbers],
        "plan_hash": [f"plan{n}" if n % 100 == 1 else None for n in numbers],
    }
    Outbox(store).add(pa.table(common | operations))
    common |= {"person_id": [n + 1 for n in numbers], "field": ["email"] * MANY}
    Ledger(store).add(pa.table(common | {"kind": ["update"] * MANY, "rule": ["R1"] * MANY}))
    outcomes = {"outcome": ["failed"] * MANY, "code": ["c"] * MANY, "message": ["m"] * MANY}
    ActivityLog(store).record(pa.table(common | outcomes | {"open": [n % 100 == 0 for n in numbers]}))
    ActivityLog(store).mark_delivered(range(1, MANY - 100))
    SeenActivities(store).add(pa.table({"guid": [guid(n) for n in numbers]}))
    Echoes(store).add(pa.table({"person_id": common["person_id"], "field": common["field"], "op_id": op_ids}))
    Links(store).set_dirty(ids[:10], "test")
    asked: dict[str, list[Any]] = {"request_id": op_ids, "sync_as": ["lead"] * MANY, "source": ["test"] * MANY}
    asked |= {"person_id": numbers, "state": ["pending" if n % 50 == 0 else "finished" for n in numbers]}
    requests = with_constant(pa.table(asked), "created_at", store.now(), MOMENT)
    with store.begin() as tx:
        store.bulk.insert(tx, metadata.tables["request"], requests)
    runs = pa.table({"run_id": [f"run{n}" for n in numbers], "kind": ["cycle"] * MANY, "outcome": ["done"] * MANY})
    hours = [store.now() - timedelta(hours=n) for n in numbers]
    with store.begin() as tx:
        began = runs.append_column("started_at", pa.array(hours, pa.timestamp("us", "UTC")))
        store.bulk.insert(tx, metadata.tables["run"], began)
    if store.engine.dialect.name == "postgresql":
        with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sa.text("ANALYZE"))


HOT: dict[str, Callable[[StateStore], object]] = {
    "by_person": lambda store: Links(store).by_person([5, 6, 7]),
    "by_crm": lambda store: Links(store).by_crm([guid(5), guid(6)]),
    "by_id": lambda store: Links(store).by_id([5, 6]),
    "last_by_crm": lambda store: Links(store).last_by_crm([guid(5)]),
    "dirty": lambda store: Links(store).dirty(100),
    "set_dirty": lambda store: Links(store).set_dirty([5, 6], "why"),
    "update": lambda store: Links(store).update(
        pa.table({"link_id": [5, 6], "expected_version": [0, 0], "status": ["active"] * 2, "base": ["[]"] * 2})
    ),
    "count": lambda store: Links(store).count("lead", "active"),
    "claim": lambda store: Outbox(store).claim("inbound", None, None, 100, hold_lease(store).fence, "b"),
    "claim of what is due": lambda store: Outbox(store).claim("outbound", None, None, 5, hold_lease(store).fence, "c"),
    "claim of one kind": lambda store: Outbox(store).claim("outbound", 2, "update", 100, hold_lease(store).fence, "b"),
    "backfills": lambda store: Outbox(store).unfinished_backfills([5, 6]),
    "settle": lambda store: Outbox(store).settle(pa.table({"op_id": ["op5", "op6"], "state": ["done"] * 2})),
    "supersede": lambda store: Outbox(store).supersede([5, 6]),
    "rebase": lambda store: Outbox(store).rebase([5, 6]),
    "in_flight": lambda store: Outbox(store).in_flight(),
    "of_links": lambda store: Outbox(store).of_links([5, 6]),
    "depth": lambda store: Outbox(store).depth(),
    "held": lambda store: Outbox(store).held(),
    "release": lambda store: Outbox(store).release("plan1"),
    "ledger of a person": lambda store: Ledger(store).of_person(5, "email"),
    "ledger of a CRM record": lambda store: Ledger(store).of_crm(guid(5)),
    "ledger of a run": lambda store: Ledger(store).of_run("run5"),
    "undelivered": lambda store: ActivityLog(store).undelivered(50),
    "untold": lambda store: ActivityLog(store).untold(50),
    "parked_links": lambda store: Outbox(store).parked_links("lead"),
    "recover": lambda store: ActivityLog(store).recover(pa.table({"link_id": [5], "direction": ["inbound"]}), "r"),
    "what stands": lambda store: ActivityLog(store).stands(None, ["other"], "r"),
    "waiting records": lambda store: ActivityLog(store).waiting_records(["c"], 50),
    "open failures": lambda store: ActivityLog(store).browse(limit=50),
    "activity of a person": lambda store: ActivityLog(store).browse(open_only=False, person_id=5),
    "unseen": lambda store: SeenActivities(store).unseen([guid(5)]),
    "echoes": lambda store: Echoes(store).of_persons([5, 6]),
    "echoes removed": lambda store: Echoes(store).remove(
        pa.table({"person_id": [5], "field": ["email"], "op_id": ["op4"]})
    ),
    "requests": lambda store: Requests(store).claim("run", 10),
}

PAGES: dict[str, Callable[[StateStore], object]] = {
    "backlog": backlog,
    "failures": lambda store: failures.browse(store, failures.Wanted(text="x", code="c")),
    "further failures": lambda store: failures.browse(store, failures.Wanted(all=True), 5000),
    "failures of a person": lambda store: failures.browse(store, failures.Wanted(all=True, person_id=5)),
    "causes": failures.groups,
    "export": lambda store: [*failures.exported(store, failures.Wanted(all=True, text="x"))],
    "another try": lambda store: failures.retry(store, failures.Wanted(code="c")),
    "another try of one": lambda store: failures.retry(store, failures.Wanted(), 5),
    "collisions": lambda store: collisions.browse(store, collisions.Wanted(field="email", text="x")),
    "person": lambda store: persons.timeline(store, persons.of_person(store, 5), "email"),
    "record": lambda store: persons.timeline(store, persons.of_record(store, guid(5))),
    "unlinked record": lambda store: persons.timeline(store, persons.Subject(None, guid(5), [])),
    "sides": lambda store: persons.sides(store, persons.of_person(store, 50).links[0]),
    "written last": persons.recently_written,
    "runs": run_history.browse,
    "further runs": lambda store: run_history.browse(store, kind="cycle", token="5~run"),
    "written by a run": lambda store: run_history.written(store, "run5"),
    "trends": lambda store: trends(store, store.now()),
    "requests shown": request_list.browse,
    "open requests": request_list.open_count,
    "held plan": lambda store: held_plans.operations(store, "plan1"),
    "approval": lambda store: approval.approve(store, "plan101"),
    "rejection": lambda store: approval.park(store, "plan201"),
    "waiting plans": held_plans.waiting,
    "fields": lambda store: field_table(load_settings(DEFAULT_CONFIG), store),
}
"""What the console asks: a page on a million people costs what it costs on ten."""


@pytest.mark.parametrize("name", [*HOT, *PAGES])
def test_a_hot_statement_goes_by_index(filled: StateStore, name: str) -> None:
    with recorded(filled) as statements:
        {**HOT, **PAGES}[name](filled)
    assert statements
    with filled.begin() as tx:
        for text, params, many in statements:
            if text.startswith(("SELECT", "UPDATE", "DELETE")):
                scans = whole_table_scans(tx, text, params[0] if many else params)
                assert not scans, f"{scans} in: {text}"


BULK: dict[str, Callable[[StateStore, list[int]], object]] = {
    "insert": lambda store, ids: add_links(store, [10_000 + number for number in ids]),
    "compare and set": lambda store, ids: Links(store).update(
        pa.table({"link_id": ids, "expected_version": [0] * len(ids), "base": ["[]"] * len(ids)})
    ),
    "add": lambda store, ids: add_operations(store, *(operation(f"new{number}", number) for number in ids)),
    "settle": lambda store, ids: Outbox(store).settle(
        pa.table({"op_id": [f"op{n}" for n in ids], "state": ["done"] * len(ids)})
    ),
    "look-up": lambda store, ids: Links(store).by_person(ids),
    "supersede": lambda store, ids: Outbox(store).supersede(ids),
}


@pytest.mark.parametrize("name", BULK)
def test_ten_times_the_rows_are_no_statement_more(store: StateStore, name: str) -> None:
    add_links(store, range(1, 331))
    with recorded(store) as few:
        BULK[name](store, list(range(1, 31)))
    with recorded(store) as many:
        BULK[name](store, list(range(31, 331)))
    assert 0 < len(many) <= len(few) <= 15, [text for text, _, _ in many]


def whole_table_scans(tx: sa.Connection, text: str, params: Any) -> list[str]:
    """Big tables that a statement reads from end to end, as the database plans it."""
    if tx.dialect.name == "postgresql":
        if "staged_" in text:
            return []  # its temporary table is gone; the other side is covered by the same columns on SQLite
        plan = tx.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {text}", params).scalar_one()
        return list(_nodes(plan[0]["Plan"]))
    details = [row[3] for row in tx.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", params)]
    return [line for line in details if line.startswith("SCAN") and not _is_small(line)]


def _is_small(line: str) -> bool:
    words = line.split()
    if any(name in words for name in PARTIAL):
        return True  # a partial index holds only what is asked for
    return "VIRTUAL" in words or words[1] in SMALL | BOUNDED | {"CONSTANT"}  # json_each is the list that was given


def _nodes(plan: dict[str, Any]) -> Iterator[str]:
    if plan["Node Type"] == "Seq Scan" and plan["Relation Name"] in BIG:
        yield plan["Relation Name"]
    for child in plan.get("Plans", ()):
        yield from _nodes(child)
