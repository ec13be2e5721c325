"""The schema in force: the catalog plus the changes that tests made, kept in the database (V61)."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from decimal import Decimal

from include.sandbox.dynamics import catalog
from include.sandbox.dynamics.documents import extract
from include.sandbox.dynamics.schema import FIRST_REVISION, LOOKUP, AlternateKey, Column, Schema, Table
from include.sandbox.dynamics.storage import Storage, Transaction
from include.sandbox.service import Json

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_TYPES = frozenset(
    {"String", "Memo", "Integer", "Decimal", "Double", "Money", "Boolean", "DateTime", "Picklist", "Lookup"}
    | {"MultiSelectPicklist", "Uniqueidentifier"}
)
_NUMBERS = frozenset({"minimum", "maximum"})
_FIXED = frozenset({"table", "name", "type", "custom", "navigation"})
_SHAPE = frozenset(entry.name for entry in fields(Column)) - _FIXED


class LiveSchema:
    """Holds the current `Schema`; a change replaces it once its transaction is committed."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        storage.ensure_rows(_shown_tables())
        with storage.write() as transaction:
            self.current = self._rebuild(transaction.connection)
        storage.ensure_lookup_indexes(
            (entry.child, entry.column, self.current.tables[entry.child].codes[entry.column])
            for entry in catalog.relationships()
            if entry.indexed
        )

    def change(self, command: str, arguments: Mapping[str, Json]) -> None:
        """Apply `set_metadata`, `add_attribute` or `add_key`; older delta tokens of the table expire.

        Raises `ValueError` or `KeyError` for arguments that make no sense.
        """
        with self._storage.write() as transaction:
            table = self.current.table(arguments["entity"])
            _CHANGES[command](table, arguments)  # refuses what is wrong before it is recorded
            transaction.connection.execute(
                "INSERT INTO schema_change (command, arguments) VALUES (?, ?)", (command, json.dumps(dict(arguments)))
            )
            expire_delta_tokens(transaction, table.name)
            schema = self._rebuild(transaction.connection)
            if command == "add_key":
                _index_key(transaction.connection, schema.tables[table.name], schema.tables[table.name].keys[-1])
        self.current = schema

    def _rebuild(self, connection: sqlite3.Connection) -> Schema:
        tables = {entry["name"]: _plain_table(entry) for entry in catalog.tables()}
        for command, arguments in connection.execute("SELECT command, arguments FROM schema_change ORDER BY seq"):
            values = json.loads(arguments)
            tables[values["entity"]] = _CHANGES[command](tables[values["entity"]], values)
        # Bases first: the tables whose rows they show use their codes.
        coded: dict[str, Table] = {}
        for table in sorted(tables.values(), key=lambda table: table.base is not None):
            base = coded[table.base].codes if table.base is not None else {}
            coded[table.name] = replace(table, codes=_codes(connection, table, base))
        changes = int(connection.execute("SELECT count(*) FROM schema_change").fetchone()[0])
        return Schema([coded[name] for name in tables], catalog.relationships(), FIRST_REVISION + changes)


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


def _codes(connection: sqlite3.Connection, table: Table, base: Mapping[str, str]) -> dict[str, str]:
    known = dict(connection.execute("SELECT name, code FROM column_code WHERE entity = ?", (table.name,)).fetchall())
    for name in table.columns:
        if name not in known:
            own = f"_{_short(len(known))}" if table.base is not None else _short(len(known))
            known[name] = base.get(name, own)
            connection.execute("INSERT INTO column_code VALUES (?, ?, ?)", (table.name, name, known[name]))
    return known


def _short(number: int) -> str:
    high, low = divmod(number, len(_DIGITS))
    return (_short(high - 1) if high else "") + _DIGITS[low]


