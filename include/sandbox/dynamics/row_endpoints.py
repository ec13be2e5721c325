"""POST, PATCH, PUT and DELETE on sets, rows, properties and references (sections 5 and 7)."""

from __future__ import annotations

import sqlite3

from include.sandbox.dynamics.addresses import Key, find, resolve
from include.sandbox.dynamics.call import Call
from include.sandbox.dynamics.documents import Row, fetch
from include.sandbox.dynamics.errors import (
    ServiceError,
    bad_payload,
    bad_query,
    duplicate_key,
    missing_row,
    stale_version,
    unknown_segment,
)
from include.sandbox.dynamics.formatting import target_of
from include.sandbox.dynamics.payload import parse_body, referenced_row
from include.sandbox.dynamics.preferences import note_annotations
from include.sandbox.dynamics.reading import missing, row_answer, selection_of
from include.sandbox.dynamics.schema import Relationship, Table
from include.sandbox.dynamics.writing import RowWriter
from include.sandbox.service import Response


def create_row(call: Call, table: Table) -> Response:
    """POST on a set: 204 with the address, or 201 with the row (V31)."""
    call.check_options()
    body = parse_body(call, table.set)
    with call.writing() as transaction:
        row = RowWriter(call, transaction).create(table, body)
        return _written(call, transaction.connection, row, created=True, address=call.address(table, row.id))


def create_related(call: Call, table: Table, key: Key, name: str) -> Response:
    """POST on a collection of a row: a new row that points to it (OData 4.0 11.4.2); answers as POST on its set."""
    call.check_options()
    relationship = call.schema.collections(table.name)[name]
    child = call.schema.tables[relationship.child]
    body = parse_body(call, child.set)
    with call.writing() as transaction:
        parent = find(transaction.connection, table, key)
        if parent is None:
            raise missing(table, key)
        writer = RowWriter(call, transaction)
        row = writer.create(child, body)
        writer.point(row, relationship.column, parent.id, table.name)
        return _written(call, transaction.connection, row, created=True, address=call.address(child, row.id))


def patch_row(call: Call, table: Table, key: Key) -> Response:
    """PATCH on a row: update, or create when it is missing and nothing forbids it (V40, V41)."""
    call.check_options()
    body = parse_body(call, table.set)
    address = call.address(table, key.guid or key.text)
    with call.writing() as transaction:
        writer = RowWriter(call, transaction)
        row = find(transaction.connection, table, key)
        if row is None:
            if _condition(call) is not None:
                raise missing(table, key)
            row = _upsert(writer, table, key, body)
            return _written(call, transaction.connection, row, created=True, address=address)
        check_condition(call, row)
        for name, _ in key.values:
            body.pop(name, None)  # key columns in the body are ignored on update (section 6)
        writer.update(row, body)
        return _written(call, transaction.connection, row, created=False, address=address)


def _upsert(writer: RowWriter, table: Table, key: Key, body: dict[str, object]) -> Row:
    if key.guid is not None:
        return writer.create(table, {**body, table.key: key.guid})
    return writer.create(table, body, dict(key.values))


def upsert_target(writer: RowWriter, table: Table, key: Key, body: dict[str, object]) -> None:
    """One row of UpsertMultiple (V53)."""
    row = find(writer.connection, table, key)
    if row is not None:
        writer.update(row, {name: value for name, value in body.items() if name not in dict(key.values)})
    elif dict(key.values).keys() & body.keys():
        # A key column repeated in the body fails on the insert path (section 8).
        raise ServiceError(400, "0x80040216", "An unexpected error occurred.")
    else:
        _upsert(writer, table, key, body)


def _condition(call: Call) -> str | None:
    return call.headers.get("if-match") or None


