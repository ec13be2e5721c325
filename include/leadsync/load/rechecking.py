"""Facts are looked at again whenever they are sent: between plan and write, or after a kill, they may be none any more.

A person is marked as deleted only while it has no CRM record, told of its record only while it has one, merged into
another only while it is still left over, and its record is closed or deleted only while that is still wanted (D42,
D46, D47, D53). Writes of fields need no such look: their version or the next comparison sees to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from include.leadsync.context import Engine
from include.leadsync.errors import RetryLater
from include.leadsync.extract.identity import MASTER, MERGED
from include.leadsync.link.unwanted import second_look
from include.leadsync.load.outcome import Fate, Operation, Outcome
from include.leadsync.model import Entity, LinkStatus, OperationKind
from include.leadsync.schema import Schema
from include.leadsync.state import Links

_LIVE = {status.value for status in (LinkStatus.ACTIVE, LinkStatus.CREATING, LinkStatus.SUSPENDED)}
_ABOUT_PERSONS = {OperationKind.FLAG_DELETED.value, OperationKind.MERGE_PERSONS.value}
_ENDS = (OperationKind.DEACTIVATE.value, OperationKind.DELETE_ROW.value)


def withdrawn(operation: Operation, why: str) -> Outcome:
    """The outcome of an operation that is not sent, or was refused, because it no longer holds."""
    code, what = _TOLD[operation.kind]
    return Outcome(operation, Fate.WITHDRAWN, code, f"{what}: {why}")


def still_due(engine: Engine, schema: Schema, operations: Sequence[Operation]) -> tuple[list[Operation], list[Outcome]]:
    """Those operations that still hold, and the outcomes of the others."""
    settled = {outcome.operation.op_id: outcome for outcome in _of_persons(engine, operations)}
    versions: dict[str, str] = {}
    for entity in Entity:
        for action in _ENDS:
            mine = [op for op in operations if op.entity == entity and op.kind == action]
            if mine:
                outcomes, due = _of_records(engine, schema, entity, action, mine)
                settled |= {outcome.operation.op_id: outcome for outcome in outcomes}
                versions |= due
    settled |= {outcome.operation.op_id: outcome for outcome in _of_merges(engine, operations)}
    due_now = [op for op in operations if op.op_id not in settled]
    due_now = [replace(op, etag=versions[op.op_id]) if op.op_id in versions else op for op in due_now]
    return due_now, list(settled.values())


def _of_persons(engine: Engine, operations: Sequence[Operation]) -> list[Outcome]:
    of_links = {OperationKind.LINK, OperationKind.MERGE_PERSONS}  # they need the link they were planned for
    ended = [op for op in operations if op.kind in of_links and op.link_status not in {*_LIVE, None}]
    about = {op.op_id: _person(op) for op in operations if op.kind in _ABOUT_PERSONS}
    persons = sorted({person for person in about.values() if person is not None})
    linked = set(Links(engine.store).by_person(persons)["person_id"].to_pylist()) if persons else set()
    again = [op for op in operations if op.op_id in about and about[op.op_id] in linked]
    return [
        *(withdrawn(op, "the link has ended since") for op in ended),
        *(withdrawn(op, "the person has a CRM record again") for op in again),
    ]


def _person(operation: Operation) -> int | None:
    """Who is marked, or merged away."""
    if operation.kind == OperationKind.MERGE_PERSONS:
        return next((int(write.after) for write in operation.writes if write.after), None)
    return operation.person_id


def _of_records(
    engine: Engine, schema: Schema, entity: Entity, action: str, mine: Sequence[Operation]
) -> tuple[list[Outcome], dict[str, str]]:
    """Outcomes of what is not sent, and the version to be written to of the rest, by operation."""
    try:
        look = second_look(engine, schema, entity, [str(op.crm_id) for op in mine], action)
    except RetryLater as later:
        name = type(later).__name__
        return [Outcome(op, Fate.LATER, name, str(later), retry_after=later.after) for op in mine], {}
    outcomes = []
    for op in mine:
        if op.crm_id in look.done and op.attempts > 1:  # an attempt whose answer was lost
            outcomes.append(Outcome(op, Fate.DONE))
        elif op.crm_id not in look.due:
            outcomes.append(withdrawn(op, _NOT_WANTED))
    return outcomes, {op.op_id: look.due[str(op.crm_id)] for op in mine if op.crm_id in look.due}


def _of_merges(engine: Engine, operations: Sequence[Operation]) -> list[Outcome]:
    """CRM records are merged only while one is nobody's and the other is that of its link; done is done."""
    found: list[Outcome] = []
    for op in (op for op in operations if op.kind == OperationKind.MERGE_ROWS):
        loser = str(op.writes[0].after)
        entity = Entity(op.entity)
        live = {
            row["crm_id"]: row["link_id"] for row in Links(engine.store).by_crm([str(op.crm_id), loser]).to_pylist()
        }
        try:
            raw = engine.dynamics.rows(entity, [loser, str(op.crm_id)], {MERGED: "boolean", MASTER: "text"})
        except RetryLater as later:
            found.append(Outcome(op, Fate.LATER, type(later).__name__, str(later), retry_after=later.after))
            continue
        rows = {row["id"]: row for row in raw.to_pylist()}
        if rows.get(loser, {}).get(MERGED):
            found.append(Outcome(op, Fate.DONE))
        elif loser not in rows or op.crm_id not in rows or loser in live or live.get(op.crm_id) != op.link_id:
            found.append(withdrawn(op, "one of them is gone, or belongs to somebody else by now"))
    return found


_NOT_WANTED = "it changed, belongs to somebody, is gone already, or lifecycle.delete_in_dynamics no longer names it"
_TOLD = {
    OperationKind.LINK.value: ("link_withdrawn", "the person was not told of its CRM record"),
    OperationKind.FLAG_DELETED.value: ("flag_withdrawn", "the person was not marked as deleted"),
    OperationKind.MERGE_PERSONS.value: ("merge_withdrawn", "the persons were not merged"),
    OperationKind.MERGE_ROWS.value: ("merge_withdrawn", "the records were not merged"),
    OperationKind.DEACTIVATE.value: ("deletion_withdrawn", "the record of a deleted person was not closed"),
    OperationKind.DELETE_ROW.value: ("deletion_withdrawn", "the record of a deleted person was not deleted"),
}
"""Kind of operation → code and beginning of the message of the notice."""
