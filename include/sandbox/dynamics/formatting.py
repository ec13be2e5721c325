"""Annotations beside values: labels, names of referenced rows, formatted numbers and dates (V15).

Assumption: the calling user's locale is English (United States), time zone UTC.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

from include.sandbox.dynamics.call import Prefer
from include.sandbox.dynamics.documents import Row, extract
from include.sandbox.dynamics.schema import CHOICE, Column, Schema, Table
from include.sandbox.service import Json

FORMATTED = "OData.Community.Display.V1.FormattedValue"
LOGICAL_NAME = "Microsoft.Dynamics.CRM.lookuplogicalname"
NAVIGATION = "Microsoft.Dynamics.CRM.associatednavigationproperty"

_BASE_SYMBOL, _BASE_PLACES = "$", 2

Annotate = Callable[[dict[str, Json], Row, Json], None]
Format = Callable[[Json], str | None]


class Annotator:
    """Annotations of a set of rows; referenced rows are looked up once per set."""

    def __init__(self, schema: Schema, prefer: Prefer) -> None:
        self._schema = schema
        self._formatted = prefer.wants(FORMATTED)
        self._logical = prefer.wants(LOGICAL_NAME)
        self._navigation = prefer.wants(NAVIGATION)
        self._names: dict[tuple[str, str], str | None] = {}
        self.active = self._formatted or self._logical or self._navigation

    def prepare(self, connection: sqlite3.Connection, rows: Sequence[Row], columns: Sequence[Column]) -> None:
        """Fetch the names that the rows' lookups need."""
        if not self._formatted or not rows:
            return
        wanted: dict[str, set[str]] = {}
        names = {column.name: column for column in columns if column.is_lookup}
        currency = rows[0].table.columns.get("transactioncurrencyid")
        if currency is not None and any(column.type == "Money" for column in columns):
            names[currency.name] = currency
        for name, column in names.items():
            for row in rows:
                value = row.values.get(name)
                if value is not None:
                    wanted.setdefault(target_of(row, column), set()).add(value)
        for table_name, ids in wanted.items():
            table = self._schema.tables.get(table_name)
            if table is not None:
                self._fetch(connection, table, sorted(ids))

    def _fetch(self, connection: sqlite3.Connection, table: Table, ids: Sequence[str]) -> None:
        shown = "currencysymbol" if table.name == "transactioncurrency" else table.primary_name
        query = (
            f"SELECT id, {extract(table, table.primary_name)}, {extract(table, shown)} "  # noqa: S608 - own names
            f'FROM "r_{table.name}" WHERE id IN (SELECT value FROM json_each(?))'
        )
        for row_id, name, extra in connection.execute(query, (json.dumps(list(ids)),)):
            self._names[table.name, row_id] = name
            self._names[f"{table.name}.symbol", row_id] = extra

    def plan(self, columns: Sequence[Column]) -> list[tuple[str, str, Annotate | None]]:
        """Wire name, logical name and annotating function of each column, made once for many rows."""
        return [(column.wire, column.name, self._annotate(column)) for column in columns]

    def named(self, column: Column, row: Row, name: str) -> dict[str, Json]:
        """The annotations of one value under another name: aliases of FetchXML and of aggregates."""
        shown: dict[str, Json] = {}
        annotate = self._annotate(column)
        if annotate is not None:
            annotate(shown, row, row.get(column.name))
        return {f"{name}{key.removeprefix(column.wire)}": value for key, value in shown.items()}

    def _annotate(self, column: Column) -> Annotate | None:
        if not self.active:
            return None
        if column.is_lookup:
            return self._reference(column)
        if not self._formatted:
            return None
        if column.type == "Money":
            return self._money(column)
        formatter = _formatter(column)
        return None if formatter is None else _shown(f"{column.wire}@{FORMATTED}", formatter)

    def _reference(self, column: Column) -> Annotate:
        navigation_key, logical_key, formatted_key = (
            f"{column.wire}@{name}" for name in (NAVIGATION, LOGICAL_NAME, FORMATTED)
        )
        navigations = {table: name for name, table in column.navigation}

        def add(content: dict[str, Json], row: Row, value: Json) -> None:
            target = target_of(row, column)
            navigation = navigations.get(target) or navigations.get("owner")
            if self._navigation and navigation is not None:
                content[navigation_key] = navigation
            if self._logical:
                content[logical_key] = target
            name = self._names.get((target, value))
            if self._formatted and name is not None:
                content[formatted_key] = name

        return add

    def _money(self, column: Column) -> Annotate:
        key = f"{column.wire}@{FORMATTED}"
        places = column.precision if column.precision is not None else 2
        if column.name.endswith("_base"):  # in the currency of the org, whatever that of the row is
            return _shown(key, lambda value: f"{_BASE_SYMBOL}{value:,.{_BASE_PLACES}f}")

        def add(content: dict[str, Json], row: Row, value: Json) -> None:
            currency = row.values.get("transactioncurrencyid")
            symbol = self._names.get(("transactioncurrency.symbol", currency)) if currency else None
            content[key] = f"{symbol or '$'}{value:,.{places}f}"

        return add


def _shown(key: str, formatter: Format) -> Annotate:
    def add(content: dict[str, Json], _row: Row, value: Json) -> None:
        text = formatter(value)
        if text is not None:
            content[key] = text

    return add


def formatted_number(column: Column | None, value: Json) -> str:
    """The text of an aggregate: that of its column's type, a plain number for a count. Money is in base currency."""
    if column is None:
        return f"{value:,}"
    if column.type == "Money":
        return f"${Decimal(value):,.{column.precision if column.precision is not None else 2}f}"
    formatter = _formatter(column)
    shown = formatter(value) if formatter is not None else None
    return shown if shown is not None else str(value)


def target_of(row: Row, column: Column) -> str:
    """Logical name of the table a lookup value points to."""
    if len(column.targets) == 1:
        return column.targets[0]
    return str(row.values.get(f"{column.name}type") or (column.targets[0] if column.targets else ""))


def _formatter(column: Column) -> Format | None:
    build = _FORMATTERS.get(column.type)
    return None if build is None else build(column)


def _label(column: Column) -> Format:
    return {option.value: option.label for option in column.options}.get


def _labels(column: Column) -> Format:
    labels = {str(option.value): option.label for option in column.options}
    return lambda value: "; ".join(labels[part] for part in value.split(",") if part in labels)


def _truth(column: Column) -> Format:
    return {False: "No", True: "Yes", **{bool(option.value): option.label for option in column.options}}.get


def _moment(column: Column) -> Format:
    return _day if column.is_date or column.format == "DateOnly" else _time


def _day(value: str) -> str:
    return f"{int(value[5:7])}/{int(value[8:10])}/{int(value[:4])}"


def _time(value: str) -> str:
    hour = int(value[11:13])
    return f"{_day(value)} {hour % 12 or 12}:{value[14:16]} {'AM' if hour < 12 else 'PM'}"


def _whole(_column: Column) -> Format:
    return lambda value: f"{value:,}"


def _number(column: Column) -> Format:
    places = column.precision if column.precision is not None else 2
    return lambda value: f"{Decimal(value):,.{places}f}"


_FORMATTERS: Mapping[str, Callable[[Column], Format]] = {
    **dict.fromkeys(CHOICE, _label),
    "MultiSelectPicklist": _labels,
    "Boolean": _truth,
    "DateTime": _moment,
    **dict.fromkeys(("Integer", "BigInt"), _whole),
    **dict.fromkeys(("Decimal", "Double"), _number),
}
