"""Annotations beside values: labels, names of referenced rows, formatted numbers and dates (V15).

Assumption: the calling user's locale is English (United States), time zone UTC.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from include.sandbox.dynamics.call import Prefer
from include.sandbox.dynamics.documents import Row, extract
from include.sandbox.dynamics.schema import CHOICE, Column, Schema, Table
from include.sandbox.service import Json

FORMATTED = "OData.Community.Display.V1.FormattedValue"
LOGICAL_NAME = "Microsoft.Dynamics.CRM.lookuplogicalname"
NAVIGATION = "Microsoft.Dynamics.CRM.associatednavigationproperty"


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
        if not self._formatted:
            return
        wanted: dict[str, set[str]] = {}
        names = [column for column in columns if column.is_lookup]
        if rows and any(c.type == "Money" for c in columns) and "transactioncurrencyid" in rows[0].table.columns:
            names.append(rows[0].table.columns["transactioncurrencyid"])
        for row in rows:
            for column in names:
                value = row.values.get(column.name)
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

    def annotate(self, shown: dict[str, Json], row: Row, column: Column, value: Json) -> None:
        """Add the annotations of one value in front of it."""
        if value is None:
            return
        if column.is_lookup:
            self._reference(shown, row, column, value)
        elif self._formatted:
            text = self._text(row, column, value)
            if text is not None:
                shown[f"{column.wire}@{FORMATTED}"] = text

    def _reference(self, shown: dict[str, Json], row: Row, column: Column, value: str) -> None:
        target = target_of(row, column)
        navigation = next((name for name, table in column.navigation if table in {target, "owner"}), None)
        if self._navigation and navigation is not None:
            shown[f"{column.wire}@{NAVIGATION}"] = navigation
        if self._logical:
            shown[f"{column.wire}@{LOGICAL_NAME}"] = target
        name = self._names.get((target, value))
        if self._formatted and name is not None:
            shown[f"{column.wire}@{FORMATTED}"] = name

    def _text(self, row: Row, column: Column, value: Json) -> str | None:
        if column.type == "Money":
            currency = row.values.get("transactioncurrencyid")
            symbol = self._names.get(("transactioncurrency.symbol", currency), None) if currency else None
            return f"{symbol or '$'}{value:,.{column.precision or 2}f}"
        formatter = _FORMATTERS.get(column.type)
        return formatter(column, value) if formatter is not None else None


def target_of(row: Row, column: Column) -> str:
    """Logical name of the table a lookup value points to."""
    if len(column.targets) == 1:
        return column.targets[0]
    return str(row.values.get(f"{column.name}type") or (column.targets[0] if column.targets else ""))


def _label(column: Column, value: Json) -> str | None:
    option = column.option(value)
    return option.label if option else None


def _labels(column: Column, value: str) -> str:
    chosen = (column.option(int(part)) for part in value.split(","))
    return "; ".join(option.label for option in chosen if option)


def _truth(column: Column, value: bool) -> str:
    option = column.option(int(value))
    return option.label if option else ("Yes" if value else "No")


def _moment(column: Column, value: str) -> str:
    if column.is_date or column.format == "DateOnly":
        year, month, day = value[:10].split("-")
        return f"{int(month)}/{int(day)}/{int(year)}"
    moment = datetime.fromisoformat(value)
    hour = moment.hour % 12 or 12
    half = "AM" if moment.hour < 12 else "PM"
    return f"{moment.month}/{moment.day}/{moment.year} {hour}:{moment.minute:02d} {half}"


def _number(column: Column, value: int | Decimal) -> str:
    if column.type in {"Integer", "BigInt"}:
        return f"{value:,}"
    return f"{value:,.{column.precision if column.precision is not None else 2}f}"


_FORMATTERS: Mapping[str, Callable[[Column, Json], str | None]] = {
    **dict.fromkeys(CHOICE, _label),
    "MultiSelectPicklist": _labels,
    "Boolean": _truth,
    "DateTime": _moment,
    **dict.fromkeys(("Integer", "BigInt", "Decimal", "Double"), _number),
}
