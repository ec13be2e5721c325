"""Parameters of actions: simple values and rows given as objects (section 15)."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from include.sandbox.dynamics.addresses import resolve
from include.sandbox.dynamics.call import Call
from include.sandbox.dynamics.errors import ServiceError, bad_payload
from include.sandbox.dynamics.schema import Table
from include.sandbox.dynamics.values import parse_guid
from include.sandbox.service import Json

NAMESPACE = "Microsoft.Dynamics.CRM."


def flag(action: str, body: Mapping[str, Json], name: str) -> bool:
    """A Boolean parameter that must be given; raises 400."""
    value = body.get(name)
    if value is None:
        raise ServiceError(400, "0x80040203", f"Required field '{name}' is missing")
    if not isinstance(value, bool):
        detail = f"Microsoft.OData.ODataException: Cannot convert the literal '{value}' to the expected type "
        raise bad_payload(action, f"{detail}'Edm.Boolean'.")
    return value


def row_type(value: Json) -> str | None:
    """The table that an object's `@odata.type` names, with or without `#`."""
    kind = value.get("@odata.type") if isinstance(value, dict) else None
    if not isinstance(kind, str):
        return None
    return kind.removeprefix("#").removeprefix(NAMESPACE)


def row_reference(
    call: Call, connection: sqlite3.Connection, action: str, body: Mapping[str, Json], name: str
) -> tuple[Table, str]:
    """Table and id of a parameter that is a row: `{"@odata.type", key}` or `{"@odata.id"}`.

    Whether the row exists is not checked. Raises 400 for anything else.
    """
    value = body.get(name)
    if value is None:
        raise ServiceError(400, "0x80040203", f"Required field '{name}' is missing")
    if isinstance(value, dict) and isinstance(value.get("@odata.id"), str):
        return resolve(connection, call.schema, call.root, value["@odata.id"], call.references)
    kind = row_type(value)
    if kind is None or kind not in call.schema.tables:
        detail = f"Microsoft.OData.ODataException: The '@odata.type' of '{name}' is missing or names no entity type."
        raise bad_payload(action, detail)
    table = call.schema.tables[kind]
    row_id = parse_guid(str(value.get(table.key, "")))
    if row_id is None:
        raise ServiceError(400, "0x80040203", "Expected non-empty Guid.")
    return table, row_id
