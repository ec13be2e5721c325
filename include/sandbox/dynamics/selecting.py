"""Rows out of the database and into JSON: conditions, order, pages, expansion (sections 3.2-3.5)."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from include.sandbox.dynamics.call import Call
from include.sandbox.dynamics.documents import Row, decode_document, extract, row_from
from include.sandbox.dynamics.filters import FilterCompiler, Operand, Sql
from include.sandbox.dynamics.formatting import Annotator, target_of
from include.sandbox.dynamics.query_options import Expand, Selection, parse_order, parse_top
from include.sandbox.dynamics.schema import Table
from include.sandbox.service import Json

_EXPANDED_ROWS = 5000


@dataclass(slots=True)
class Query:
    """What to read from one table. `after` holds the order values and the key of the last row seen."""

    table: Table
    conditions: list[Sql] = field(default_factory=list)
    order: list[tuple[Operand, bool]] = field(default_factory=list)
    after: list[Json] | None = None

    def run(self, connection: sqlite3.Connection, limit: int) -> list[tuple[Json, ...]]:
        """Up to `limit` entries: id, version, document, then the order values."""
        sort = "+r.id" if self._is_narrow(connection, 4 * limit) else "r.id"
        keys = "".join(f", {operand.sql.text}" for operand, _ in self.order)
        parameters = [value for operand, _ in self.order for value in operand.sql.parameters]
        where, more = self._where()
        order = "".join(f"{operand.sql.text} {'DESC' if down else 'ASC'}, " for operand, down in self.order)
        again = [value for operand, _ in self.order for value in operand.sql.parameters]
        text = (
            f'SELECT r.id, r.version, r.doc{keys} FROM "r_{self.table.name}" r {where} '  # noqa: S608 - own names
            f"ORDER BY {order}{sort} LIMIT ?"
        )
        return connection.execute(text, (*parameters, *more, *again, limit)).fetchall()

    def _is_narrow(self, connection: sqlite3.Connection, limit: int) -> bool:
        """Whether few rows were changed in the range asked for, so that sorting them beats walking all by key."""
        if self.order or not any("r.modified" in c.text or "r.version" in c.text for c in self.conditions):
            return False
        return self.count(connection, limit) < limit

    def count(self, connection: sqlite3.Connection, limit: int) -> int:
        """How many rows match, at most `limit`."""
        where, parameters = self._where()
        text = f'SELECT count(*) FROM (SELECT 1 FROM "r_{self.table.name}" r {where} LIMIT ?)'  # noqa: S608 - own
        return int(connection.execute(text, (*parameters, limit)).fetchone()[0])

    def _where(self) -> tuple[str, list[Json]]:
        conditions = list(self.conditions)
        if self.after is not None:
            conditions.append(self._beyond(0))
        text = " AND ".join(condition.text for condition in conditions)
        return (f"WHERE {text}" if text else ""), [v for c in conditions for v in c.parameters]

    def _beyond(self, position: int) -> Sql:
        last = (self.after or [])[position]
        if position == len(self.order):
            return Sql("r.id > ?", (last,))
        operand, down = self.order[position]
        text, own, rest = operand.sql.text, operand.sql.parameters, self._beyond(position + 1)
        # Nulls come first ascending and last descending (O2); SQLite sorts them so by itself.
        if last is None:
            tie = Sql(f"({text} IS NULL AND {rest.text})", (*own, *rest.parameters))
            return tie if down else Sql(f"({text} IS NOT NULL OR {tie.text})", (*own, *tie.parameters))
        tie = Sql(f"({text} = ? AND {rest.text})", (*own, last, *rest.parameters))
        if down:
            return Sql(f"({text} < ? OR {text} IS NULL OR {tie.text})", (*own, last, *own, *tie.parameters))
        return Sql(f"({text} > ? OR {tie.text})", (*own, last, *tie.parameters))


def compiler_for(call: Call, table: Table) -> FilterCompiler:
    """A filter compiler for the caller of this request."""
    return FilterCompiler(call.schema, table, call.world.now(), call.caller.user, call.aliases())


def visible(call: Call, table: Table) -> list[Sql]:
    """The condition that hides rows the caller may not read; raises 403 without any right (V5)."""
    if call.demand("read", table) == "organization" or "ownerid" not in table.columns:
        return []
    return [Sql(f"({extract(table, 'ownerid', 'r')} = ?)", (call.caller.user,))]


def render(
    call: Call, connection: sqlite3.Connection, selection: Selection, entries: Iterable[Sequence[Json]]
) -> list[dict[str, Json]]:
    """JSON objects of query results, etag first (V12)."""
    annotator = Annotator(call.schema, call.prefer)
    if not annotator.active and not selection.expands:
        return _plain(selection, entries)
    rows = [row_from(selection.table, *entry[:3]) for entry in entries]
    return render_rows(call, connection, selection, rows, annotator)


def _plain(selection: Selection, entries: Iterable[Sequence[Json]]) -> list[dict[str, Json]]:
    """The quick way for rows without annotations: 5,000 of them in tens of milliseconds."""
    table = selection.table
    names = ["@odata.etag", *(column.wire for column in selection.columns)]
    codes = [table.codes[column.name] for column in selection.columns]
    usual = {table.codes[column.name]: table.implied.get(column.name) for column in selection.columns}
    key, version = table.codes[table.key], table.codes.get("versionnumber", "")
    shown = []
    for entry in entries:
        values = usual | decode_document(entry[2])
        values[key], values[version] = entry[0], entry[1]
        shown.append(dict(zip(names, [f'W/"{entry[1]}"', *[values[code] for code in codes]], strict=True)))
    return shown


def render_rows(
    call: Call,
    connection: sqlite3.Connection,
    selection: Selection,
    rows: list[Row],
    annotator: Annotator | None = None,
) -> list[dict[str, Json]]:
    """JSON objects of rows, with annotations and expanded rows."""
    annotator = annotator or Annotator(call.schema, call.prefer)
    annotator.prepare(connection, rows, selection.columns)
    plan = annotator.plan(selection.columns)
    shown = []
    for row in rows:
        content: dict[str, Json] = {"@odata.etag": f'W/"{row.version}"'}
        for wire, name, annotate in plan:
            value = row.get(name)
            if value is not None and annotate is not None:
                annotate(content, row, value)
            content[wire] = value
        shown.append(content)
    for expand in selection.expands:
        _add_expanded(call, connection, expand, rows, shown)
    return shown


def _add_expanded(
    call: Call, connection: sqlite3.Connection, expand: Expand, rows: list[Row], shown: list[dict[str, Json]]
) -> None:
    if expand.relationship is not None:
        for row, content in zip(rows, shown, strict=True):
            content[expand.name] = _collection(call, connection, expand, row)
        return
    found = _references(call, connection, expand, rows)
    for row, content in zip(rows, shown, strict=True):
        content[expand.name] = found.get(_reference(expand, row) or "")


def _reference(expand: Expand, row: Row) -> str | None:
    column = expand.column
    if column is None or expand.table is None:
        return None
    value = row.values.get(column.name)
    return value if value is not None and target_of(row, column) == expand.table.name else None


def _references(
    call: Call, connection: sqlite3.Connection, expand: Expand, rows: list[Row]
) -> dict[str, dict[str, Json]]:
    if expand.table is None or expand.selection is None:
        return {}
    ids = sorted({value for row in rows if (value := _reference(expand, row)) is not None})
    condition = Sql("r.id IN (SELECT value FROM json_each(?))", (json.dumps(ids),))
    query = Query(expand.table, [condition, *visible(call, expand.table)])
    entries = query.run(connection, len(ids) + 1)
    contents = render(call, connection, expand.selection, entries)
    return {entry[0]: content for entry, content in zip(entries, contents, strict=True)}


def _collection(call: Call, connection: sqlite3.Connection, expand: Expand, row: Row) -> list[dict[str, Json]]:
    if expand.table is None or expand.selection is None or expand.relationship is None:
        return []
    compiler = compiler_for(call, expand.table)
    conditions = [
        Sql(f"{extract(expand.table, expand.relationship.column, 'r')} = ?", (row.id,)),
        *visible(call, expand.table),
    ]
    if "$filter" in expand.options:
        conditions.append(compiler.compile(expand.options["$filter"]))
    query = Query(expand.table, conditions, parse_order(compiler, expand.options.get("$orderby")))
    top = parse_top(expand.options.get("$top"))
    limit = _EXPANDED_ROWS if top is None else min(top, _EXPANDED_ROWS)
    return render(call, connection, expand.selection, query.run(connection, limit))
