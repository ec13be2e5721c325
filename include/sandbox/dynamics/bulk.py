"""CreateMultiple, UpdateMultiple, UpsertMultiple: one transaction each (section 8, V51-V54)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from include.sandbox.dynamics.addresses import parse_key, parse_path, relative
from include.sandbox.dynamics.call import Call
from include.sandbox.dynamics.documents import fetch
from include.sandbox.dynamics.errors import ServiceError, bad_payload, bad_query, missing_row, unknown_segment
from include.sandbox.dynamics.messages import messages_of
from include.sandbox.dynamics.parameters import NAMESPACE
from include.sandbox.dynamics.payload import parse_parameters
from include.sandbox.dynamics.row_endpoints import upsert_target
from include.sandbox.dynamics.schema import Table
from include.sandbox.dynamics.values import parse_guid
from include.sandbox.dynamics.writing import RowWriter
from include.sandbox.service import Json, Response

Targets = list[dict[str, Json]]


def bulk(call: Call, table: Table, action: str) -> Response:
    """Carry out one bulk action; the first bad row undoes all of them (V52)."""
    if action not in {"DeleteMultiple", *messages_of(table)}:
        raise unknown_segment(f"{NAMESPACE}{action}")
    if action == "DeleteMultiple":
        raise ServiceError(400, "0x80040216", "DeleteMultiple has not yet been implemented.")
    targets = _targets(call, table, action)
    with call.writing() as transaction:
        return BULK_ACTIONS[action](call, RowWriter(call, transaction), table, targets)


def _targets(call: Call, table: Table, action: str) -> Targets:
    targets = parse_parameters(call, action, ("Targets",), table.set).get("Targets")
    if not isinstance(targets, list) or not all(isinstance(target, dict) for target in targets):
        raise bad_payload(table.set, "Microsoft.OData.ODataException: The parameter 'Targets' is missing.")
    if len(targets) > call.world.options.bulk_limit:
        text = f"The number of targets exceeds the limit of {call.world.options.bulk_limit}."
        raise ServiceError(413, "0x8004418A", text)
    for target in targets:
        kind = str(target.get("@odata.type", "")).removeprefix("#")
        if kind != f"{NAMESPACE}{table.name}":
            detail = "Microsoft.OData.ODataException: The '@odata.type' of a target is missing or of another table."
            raise bad_payload(table.set, detail)
    return targets


def _create(call: Call, writer: RowWriter, table: Table, targets: Targets) -> Response:
    ids = [writer.create(table, target).id for target in targets]
    context = f"{call.root}$metadata#Microsoft.Dynamics.CRM.CreateMultipleResponse"
    return call.json(200, {"@odata.context": context, "Ids": ids})


def _update(_call: Call, writer: RowWriter, table: Table, targets: Targets) -> Response:
    seen: set[str] = set()
    for target in targets:
        row_id = parse_guid(str(target.get(table.key, "")))
        if row_id is None or row_id in seen:
            text = "Expected non-empty Guid." if row_id is None else f"Duplicate target {row_id}."
            raise ServiceError(400, "0x80040203", text)
        seen.add(row_id)
        row = fetch(writer.connection, table, row_id)
        if row is None:
            raise missing_row(table.name, row_id)
        writer.update(row, target)
    return Response(204)


def _upsert(call: Call, writer: RowWriter, table: Table, targets: Targets) -> Response:
    for target in targets:
        body = {name: value for name, value in target.items() if name != "@odata.id"}
        key_text = str(body.pop(table.key, ""))
        address = target.get("@odata.id")
        if address is not None:
            key_text = _key_text(table, relative(call.root, str(address)))
        upsert_target(writer, table, parse_key(table, key_text), body)
    return Response(204)


def _key_text(table: Table, address: str) -> str:
    segments = parse_path(address)
    if len(segments) != 1 or segments[0].name != table.set or segments[0].key is None:
        raise bad_query(f"The address '{address}' is no row of {table.set}.")
    return segments[0].key


def _none(_call: Call, _writer: RowWriter, _table: Table, _targets: Targets) -> Response:
    return Response(204)


BULK_ACTIONS: Mapping[str, Callable[[Call, RowWriter, Table, Targets], Response]] = {
    "CreateMultiple": _create,
    "UpdateMultiple": _update,
    "UpsertMultiple": _upsert,
    "DeleteMultiple": _none,
}
