"""What a salesperson's screens show: tables with their columns, rows found by text, rows that point to a row.

Control commands; no right is checked and nothing is counted, as no API call is made.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from decimal import Decimal

from include.sandbox.dynamics.call import World
from include.sandbox.dynamics.collation import fold
from include.sandbox.dynamics.documents import Row, extract, row_from
from include.sandbox.dynamics.schema import Column, Table
from include.sandbox.dynamics.values import parse_guid
from include.sandbox.service import Json

Arguments = Mapping[str, Json]
_MOST = 500
_SHOWN = ("fullname", "emailaddress1", "internalemailaddress", "companyname", "subject", "name", "modifiedon")


def list_tables(world: World, _arguments: Arguments) -> Json:
    """`{}`: `[{name, set, key, primaryName}]`."""
    return [
        {"name": table.name, "set": table.set, "key": table.key, "primaryName": table.primary_name}
        for table in world.schema.tables.values()
    ]


def describe_table(world: World, arguments: Arguments) -> Json:
    """`{entity}`: name, set, key, primaryName and `columns` of a table.

    A column is `{name, label, type, format, maxLength, required, create, update, targets, options, navigation}`;
    `options` pairs number and label, `navigation` maps a target table to the property that binds it.
    """
    table = world.schema.table(arguments["entity"])
    columns = [_column(column) for column in table.exposed]
    return {
        "name": table.name, "set": table.set, "key": table.key, "primaryName": table.primary_name, "columns": columns,
        "sets": {one.name: one.set for one in world.schema.tables.values()},
    }  # fmt: skip


def find_rows(world: World, arguments: Arguments) -> Json:
    """`{entity, text? (""), limit? (50)}`: rows by id, exact e-mail address or part of the primary name, newest first.

    Without a text they are those changed last. Returns `[{id, name, email, ...}]`.
    """
    table = world.schema.table(arguments["entity"])
    text, limit = str(arguments.get("text") or "").strip(), _limit(arguments)
    with world.storage.read() as connection:
        return [_summary(row) for row in _search(connection, table, text, limit)]


def related_rows(world: World, arguments: Arguments) -> Json:
    """`{entity, id, limit? (50)}`: rows that point to a row through an indexed relationship.

    Returns `[{relationship, entity, id, name, ...}]`: what hangs on an account, activities regarding a lead, ...
    """
    table, row_id = world.schema.table(arguments["entity"]), parse_guid(str(arguments["id"])) or ""
    limit, found = _limit(arguments), []
    with world.storage.read() as connection:
        for relationship in world.schema.collections(table.name).values():
            child = world.schema.tables.get(relationship.child)
            if child is None or not relationship.indexed:
                continue
            where = f"{extract(child, relationship.column)} = ?"
            rows = _rows(connection, child, f"WHERE {where} ORDER BY version DESC LIMIT ?", (row_id, limit))
            found += [{"relationship": relationship.name, "entity": child.name, **_summary(row)} for row in rows]
    return found[:limit]


def _column(column: Column) -> dict[str, Json]:
    return {
        "name": column.name, "label": column.label, "type": column.type, "format": column.format,
        "maxLength": column.max_length, "required": column.required, "create": column.create, "update": column.update,
        "targets": list(column.targets), "options": [[option.value, option.label] for option in column.options],
        "navigation": {target: name for name, target in column.navigation},
    }  # fmt: skip


def _search(connection: sqlite3.Connection, table: Table, text: str, limit: int) -> Iterator[Row]:
    if not text:
        return _rows(connection, table, "ORDER BY version DESC LIMIT ?", (limit,))
    row_id = parse_guid(text)
    if row_id is not None:
        return _rows(connection, table, "WHERE id = ? LIMIT ?", (row_id, limit))
    if "@" in text and "emailaddress1" in table.columns:
        return _rows(connection, table, "WHERE email = ? ORDER BY version DESC LIMIT ?", (fold(text), limit))
    # No index helps with a part of a name: a million rows take some seconds.
    name = extract(table, table.primary_name)
    where = f"WHERE instr(dv_fold({name}), ?) ORDER BY version DESC LIMIT ?"
    return _rows(connection, table, where, (fold(text), limit))


def _rows(connection: sqlite3.Connection, table: Table, rest: str, arguments: tuple[Json, ...]) -> Iterator[Row]:
    query = f'SELECT id, version, doc FROM "r_{table.name}" {rest}'  # noqa: S608 - own names and conditions
    return (row_from(table, *found) for found in connection.execute(query, arguments).fetchall())


def _summary(row: Row) -> dict[str, Json]:
    shown = {name: row.values[name] for name in _SHOWN if row.values.get(name) is not None}
    name = row.values.get(row.table.primary_name)
    plain = {key: float(value) if isinstance(value, Decimal) else value for key, value in shown.items()}
    return {"id": row.id, "version": row.version, "name": name, **plain}


def _limit(arguments: Arguments) -> int:
    return max(1, min(_MOST, int(arguments.get("limit") or 50)))


DESK = (list_tables, describe_table, find_rows, related_rows)
"""The commands, by their own names."""