def check_condition(call: Call, row: Row) -> None:
    """The matrix of section 5.4 for a row that exists (V41)."""
    if call.headers.get("if-none-match") == "*":
        raise duplicate_key()
    condition = _condition(call)
    if condition is None or condition == "*":
        return
    if not row.table.concurrency:
        text = f"Optimistic concurrency is not enabled for entity type {row.table.name}."
        raise ServiceError(400, "0x8006088D", text)
    if condition.strip() != f'W/"{row.version}"':
        raise stale_version()


def _written(call: Call, connection: sqlite3.Connection, row: Row, *, created: bool, address: str) -> Response:
    if not call.prefer.representation:
        return Response(204, b"", [("OData-EntityId", address)])
    call.prefer.applied.append("return=representation")
    note_annotations(call)
    answer = row_answer(call, connection, 201 if created else 200, row, selection_of(call, row.table))
    if created:
        answer.headers.append(("Location", call.address(row.table, row.id)))
    return answer


def delete_row(call: Call, table: Table, key: Key) -> Response:
    """DELETE on a row (V42)."""
    call.check_options()
    with call.writing() as transaction:
        row = _existing(call, transaction.connection, table, key)
        RowWriter(call, transaction).delete(row)
    return Response(204)


def _existing(call: Call, connection: sqlite3.Connection, table: Table, key: Key) -> Row:
    row = find(connection, table, key)
    if row is None:
        raise missing(table, key)
    check_condition(call, row)
    return row


def write_property(call: Call, table: Table, key: Key, name: str) -> Response:
    """PUT `{"value": ...}` or DELETE of one property (section 5.2)."""
    column = table.columns.get(name)
    if name not in table.by_wire or column is None or column.is_lookup:
        raise unknown_segment(name)
    value = None
    if call.method == "PUT":
        body = parse_body(call, table.set)
        if "value" not in body:
            raise bad_payload(table.set, "Microsoft.OData.ODataException: The property 'value' is missing.")
        value = body["value"]
    with call.writing() as transaction:
        row = _existing(call, transaction.connection, table, key)
        RowWriter(call, transaction).update(row, {name: value})
    return Response(204)


def write_reference(call: Call, table: Table, key: Key, name: str, child: str | None) -> Response:
    """PUT, POST and DELETE on `.../$ref`; `child` is the key in a collection's parentheses (section 7)."""
    relationship = call.schema.collections(table.name).get(name)
    with call.writing() as transaction:
        row = _existing(call, transaction.connection, table, key)
        call.demand("write", table)
        if name in table.navigation:
            _write_lookup(call, RowWriter(call, transaction), row, name)
        elif relationship is not None:
            _write_collection(call, RowWriter(call, transaction), row, relationship, child)
        else:
            raise unknown_segment(name)
    return Response(204)


def _write_lookup(call: Call, writer: RowWriter, row: Row, name: str) -> None:
    column, wanted = row.table.navigation[name]
    if call.method == "DELETE":
        writer.set_reference(row, column.name, None, None)
        return
    target, target_id = referenced_row(call, writer.connection, row.table)
    if target.name != wanted and not (wanted == "owner" and target.name in column.targets):
        raise bad_query(f"The reference is not of type {wanted}.")
    writer.set_reference(row, column.name, target_id, target.name)


def _write_collection(
    call: Call,
    writer: RowWriter,
    row: Row,
    relationship: Relationship,
    child: str | None,
) -> None:
    connection = writer.connection
    table = call.schema.tables[relationship.child]
    column = table.columns[relationship.column]
    if call.method == "DELETE":
        address = f"{table.set}({child})" if child is not None else call.option("$id") or ""
        _, child_id = resolve(connection, call.schema, call.root, address, call.references)
    else:
        _, child_id = referenced_row(call, connection, table)
    found = fetch(connection, table, child_id)
    if found is None:
        raise missing_row(table.name, child_id)
    if call.method != "DELETE":
        writer.set_reference(found, column.name, row.id, row.table.name)
    elif found.values.get(column.name) == row.id and target_of(found, column) == row.table.name:
        writer.set_reference(found, column.name, None, None)
