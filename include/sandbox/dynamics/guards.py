"""What can stop a write after its values are valid: plug-ins, alternate keys, duplicate rules."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping

from include.sandbox.dynamics.call import Call
from include.sandbox.dynamics.collation import fold
from include.sandbox.dynamics.documents import Row, fetch
from include.sandbox.dynamics.errors import ServiceError
from include.sandbox.dynamics.formatting import target_of
from include.sandbox.dynamics.live_schema import key_expression
from include.sandbox.dynamics.storage import read_setting
from include.sandbox.service import Json

# The column that makes a tree of a table.
HIERARCHIES: Mapping[str, str] = {"account": "parentaccountid", "contact": "parentcustomerid"}
_DUPLICATE_TABLES = frozenset({"lead", "contact", "account"})


def run_plugins(call: Call, connection: sqlite3.Connection, row: Row) -> None:
    """Fail a write that a test's plug-in refuses (V49, control command `fail_writes`)."""
    for plugin in read_setting(connection, "plugins", []):
        if plugin["entity"] != row.table.name or (plugin["bypassable"] and _bypassed(call)):
            continue
        if all(_equal(row.stored(name), value) for name, value in plugin["when"].items()):
            raise ServiceError(400, "0x80040265", plugin["message"])


def _bypassed(call: Call) -> bool:
    # Assumption: integration users hold the privilege to bypass custom logic.
    logic = call.headers.get("mscrm.bypassbusinesslogicexecution", "")
    plugin = call.headers.get("mscrm.bypasscustompluginexecution", "")
    return "customsync" in logic.lower() or plugin.lower() == "true"


def _equal(value: Json, wanted: Json) -> bool:
    if isinstance(value, str) and isinstance(wanted, str):
        return fold(value) == fold(wanted)
    return bool(value == wanted)


def check_hierarchy(connection: sqlite3.Connection, row: Row, before: Mapping[str, Json] | None) -> None:
    """405 for a row that would be its own ancestor (section 2.3).

    Assumption: contacts get the code that the vendor's list has for accounts.
    """
    column = HIERARCHIES.get(row.table.name)
    parent = None if column is None else row.values.get(column)
    if column is None or parent is None or (before is not None and before.get(column) == parent):
        return
    if row.id in ancestors(connection, row, column):
        text = f"Creating this parental association would create a loop in {row.table.schema_name}s hierarchy."
        raise ServiceError(405, "0x80040507", text)


def ancestors(connection: sqlite3.Connection, row: Row, column: str) -> set[str]:
    """Keys of the rows of the same table above a row."""
    found: set[str] = set()
    above: Row | None = row
    while above is not None and target_of(above, row.table.columns[column]) == row.table.name:
        parent = above.values.get(column)
        if parent is None or parent in found:
            break
        found.add(parent)
        above = None if parent == row.id else fetch(connection, row.table, parent)
    return found


def check_alternate_keys(connection: sqlite3.Connection, row: Row, before: Mapping[str, Json] | None) -> None:
    """412 when another row has the same alternate key; rows with nulls in it are free (V45)."""
    for key in row.table.keys:
        values = [row.values.get(name) for name in key.columns]
        unchanged = before is not None and all(before.get(name) == row.values.get(name) for name in key.columns)
        if unchanged or any(value is None for value in values):
            continue
        conditions = " AND ".join(f"{key_expression(row.table, name)} = ?" for name in key.columns)
        found = connection.execute(
            f'SELECT 1 FROM "r_{row.table.name}" WHERE {conditions} AND id <> ?',  # noqa: S608 - own names
            (*(_plain(value) for value in values), row.id),
        ).fetchone()
        if found is not None:
            text = (
                f"Entity Key {key.name} violated. A record with the same value for {', '.join(key.columns)} already "
                "exists. A duplicate record cannot be created. Select one or more unique values and try again."
            )
            raise ServiceError(412, "0x80060892", text)


def _plain(value: Json) -> Json:
    return fold(value) if isinstance(value, str) else json.loads(str(value).lower())


def check_duplicates(call: Call, connection: sqlite3.Connection, row: Row) -> None:
    """412 when the caller asked for detection and a row of the same table has the same e-mail (V48).

    Assumption: the rules that are published out of the box look at active rows of the same table.
    """
    if call.headers.get("mscrm.suppressduplicatedetection", "true").strip().lower() != "false":
        return
    email = fold(row.values.get("emailaddress1"))
    if row.table.name not in _DUPLICATE_TABLES or not email:
        return
    found = connection.execute(
        f'SELECT 1 FROM "r_{row.table.name}" WHERE email = ? AND id <> ? AND state = 0',  # noqa: S608 - own names
        (email, row.id),
    ).fetchone()
    if found is not None:
        text = "A record was not created or updated because a duplicate of the current record already exists."
        raise ServiceError(412, "0x80040333", text)
