"""Rows out of the database: conditions, order, pages (sections 3.4 and 3.5)."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field

from include.sandbox.dynamics.call import Call
from include.sandbox.dynamics.documents import extract
from include.sandbox.dynamics.filters import FilterCompiler
from include.sandbox.dynamics.operands import Operand, Sql
from include.sandbox.dynamics.schema import Table
from include.sandbox.service import Json


@dataclass(slots=True)
class Query:
    """What to read from one table. `after` holds the order values and the key of the last row seen.

    FetchXML adds `joins` to other tables, `extra` columns of theirs, rows to skip, and `distinct` rows of its own.
    """

    table: Table
    conditions: list[Sql] = field(default_factory=list)
    order: list[tuple[Operand, bool]] = field(default_factory=list)
    after: list[Json] | None = None
    joins: Sql = field(default_factory=lambda: Sql(""))
    extra: tuple[str, ...] = ()
    skipped: int = 0
    distinct: bool = False

    def run(self, connection: sqlite3.Connection, limit: int) -> list[tuple[Json, ...]]:
        """Up to `limit` entries: id, version, document, then the order values and the extra columns."""
        sort = "+r.id" if self._is_narrow(connection, 4 * limit) else "r.id"
        keys = "".join(f", {operand.sql.text}" for operand, _ in self.order)
        parameters = [value for operand, _ in self.order for value in operand.sql.parameters]
        where, more = self._where()
        order = "".join(f"{operand.sql.text} {'DESC' if down else 'ASC'}, " for operand, down in self.order)
        again = [value for operand, _ in self.order for value in operand.sql.parameters]
        keys += "".join(f", {column}" for column in self.extra)
        text = (
            f'SELECT r.id, r.version, r.doc{keys} FROM "r_{self.table.name}" r{self.joins.text} {where} '  # noqa: S608
            f"{'GROUP BY r.id ' if self.distinct else ''}ORDER BY {order}{sort} LIMIT ? OFFSET ?"
        )
        values = (*parameters, *self.joins.parameters, *more, *again, limit, self.skipped)
        return connection.execute(text, values).fetchall()

    def _is_narrow(self, connection: sqlite3.Connection, limit: int) -> bool:
        """Whether few rows were changed in the range asked for, so that sorting them beats walking all by key."""
        if self.order or not any("r.modified" in c.text or "r.version" in c.text for c in self.conditions):
            return False
        return self.count(connection, limit) < limit

    def count(self, connection: sqlite3.Connection, limit: int) -> int:
        """How many rows match, at most `limit`."""
        where, parameters = self._where()
        text = f'SELECT count(*) FROM (SELECT 1 FROM "r_{self.table.name}" r{self.joins.text} {where} LIMIT ?)'  # noqa: S608
        return int(connection.execute(text, (*self.joins.parameters, *parameters, limit)).fetchone()[0])

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