def _shape(changes: Mapping[str, Json]) -> dict[str, Json]:
    unknown = set(changes) - _SHAPE
    if unknown:
        message = f"unknown column properties {sorted(unknown)}; known: {sorted(_SHAPE)}"
        raise ValueError(message)
    shaped = dict(changes)
    for name in _NUMBERS & set(shaped):
        shaped[name] = None if shaped[name] is None else Decimal(str(shaped[name]))
    if "options" in shaped:
        shaped["options"] = catalog.parse_options(shaped["options"])
    if "targets" in shaped:
        shaped["targets"] = tuple(shaped["targets"])
    return shaped


def _set_metadata(table: Table, arguments: Mapping[str, Json]) -> Table:
    changes = arguments["changes"]
    name = arguments.get("attribute")
    if name is None:
        if set(changes) - {"tracking", "concurrency"}:
            message = "a table has the properties tracking and concurrency"
            raise ValueError(message)
        return replace(table, **changes)
    if name not in table.columns:
        message = f"unknown attribute {name!r} of {table.name}"
        raise ValueError(message)
    return replace(table, columns={**table.columns, name: replace(table.columns[name], **_shape(changes))})


def _add_attribute(table: Table, arguments: Mapping[str, Json]) -> Table:
    name, kind = arguments["attribute"], arguments["type"]
    if name in table.columns or kind not in _TYPES:
        message = f"attribute {name!r} exists already" if name in table.columns else f"unknown type {kind!r}"
        raise ValueError(message)
    rest = {key: value for key, value in arguments.items() if key not in {"entity", "attribute", "type"}}
    shape = {"schema_name": name, "label": name, **_defaults(kind), **_shape(rest)}
    # A custom lookup's navigation property is its schema name, mixed case (section 14.6).
    navigation = tuple((shape["schema_name"], target) for target in shape.get("targets", ()) if kind in LOOKUP)
    column = Column(table=table.name, name=name, type=kind, custom=True, navigation=navigation, **shape)
    return replace(table, columns={**table.columns, name: column})


def _defaults(kind: str) -> dict[str, Json]:
    per_type: dict[str, dict[str, Json]] = {
        "String": {"max_length": 100, "format": "Text"},
        "Memo": {"max_length": 2000, "format": "TextArea"},
        "Integer": {"minimum": Decimal(-(2**31)), "maximum": Decimal(2**31 - 1), "format": "None"},
        "Decimal": {"minimum": Decimal(-(10**11)), "maximum": Decimal(10**11), "precision": 2},
        "Double": {"minimum": Decimal(0), "maximum": Decimal(10**9), "precision": 2},
        "Money": {"minimum": Decimal(-922337203685477), "maximum": Decimal(922337203685477), "precision": 2},
        "DateTime": {"format": "DateAndTime", "behaviour": "UserLocal"},
        "Boolean": {"options": catalog.parse_options([{"value": 0, "label": "No"}, {"value": 1, "label": "Yes"}])},
    }
    return per_type.get(kind, {})


def _add_key(table: Table, arguments: Mapping[str, Json]) -> Table:
    key = AlternateKey(arguments["name"], tuple(arguments["columns"]))
    if not key.columns or any(name not in table.columns for name in key.columns):
        message = f"key {key.name!r} names columns that {table.name} lacks"
        raise ValueError(message)
    return replace(table, keys=(*table.keys, key))


def key_expression(table: Table, name: str, alias: str = "") -> str:
    """SQL for a key column as uniqueness compares it."""
    return f"dv_fold({extract(table, name, alias)})"


def _index_key(connection: sqlite3.Connection, table: Table, key: AlternateKey) -> None:
    expressions = ", ".join(key_expression(table, name) for name in key.columns)
    connection.execute(f'CREATE INDEX IF NOT EXISTS "k_{table.name}_{key.name}" ON "r_{table.name}" ({expressions})')


_CHANGES: Mapping[str, Callable[[Table, Mapping[str, Json]], Table]] = {
    "set_metadata": _set_metadata,
    "add_attribute": _add_attribute,
    "add_key": _add_key,
}
