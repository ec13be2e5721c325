"""A state store with some of everything: links, both sides, a timeline, failures, collisions, runs, a held plan."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from include.leadsync.clock import FakeClock
from include.leadsync.model import DynamicsAttribute, Entity, MarketoField
from include.leadsync.state import ActivityLog, Layouts, Ledger, Links, Metadata, Outbox, Requests, Runs, StateStore
from tests.state.rows import guid

HELD = "00112233445566aa"
SCRIPT = "<script>alert('x')</script>"
FORMULA = '=HYPERLINK("http://evil","click")'
CHINESE, ARABIC = "部门主管", "مدير المبيعات"
START = datetime.now(UTC).replace(minute=5, second=0, microsecond=0) - timedelta(hours=2)
RUNS = [f"{START:%Y%m%d}T10{number:02d}00Z-{number:06d}" for number in range(4)]


def make_store(path: Path) -> None:
    """Persons 1 to 6 linked to leads of the same number, person 7 to a contact that became another."""
    store = StateStore.open(f"sqlite:///{path}", FakeClock(START))
    fill(store)
    store.close()


def fill(store: StateStore) -> None:
    """See `make_store`."""
    links = Links(store)
    layout = Layouts(store).id_of("lead", [("email", "email"), ("title", "string"), ("phone", "phone")])
    rows: list[dict[str, Any]] = [
        {"entity": "lead", "person_id": number, "crm_id": guid(number), "status": "active", "layout_id": layout}
        | {"base": json.dumps({"v": [f"p{number}@example.com", "old", None]})}
        for number in range(1, 7)
    ]
    rows[0] |= {"person_side": json.dumps({"phone": "1" * 60}), "person_open": json.dumps(["phone"])}
    rows[1] |= {"crm_side": json.dumps({"title": CHINESE}), "crm_open": json.dumps(["title"])}
    rows += [
        {"entity": "lead", "person_id": 7, "crm_id": guid(70), "status": "converted", "became_crm": guid(7)},
        {"entity": "contact", "person_id": 7, "crm_id": guid(7), "status": "active"},
    ]
    links.insert(pa.Table.from_pylist(rows, schema=_schema("entity crm_id status base person_side person_open crm_side"
                                                           " crm_open became_crm", "person_id layout_id")))  # fmt: skip
    _runs(store)
    _ledger(store)
    _failures(store)
    _operations(store)
    keep_metadata(store)
    requests = Requests(store)
    first = requests.add(900, "lead", source="webhook", token="t1", owner="team:Sales", reason="asked " + CHINESE)
    requests.add(901, "contact", source="cli", token="t2")
    requests.finish(first.request_id, "failed", "person 900 does not exist")


def keep_metadata(store: StateStore) -> None:
    """What both systems say of themselves: a few of the shipped fields, and some that could join."""
    texts = ("email", "title", "favouriteColour", "nickname")
    fields = [MarketoField(n, name, name.title(), "string", 50) for n, name in enumerate(texts, 1)]
    fields += [
        MarketoField(8, "optIn", "Opt In", "boolean"),
        MarketoField(9, "urgency", "Urgency", "integer", read_only=True),
        MarketoField(10, "microsoftId", "Microsoft Id", "string"),
    ]
    kept = Metadata(store)
    kept.put("marketo", "person", msgspec.json.encode(fields).decode())
    for entity in Entity:
        kinds = {"emailaddress1": "String", "jobtitle": "String", "new_colour": "String", "new_flag": "Boolean"}
        kinds |= {"ownerid": "Owner", "new_count": "Integer", "entityimage": "Image"}
        columns = [DynamicsAttribute(entity, name, kind, f"The {name}", max_length=20) for name, kind in kinds.items()]
        columns[3] = replace(columns[3], label="Opt in")
        columns.append(DynamicsAttribute(entity, "new_sum", "String", "Sum", creatable=False, updatable=False))
        kept.put("dynamics", entity.value, msgspec.json.encode(columns).decode())


def _runs(store: StateStore) -> None:
    runs = Runs(store)
    for number, run_id in enumerate(RUNS):
        runs.start(run_id, "cycle" if number else "backfill", {"persons": [1, 2]} if not number else {})
        if number == 3:
            runs.finish(run_id, "failed", {"task": "extract_persons", "error": "/srv/app/secret/place is away"})
        else:
            runs.note(run_id, "extract", {"person": {"read": number}})
            runs.note(run_id, "plan", {"operations": 3, "marketo_calls": 2, "dynamics_calls": 1, "held": 0})
            runs.note(run_id, "load", {"inbound_done": number, "outbound_done": 2 * number, "outbound_refused": 1})
            runs.finish(run_id, "done")


def _ledger(store: StateStore) -> None:
    entries: list[dict[str, Any]] = []
    for number in range(1, 7):
        about = {"link_id": number, "person_id": number, "crm_id": guid(number), "entity": "lead", "run_id": RUNS[0]}
        made = {"op_id": f"made{number}", "kind": "create", "rule": "R31", "after": f"p{number}@example.com"}
        entries.append(about | made | {"field": "email", "direction": "inbound"})
        wrote = {"field": "title", "direction": "outbound", "rule": "R40", "base": "old", "run_id": RUNS[1]}
        met = {"kind": "collision", "after": ARABIC, "lost": SCRIPT}
        entries += [about | wrote | met, about | wrote | {"kind": "update", "before": SCRIPT, "after": ARABIC}]
    names = "run_id op_id crm_id entity field direction kind base before after lost rule"
    Ledger(store).add(pa.Table.from_pylist(entries, schema=_schema(names, "link_id person_id")))


def _failures(store: StateStore) -> None:
    refused: list[dict[str, Any]] = [
        {"outcome": "failed", "operation": "update", "direction": "outbound", "field": "phone", "code": "too_long"}
        | {"value": FORMULA if number == 2 else "1" * 60, "message": f"it's {SCRIPT} 100% too_long", "rule": "V36"}
        | {"run_id": RUNS[1], "link_id": number, "person_id": number, "crm_id": guid(number), "entity": "lead"}
        for number in range(1, 5)
    ]
    refused.append(
        {"outcome": "held", "operation": "link", "direction": "inbound", "code": "several", "message": "two persons"}
        | {"run_id": RUNS[2], "crm_id": guid(99), "entity": "contact"}
    )
    names = "outcome operation direction field value code message rule run_id crm_id entity"
    ActivityLog(store).record(pa.Table.from_pylist(refused, schema=_schema(names, "link_id person_id")))


def _operations(store: StateStore) -> None:
    write = {"field": "title", "before": "old", "after": SCRIPT, "base": "old", "rule": "D2"}
    common = {"run_id": RUNS[2], "entity": "lead", "lane": 2, "payload": json.dumps({"writes": [write]})}
    rows: list[dict[str, Any]] = [
        common | {"op_id": "parked", "link_id": 1, "direction": "outbound", "kind": "update", "state": "parked"},
        common | {"op_id": "waiting", "link_id": 2, "direction": "inbound", "kind": "create", "state": "pending"},
        *(
            common | {"op_id": f"held{n}", "link_id": n, "direction": "inbound", "kind": "update", "state": "held"}
            | {"plan_hash": HELD, "person_id": n, "crm_id": guid(n)}
            for n in (3, 4)
        ),
    ]  # fmt: skip
    names = "op_id run_id entity direction kind payload state plan_hash crm_id"
    Outbox(store).add(pa.Table.from_pylist(rows, schema=_schema(names, "link_id lane person_id")))


def _schema(texts: str, numbers: str) -> pa.Schema:
    return pa.schema([(name, pa.string()) for name in texts.split()] + [(name, pa.int64()) for name in numbers.split()])
