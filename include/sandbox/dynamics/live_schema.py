"""The schema in force: the catalog plus the changes that tests made, kept in the database (V61)."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

from include.sandbox.dynamics import catalog
from include.sandbox.dynamics.changing import CHANGES, custom_table, forgets_values
from include.sandbox.dynamics.documents import extract
from include.sandbox.dynamics.relating import completed
from include.sandbox.dynamics.schema import FIRST_REVISION, AlternateKey, Schema, Table
from include.sandbox.dynamics.storage import Storage, Transaction
from include.sandbox.service import Json

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


class LiveSchema:
    """Holds the current `Schema`; a change replaces it once its transaction is committed."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        storage.ensure_rows(_shown_tables())
        self.current, complete = self._kept()
        if not complete:
            with storage.write() as transaction:  # of two processes that open a new file, each sees the other's codes
                self.current = self._rebuild(transaction.connection)
        storage.ensure_lookup_indexes(
            (entry.child, entry.column, self.current.tables[entry.child].codes[entry.column])
            for entry in catalog.relationships()
            if entry.indexed and entry.column in self.current.tables[entry.child].columns
        )

    def change(self, command: str, arguments: Mapping[str, Json]) -> None:
        """Apply one of `changing.CHANGES`, `add_table` or `remove_table`; older delta tokens of the table expire.

        Raises `ValueError` or `KeyError` for arguments that make no sense.
        """
        self.change_all([(command, arguments)])

    def change_all(self, changes: Sequence[tuple[str, Mapping[str, Json]]]) -> None:
        """Apply changes in order, all or none."""
        for command, arguments in changes:
            if command == "add_table":
                custom_table(self.current.tables, arguments)
                self._storage.ensure_rows({arguments["entity"]: []})
        with self._storage.write() as transaction:
            schema = self.current
            for command, arguments in changes:
                schema = self._step(transaction, schema, command, arguments)
        self.current = schema

    def _step(self, transaction: Transaction, before: Schema, command: str, arguments: Mapping[str, Json]) -> Schema:
        name, connection = arguments["entity"], transaction.connection
        if command == "remove_table":
            _forget_table(connection, before, name)
        elif command != "add_table":
            table = before.table(name)
            CHANGES[command](table, arguments)  # refuses what is wrong before it is recorded
            if forgets_values(table, command, arguments):
                _retire(connection, table, arguments["attribute"])
        connection.execute(
            "INSERT INTO schema_change (command, arguments) VALUES (?, ?)", (command, json.dumps(dict(arguments)))
        )
        expire_delta_tokens(transaction, name)
        schema = self._rebuild(connection)
        if command == "add_key":
            _index_key(connection, schema.tables[name], schema.tables[name].keys[-1])
        return schema

    def _kept(self) -> tuple[Schema, bool]:
        """The schema of the file, and whether the file has all codes of it: most starts have nothing to write."""
        with self._storage.read() as connection:
            schema, fresh = _stored_schema(connection)
        return schema, not fresh

    def _rebuild(self, connection: sqlite3.Connection) -> Schema:
        schema, fresh = _stored_schema(connection)
        if fresh:
            connection.executemany("INSERT INTO column_code VALUES (?, ?, ?)", fresh)
        return schema


def _stored_schema(connection: sqlite3.Connection) -> tuple[Schema, list[tuple[str, str, str]]]:
    changes = connection.execute("SELECT command, arguments FROM schema_change ORDER BY seq").fetchall()
    # Three texts are fetched and compared in a fifth of the time of a thousand rows.
    codes = connection.execute(
        "SELECT json_group_array(entity), json_group_array(name), json_group_array(code) FROM column_code"
    ).fetchone()
    return _schema_of(tuple(changes), codes)


