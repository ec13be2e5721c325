"""Rows past the API: the seed of a new org, generated people, edits of named users."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from itertools import islice

from include.sandbox.dynamics import catalog
from include.sandbox.dynamics.derived import compose_name, compute_money, default_values, exchange_rate, owner_values
from include.sandbox.dynamics.documents import Row, insert_many
from include.sandbox.dynamics.messages import message_rows
from include.sandbox.dynamics.schema import Schema, Table
from include.sandbox.dynamics.storage import Storage, Transaction, read_setting
from include.sandbox.dynamics.values import format_moment
from include.sandbox.service import Json

_CHUNK = 10_000


def seed(storage: Storage, schema: Schema, now: datetime) -> None:
    """Fill a new database with its organisation, users and currencies; once."""
    with storage.read() as connection:
        if read_setting(connection, "seeded"):
            return
    with storage.write() as transaction:
        if transaction.setting("seeded"):
            return
        for name, rows in catalog.seed()["rows"].items():
            _load_chunk(transaction, schema, schema.tables[name], rows, now)
        _describe_messages(transaction, schema, now)
        transaction.set("seeded", value=True)


def _describe_messages(transaction: Transaction, schema: Schema, now: datetime) -> None:
    rows: dict[str, list[Mapping[str, Json]]] = {}
    for name, row in message_rows(schema.tables.values()):
        rows.setdefault(name, []).append(row)
    for name, entries in rows.items():
        _load_chunk(transaction, schema, schema.tables[name], entries, now)


def load(storage: Storage, schema: Schema, table: Table, rows: Iterable[Mapping[str, Json]], now: datetime) -> int:
    """Insert rows of valid values by logical name, in chunks; returns how many.

    A lookup is given as the key of its row under its logical name; of several possible tables the
    first is meant unless the companion (`parentcustomeridtype`) names another. Raises `ValueError`
    for an unknown column.
    """
    stream: Iterator[Mapping[str, Json]] = iter(rows)
    total = 0
    while chunk := list(islice(stream, _CHUNK)):
        with storage.write() as transaction:
            total += _load_chunk(transaction, schema, table, chunk, now)
    return total


def _load_chunk(
    transaction: Transaction, schema: Schema, table: Table, rows: Iterable[Mapping[str, Json]], now: datetime
) -> int:
    loader = _Loader(transaction, schema, table, format_moment(now))
    return insert_many(transaction, table, [loader.complete(row) for row in rows])


class _Loader:
    def __init__(self, transaction: Transaction, schema: Schema, table: Table, now: str) -> None:
        self._connection = transaction.connection
        self._schema = schema
        self._table = table
        creator = next(a["user"] for a in catalog.seed()["applications"] if a["user"] is not None)
        stamps = {"createdon": now, "modifiedon": now, "createdby": creator, "modifiedby": creator}
        self._basis = default_values(table) | {n: v for n, v in stamps.items() if n in table.columns}
        self._owner: dict[str, Json] = {}
        if "ownerid" in table.columns:
            self._owner = owner_values(self._connection, schema, creator, "systemuser")
        self._polymorphic = [c for c in table.columns.values() if c.is_lookup and len(c.targets) > 1]
        self._rates: dict[str, Decimal] = {}

    def complete(self, given: Mapping[str, Json]) -> tuple[str, dict[str, Json]]:
        """Key and values of a row, with what the server would have filled in."""
        unknown = given.keys() - self._table.columns.keys()
        if unknown:
            message = f"unknown columns of {self._table.name}: {sorted(unknown)}"
            raise ValueError(message)
        values = {**self._basis, **self._owner, **given}
        row_id = str(values.pop(self._table.key, None) or uuid.uuid4()).lower()
        values.pop("versionnumber", None)
        if "ownerid" in given:
            kind = given.get("owneridtype") or "systemuser"
            values |= owner_values(self._connection, self._schema, given["ownerid"], kind)
        for column in self._polymorphic:
            if values.get(column.name) is not None:
                values.setdefault(f"{column.name}type", column.targets[0])
        for name in self._table.money:
            if isinstance(values.get(name), float):
                values[name] = Decimal(str(values[name]))
        row = Row(self._table, row_id, 0, values)
        compose_name(row)
        compute_money(row, self._rate)
        return row_id, row.values

    def _rate(self, currency: str) -> Decimal:
        if currency not in self._rates:
            self._rates[currency] = exchange_rate(self._connection, self._schema, currency)
        return self._rates[currency]
