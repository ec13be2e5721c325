"""One transaction per batch: outcomes, baselines, ledger, activity log (performance, write protocol 3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

import pyarrow as pa

from include.leadsync.context import Engine
from include.leadsync.fields import hash_tag, row_hash
from include.leadsync.load.acknowledge import LinkState
from include.leadsync.load.announce import announcements
from include.leadsync.load.echoes import echoes_of
from include.leadsync.load.outcome import Fate, Outcome
from include.leadsync.model import STANDING, Entity, OperationKind, OperationState
from include.leadsync.requests.answers import Answer, answer
from include.leadsync.schema import Schema
from include.leadsync.state import ActivityLog, Echoes, Layouts, Lease, Leases, Ledger, Links, Outbox, Transaction

_STATES = {
    Fate.DONE: OperationState.DONE,
    Fate.REFUSED: OperationState.PARKED,
    Fate.CONFLICT: OperationState.SUPERSEDED,
    Fate.UNKNOWN: OperationState.SUPERSEDED,
    Fate.LATER: OperationState.PENDING,
    Fate.WITHDRAWN: OperationState.SUPERSEDED,
}
_LATER_SECONDS = 60.0


@dataclass(frozen=True)
class Settling:
    """Puts outcomes into the store."""

    engine: Engine
    schema: Schema
    run_id: str
    lease: Lease

    def settle(self, outcomes: Sequence[Outcome]) -> None:
        """Store what became of a batch. Raises `LeaseLost` when another loader took over."""
        store, log = self.engine.store, ActivityLog(self.engine.store)
        written = [outcome for outcome in outcomes if not _is_activity(outcome)]
        with store.begin() as tx:
            Leases(store).check(self.lease.fence, tx)
            self._links(written, tx)
            Outbox(store).settle(self._operation_rows(outcomes), tx)
            Ledger(store).add(self._ledger_rows(written), tx)
            log.record(self._failure_rows(written), tx)
            log.record(self._withdrawn_rows(written), tx)
            log.recover(self._recovered(written), self.run_id, tx)
            sent = [(o.operation, self.engine.now()) for o in written if o.fate in {Fate.DONE, Fate.UNKNOWN}]
            Echoes(store).add(echoes_of(sent), tx)
            self._requests(written, tx)
            names = self.engine.settings.marketo.system_fields
            Outbox(store).add(announcements(written, names, self.engine.now()), tx)
            told = [o.operation.op_id for o in outcomes if _is_activity(o) and o.fate is not Fate.LATER]
            log.mark_delivered([int(op_id.removeprefix("activity-")) for op_id in told], tx)

    def _links(self, outcomes: Sequence[Outcome], tx: Transaction) -> None:
        links, outbox = Links(self.engine.store), Outbox(self.engine.store)
        failed_creates = [
            o.operation.link_id for o in outcomes if o.fate in _ENDED and o.operation.kind == OperationKind.CREATE
        ]
        if failed_creates:  # what was to follow the creation has nothing to follow
            outbox.supersede(failed_creates, tx)
        reread = {o.operation.link_id: o for o in outcomes if o.fate in {Fate.CONFLICT, Fate.UNKNOWN}}
        for fate in (Fate.CONFLICT, Fate.UNKNOWN):
            ids = [link_id for link_id, outcome in reread.items() if outcome.fate is fate]
            if ids:  # what else waits for these links is planned anew with the rest
                links.set_dirty(ids, f"{fate.value} while writing", tx)
                outbox.supersede(ids, tx)
        done = [o for o in outcomes if o.fate is Fate.DONE]
        if not done:
            return
        rows = {row["link_id"]: row for row in links.by_id([o.operation.link_id for o in done], tx).to_pylist()}
        written = [o for o in done if o.operation.link_id in rows and o.operation.kind not in STANDING]
        elsewhere = {o.operation.link_id for o in written if _went_on(rows[o.operation.link_id], o)}
        links.set_dirty(sorted(elsewhere), "written to the record it had before", tx)
        layouts = Layouts(self.engine.store).all(tx)
        states: dict[int, LinkState] = {}
        for outcome in written:
            row = rows[outcome.operation.link_id]
            if row["link_id"] in elsewhere:
                continue
            if row["link_id"] not in states:
                stored = layouts.get(row["layout_id"]) or self.schema.map(row["entity"]).layout_names
                states[row["link_id"]] = LinkState(row, stored, stored)
            states[row["link_id"]].acknowledge(outcome)
        for entity in Entity:
            mine = [state for state in states.values() if state.row["entity"] == entity]
            if mine:
                links.update(self._link_rows(entity, mine, tx), tx)
        outbox.rebase(sorted(states), tx)

    def _link_rows(self, entity: Entity, states: list[LinkState], tx: Transaction) -> pa.Table:
        field_map = self.schema.map(entity)
        names = field_map.names
        layout = Layouts(self.engine.store).id_of(entity, field_map.layout, tx)
        digests = _hashes([state.seen(side) for side in ("person", "crm") for state in states], names)
        hashes = {"person": digests[: len(states)], "crm": digests[len(states) :]}
        rows: list[dict[str, Any]] = []
        for position, state in enumerate(states):
            columns = {name: state.row[name] for name in _CARRIED} | {
                "version": state.row["version"] + 1,
                "layout_id": state.row["layout_id"] or layout,  # the fields it was planned with
                "hash_tag": hash_tag(),
                "changed_at": self.engine.now(),
                "person_hash": hashes["person"][position] if state.row["person_hash"] is not None else None,
                "crm_hash": hashes["crm"][position] if state.row["crm_hash"] is not None else None,
            }
            rows.append(columns | state.stored())
        return pa.Table.from_pylist(rows, schema=_LINK_SCHEMA)

    def _operation_rows(self, outcomes: Sequence[Outcome]) -> pa.Table:
        now = self.engine.now()
        rows = [
            {
                "op_id": o.operation.op_id,
                "state": _STATES[o.fate].value,
                "code": o.code,
                "message": o.message,
                "not_before": now + timedelta(seconds=o.retry_after or _LATER_SECONDS)
                if o.fate is Fate.LATER
                else None,
            }
            for o in outcomes
        ]
        return pa.Table.from_pylist(rows, schema=_RESULT_SCHEMA)

    def _ledger_rows(self, outcomes: Sequence[Outcome]) -> pa.Table:
        now = self.engine.now()
        rows = [
            {
                "run_id": o.operation.run_id,
                "op_id": o.operation.op_id,
                "link_id": o.operation.link_id,
                "person_id": o.person_id or o.operation.person_id,
                "crm_id": o.operation.crm_id,
                "entity": o.operation.entity,
                "field": write.field,
                "direction": o.operation.direction,
                "kind": o.operation.kind if o.fate is Fate.DONE else o.fate.value,
                "base": write.base,
                "before": write.before,
                "after": write.after,
                "lost": write.lost,
                "rule": write.rule,
                "at": now,
            }
            for o in outcomes
            if o.fate in {Fate.DONE, Fate.REFUSED}
            for write in o.operation.writes
        ]
        return pa.Table.from_pylist(rows, schema=LEDGER_SCHEMA)

    def _failure_rows(self, outcomes: Sequence[Outcome]) -> pa.Table:
        rows = []
        for o in outcomes:
            if o.fate is not Fate.REFUSED:
                continue
            op, culprit = o.operation, self._culprit(o)
            rows.append(
                {
                    "outcome": "failed",
                    "operation": op.kind,
                    "direction": op.direction,
                    "field": culprit,
                    "value": next((w.after for w in op.writes if w.field == culprit), None),
                    "code": o.code,
                    "message": o.message,
                    "rule": "R110",
                    "run_id": self.run_id,
                    "link_id": op.link_id,
                    "person_id": op.person_id,
                    "crm_id": op.crm_id,
                    "entity": op.entity,
                    "at": self.engine.now(),
                    "op_id": op.op_id,
                }
            )
        return pa.Table.from_pylist(rows, schema=ACTIVITY_SCHEMA)

    def _withdrawn_rows(self, outcomes: Sequence[Outcome]) -> pa.Table:
        about = ("direction", "link_id", "person_id", "crm_id", "entity", "op_id")
        rows = [
            {name: getattr(o.operation, name) for name in about}
            | {"outcome": "notice", "operation": o.operation.kind, "code": o.code, "message": o.message}
            | {"rule": o.operation.writes[0].rule, "run_id": self.run_id, "at": self.engine.now(), "open": False}
            for o in outcomes
            if o.fate is Fate.WITHDRAWN
        ]
        return pa.Table.from_pylist(rows, schema=ACTIVITY_SCHEMA.append(pa.field("open", pa.bool_())))

    def _culprit(self, outcome: Outcome) -> str | None:
        """The field that the service names in its refusal, if it names one of ours."""
        if outcome.field or len(outcome.operation.writes) == 1:
            return outcome.field or outcome.operation.writes[0].field
        fields = {f.name: f.dynamics.name for f in self.schema.map(outcome.operation.entity).fields}
        text = outcome.message or ""
        for write in outcome.operation.writes:
            if any(f"'{name}'" in text for name in (write.field, fields.get(write.field, write.field))):
                return write.field
        return None

    def _recovered(self, outcomes: Sequence[Outcome]) -> pa.Table:
        rows = [
            {"link_id": o.operation.link_id, "direction": o.operation.direction, "field": field}
            for o in outcomes
            if o.fate is Fate.DONE
            for field in [*(write.field for write in o.operation.writes), None]
        ]
        return pa.Table.from_pylist(rows, schema=_RECOVERED_SCHEMA)

    def _requests(self, outcomes: Sequence[Outcome], tx: Transaction) -> None:
        answers = []
        for o in outcomes:
            op = o.operation
            if not op.request_id or op.kind != OperationKind.CREATE:
                continue
            about = partial(
                Answer, op.request_id, person_id=op.person_id, entity=op.entity, link_id=op.link_id, crm_id=op.crm_id
            )
            if o.fate is Fate.DONE:
                text = f"{op.entity} {op.crm_id} was created"
                answers.append(about(outcome="created", code="created", message=text, rule="R47"))
            elif o.fate is Fate.REFUSED:
                answers.append(about(outcome="failed", code=str(o.code), message=str(o.message), rule="R110"))
        answer(self.engine.store, answers, self.run_id, self.engine.now(), tx)


def _went_on(row: Mapping[str, Any], outcome: Outcome) -> bool:
    """The link has another record or person by now than the one that was written to (D36, D43, D44)."""
    written = outcome.operation
    other_record = written.crm_id is not None and row["crm_id"] != written.crm_id
    other_person = None not in {written.person_id, row["person_id"]} and row["person_id"] != written.person_id
    return other_record or other_person


def _is_activity(outcome: Outcome) -> bool:
    return outcome.operation.kind == OperationKind.ACTIVITY


_ENDED = {Fate.REFUSED, Fate.CONFLICT, Fate.UNKNOWN}
_CARRIED = ("link_id", "status", "person_id", "crm_etag", "dirty")
_STAMP = pa.timestamp("us", "UTC")


def _schema(texts: str, integers: str = "", stamps: str = "") -> pa.Schema:
    kinds = ((texts, pa.string()), (integers, pa.int64()), (stamps, _STAMP))
    return pa.schema([(name, kind) for names, kind in kinds for name in names.split()])


_LINK_SCHEMA = _schema(
    "status base person_side person_open crm_side crm_open hash_tag crm_etag dirty",
    "link_id person_id version layout_id person_hash crm_hash",
    "changed_at",
)
_RESULT_SCHEMA = _schema("op_id state code message", "", "not_before")
LEDGER_SCHEMA = _schema(
    "run_id op_id crm_id entity field direction kind base before after lost rule", "link_id person_id", "at"
)
ACTIVITY_SCHEMA = _schema(
    "outcome operation direction field value code message rule run_id crm_id entity op_id", "link_id person_id", "at"
)
_RECOVERED_SCHEMA = _schema("direction field", "link_id")


def _hashes(records: list[dict[str, str | None]], names: Sequence[str]) -> list[int | None]:
    """Row hashes over the fields of the map; none for a link that was stored when the map had others."""
    known = [set(names) <= set(record) for record in records]
    table = pa.table({name: pa.array([record.get(name) for record in records], pa.string()) for name in names})
    return [digest if fits else 0 for digest, fits in zip(row_hash(table, names).to_pylist(), known, strict=True)]