@lru_cache(maxsize=8)
def _schema_of(
    changes: tuple[tuple[str, str], ...], stored: tuple[str, str, str]
) -> tuple[Schema, list[tuple[str, str, str]]]:
    """The schema after these changes, and the codes (table, column, code) that the `stored` ones lack.

    `stored` are three JSON lists: tables, columns, codes.

    Kept for the orgs that this process opens next: most have no changes of their own, and a schema is never changed.
    """
    tables = {entry["name"]: _plain_table(entry) for entry in catalog.tables()}
    for command, arguments in changes:
        values = json.loads(arguments)
        name = values["entity"]
        if command == "remove_table":
            del tables[name]
        elif command == "add_table":
            tables[name] = custom_table(tables, values)
        else:
            tables[name] = CHANGES[command](tables[name], values)
    known: dict[str, dict[str, str]] = {name: {} for name in tables}
    for name, column, code in zip(*map(json.loads, stored), strict=True):
        known.setdefault(name, {})[column] = code
    fresh: list[tuple[str, str, str]] = []
    # Bases first: the tables whose rows they show use their codes.
    coded: dict[str, Table] = {}
    for table in sorted(tables.values(), key=lambda table: table.base is not None):
        base = coded[table.base].codes if table.base is not None else {}
        fresh += _code(table, known[table.name], base)
        coded[table.name] = replace(table, codes=known[table.name])
    ordered = {name: coded[name] for name in tables}
    relationships = [r for r in catalog.relationships() if r.column in ordered[r.child].columns]
    return Schema(ordered.values(), completed(ordered, relationships), FIRST_REVISION + len(changes)), fresh


def expire_delta_tokens(transaction: Transaction, table: str) -> None:
    """Make every delta token of the table given out so far too old (V29)."""
    transaction.set(f"delta_floor:{table}", transaction.next_version())


def _plain_table(entry: Mapping[str, Json]) -> Table:
    return Table(**entry, columns=catalog.columns()[entry["name"]], codes={}, implied=catalog.implied(entry["name"]))


def _shown_tables() -> dict[str, list[str]]:
    """Each table with the tables whose rows it shows: none for those that keep rows of their own."""
    shown: dict[str, list[str]] = {entry["name"]: [] for entry in catalog.tables()}
    for entry in catalog.tables():
        if "base" in entry:
            shown[entry["base"]].append(entry["name"])
    return shown


def _code(table: Table, known: dict[str, str], base: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Give codes to the columns that have none yet; returns what is new: table, column, code."""
    fresh = [name for name in table.columns if name not in known]
    for name in fresh:
        own = f"_{_short(len(known))}" if table.base is not None else _short(len(known))
        known[name] = base.get(name, own)
    return [(table.name, name, known[name]) for name in fresh]


def _short(number: int) -> str:
    high, low = divmod(number, len(_DIGITS))
    return (_short(high - 1) if high else "") + _DIGITS[low]


def _retire(connection: sqlite3.Connection, table: Table, column: str) -> None:
    """Keep the code of a column from ever being used again: what was stored under it is forgotten."""
    retired = f"{column}#{table.codes[column]}"
    connection.execute("UPDATE column_code SET name = ? WHERE entity = ? AND name = ?", (retired, table.name, column))
    if column == "emailaddress1":
        connection.execute(f'UPDATE "r_{table.name}" SET email = NULL')  # noqa: S608 - own table names


def _forget_table(connection: sqlite3.Connection, schema: Schema, name: str) -> None:
    """Delete the rows of a custom table and all that is known of it; raises `ValueError` for one that is needed."""
    table = schema.table(name)
    if not table.custom:
        message = f"the table {name!r} is none of yours"
        raise ValueError(message)
    pointing = [r.child for r in schema.collections(name).values() if r.child != name]
    if pointing:
        message = f"the table {name!r} cannot be deleted: lookups of {pointing[0]} point to it"
        raise ValueError(message)
    connection.execute(f'DELETE FROM "r_{name}"')  # noqa: S608 - own table names
    connection.execute("DELETE FROM tombstone WHERE entity = ?", (name,))
    connection.execute("DELETE FROM column_code WHERE entity = ?", (name,))


def key_expression(table: Table, name: str, alias: str = "") -> str:
    """SQL for a key column as uniqueness compares it."""
    return f"dv_fold({extract(table, name, alias)})"


def _index_key(connection: sqlite3.Connection, table: Table, key: AlternateKey) -> None:
    expressions = ", ".join(key_expression(table, name) for name in key.columns)
    connection.execute(f'CREATE INDEX IF NOT EXISTS "k_{table.name}_{key.name}" ON "r_{table.name}" ({expressions})')
