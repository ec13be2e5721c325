"""Rows in the database: a compact JSON document beside the few columns that queries ask for often.

A document holds, under short column codes, only what is neither null nor the out-of-the-box default
(a null where there is such a default is written down). Key and version live in columns of their
own. Decimal numbers keep their digits in both directions.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

import msgspec

from include.sandbox.dynamics.collation import fold
from include.sandbox.dynamics.schema import Table
from include.sandbox.dynamics.storage import Transaction
from include.sandbox.service import Json

decode_document = msgspec.json.Decoder(float_hook=Decimal).decode
_encode = msgspec.json.Encoder(decimal_format="number").encode


@dataclass(slots=True)
class Row:
    """One row: values by logical name, nulls absent or None, without key and version."""

    table: Table
    id: str
    version: int
    values: dict[str, Json]

    def get(self, name: str) -> Json:
        """A value by logical name, the key and the version included; None for what is kept from the caller."""
        if self.table.hides(name):
            return None
        return self.stored(name)

    def stored(self, name: str) -> Json:
        """A value by logical name as it is, whoever asks."""
        if self.table.is_key(name):
            return self.id
        return self.version if name == "versionnumber" else self.values.get(name)


def row_from(table: Table, row_id: str, version: int, document: str | bytes) -> Row:
    """A row from its stored form."""
    stored = decode_document(document)
    names = table.names
    values = dict(table.implied)
    # A table that shows the rows of others (`activitypointer`) lacks the columns that are theirs alone.
    values.update((names[code], value) for code, value in stored.items() if code in names)
    return Row(table, row_id, version, values)


def fetch(connection: sqlite3.Connection, table: Table, row_id: str) -> Row | None:
    """A row by key (lower case), or None."""
    query = f'SELECT id, version, doc FROM "r_{table.name}" WHERE id = ?'  # noqa: S608 - own table names
    found = connection.execute(query, (row_id,)).fetchone()
    return None if found is None else row_from(table, *found)


def exists(connection: sqlite3.Connection, table: Table, row_id: str) -> bool:
    """Whether a row has this key."""
    query = f'SELECT 1 FROM "r_{table.name}" WHERE id = ?'  # noqa: S608 - own table names
    return connection.execute(query, (row_id,)).fetchone() is not None


def extract(table: Table, column: str, alias: str = "") -> str:
    """SQL for a stored value of a column."""
    dotted = f"{alias}." if alias else ""
    where = f"""{dotted}doc, '$."{table.codes[column]}"'"""
    if column not in table.implied:
        return f"json_extract({where})"
    return f"iif(json_type({where}) IS NULL, {int(table.implied[column])}, json_extract({where}))"


def insert(transaction: Transaction, row: Row) -> None:
    """Store a new row under a new version; an older deletion of the same key is forgotten."""
    row.version = transaction.next_version()
    connection = transaction.connection
    connection.execute("DELETE FROM tombstone WHERE entity = ? AND id = ?", (row.table.name, row.id))
    connection.execute(
        f'INSERT INTO "r_{row.table.name}" (id, version, email, modified, state, doc) '  # noqa: S608 - own table names
        "VALUES (?, ?, ?, ?, ?, ?)",
        _columns(row.table, row.id, row.version, row.values),
    )


def update(transaction: Transaction, row: Row) -> None:
    """Store a changed row under a new version."""
    row.version = transaction.next_version()
    row_id, *rest = _columns(row.table, row.id, row.version, row.values)
    transaction.connection.execute(
        f'UPDATE "r_{row.table.name}" SET version = ?, email = ?, modified = ?, state = ?, doc = ? '  # noqa: S608
        "WHERE id = ?",
        (*rest, row_id),
    )


def delete(transaction: Transaction, table: Table, row_id: str) -> None:
    """Remove a row and leave a tombstone under a new version."""
    connection = transaction.connection
    connection.execute(f'DELETE FROM "r_{table.name}" WHERE id = ?', (row_id,))  # noqa: S608 - own table names
    connection.execute(
        "INSERT OR REPLACE INTO tombstone (entity, version, id) VALUES (?, ?, ?)",
        (table.name, transaction.next_version(), row_id),
    )


def insert_many(transaction: Transaction, table: Table, rows: Iterable[tuple[str, Mapping[str, Json]]]) -> int:
    """Store many new rows fast: pairs of key and values. Returns how many."""
    batch = list(rows)
    first = transaction.take_versions(len(batch))
    transaction.connection.executemany(
        f'INSERT INTO "r_{table.name}" (id, version, email, modified, state, doc) '  # noqa: S608 - own table names
        "VALUES (?, ?, ?, ?, ?, ?)",
        [_columns(table, row_id, first + offset, values) for offset, (row_id, values) in enumerate(batch)],
    )
    return len(batch)


def _columns(table: Table, row_id: str, version: int, values: Mapping[str, Json]) -> tuple[Json, ...]:
    codes, implied = table.codes, table.implied
    kept = {codes[name]: value for name, value in values.items() if value is not None and name not in implied}
    for name, usual in implied.items():
        value = values.get(name)
        if value != usual:
            kept[codes[name]] = value
    document = _encode(kept)
    email = fold(values.get("emailaddress1"))
    return row_id, version, email, values.get("modifiedon"), values.get("statecode"), document.decode()
