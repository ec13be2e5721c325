"""What a salesperson does by hand: control commands that act as a named user, by the rules of the API."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from decimal import Decimal

from include.sandbox.dynamics.call import Call, Caller, World
from include.sandbox.dynamics.documents import Row, fetch
from include.sandbox.dynamics.errors import ServiceError
from include.sandbox.dynamics.merging import merge_rows as merge_two
from include.sandbox.dynamics.qualifying import Qualification, qualify
from include.sandbox.dynamics.users import find_user
from include.sandbox.dynamics.values import parse_guid
from include.sandbox.dynamics.writing import RowWriter
from include.sandbox.service import Json

Arguments = Mapping[str, Json]
_ROOT = "http://control/api/data/v9.2/"
_USUAL = "Ann Ax"


def edit_row(world: World, arguments: Arguments) -> Json:
    """`{entity, id, values, user?}`: a colleague edits a row (default Ann Ax), by the rules of the API.

    `values` is a body as the Web API takes it. Raises `ValueError` with the service's text when refused.
    """

    def act(writer: RowWriter) -> Json:
        row = _row(world, writer, arguments["entity"], arguments["id"])
        return _said(writer.update(row, _exact(arguments["values"])))

    return _as_user(world, arguments, act)


def delete_row(world: World, arguments: Arguments) -> Json:
    """`{entity, id, user?}`: a colleague deletes a row."""

    def act(writer: RowWriter) -> Json:
        row = _row(world, writer, arguments["entity"], arguments["id"])
        writer.delete(row)
        return _said(row)

    return _as_user(world, arguments, act)


def create_row(world: World, arguments: Arguments) -> Json:
    """`{entity, values, user?}`: a colleague creates a row; returns its id and version."""
    table = world.schema.table(arguments["entity"])
    return _as_user(world, arguments, lambda writer: _said(writer.create(table, _exact(arguments["values"]))))


def qualify_lead(world: World, arguments: Arguments) -> Json:
    """`{id, create_account?, create_contact?, create_opportunity?, status?, user?}`: a lead is qualified (V62).

    By default account and contact are created and no opportunity; `status` -1 is the default status reason.
    Answers the lead's id and version, and `created`: table name -> id.
    """

    def act(writer: RowWriter) -> Json:
        lead = _row(world, writer, "lead", arguments["id"])
        chosen = Qualification(
            account=bool(arguments.get("create_account", True)),
            contact=bool(arguments.get("create_contact", True)),
            opportunity=bool(arguments.get("create_opportunity", False)),
            status=int(arguments.get("status", -1)),
        )
        created = qualify(writer.call, writer, lead, chosen)
        return {**_said(lead), "created": {row.table.name: row.id for row in created}}

    return _as_user(world, arguments, act)


def merge_rows(world: World, arguments: Arguments) -> Json:
    """`{entity, target, subordinate, values?, user?}`: a colleague merges two rows, the target survives (V63).

    `values` are written to the target. Answers the id and version of the target, and those of the `subordinate`.
    """
    table = world.schema.table(arguments["entity"])

    def act(writer: RowWriter) -> Json:
        pair = [(table, _guid(arguments[name])) for name in ("target", "subordinate")]
        content = _exact(arguments.get("values") or {})
        keep, lose = merge_two(writer.call, writer, pair[0], pair[1], content, parenting_checks=False)
        return {**_said(keep), "subordinate": _said(lose)}

    return _as_user(world, arguments, act)


def _as_user(world: World, arguments: Arguments, act: Callable[[RowWriter], dict[str, Json]]) -> Json:
    with world.storage.write() as transaction:
        user = find_user(transaction.connection, world.schema, arguments.get("user") or _USUAL)
        call = Call(world, world.schema, Caller(user.id), "POST", "", "", "", {}, b"", _ROOT, transaction)
        try:
            return {**act(RowWriter(call, transaction)), "user": user.id}
        except ServiceError as error:
            message = f"{error.code} {error.message}"
            raise ValueError(message) from error


def _row(world: World, writer: RowWriter, entity: str, row_id: Json) -> Row:
    table = world.schema.table(entity)
    row = fetch(writer.connection, table, _guid(row_id))
    if row is None:
        message = f"no {table.name} has the id {row_id}"
        raise ValueError(message)
    return row


def _guid(value: Json) -> str:
    return parse_guid(str(value)) or ""


def _said(row: Row) -> dict[str, Json]:
    return {"id": row.id, "version": row.version}


def _exact(values: Json) -> Json:
    return json.loads(json.dumps(values), parse_float=Decimal)
