"""Bulk paths of SQLite."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from itertools import repeat
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from include.leadsync.state.arrow import driver_columns
from include.leadsync.state.bulk import OnConflict

_LISTED = sa.text("(SELECT value FROM json_each(:listed))")
_DIALECT = sqlite.dialect()


class SqliteBulk:
    """`json_each` and `executemany`."""

    def one_of(self, column: sa.ColumnElement[Any], values: Sequence[Any]) -> sa.ColumnElement[bool]:
        """`column IN (SELECT value FROM json_each(…))`: one parameter, however many values."""
        listed = sa.bindparam("listed", json.dumps(list(values)), sa.Text(), unique=True)
        return column.op("IN", is_comparison=True)(_LISTED.bindparams(listed))

    def insert(self, tx: sa.Connection, table: sa.Table, rows: pa.Table, on_conflict: OnConflict | None = None) -> int:
        """One statement, run for every row inside the driver."""
        return self._run(tx, _insert(table, tuple(rows.column_names), on_conflict), rows)

    def update(self, tx: sa.Connection, table: sa.Table, rows: pa.Table, keys: Sequence[str]) -> int:
        """One statement, run for every row inside the driver."""
        named = rows.rename_columns([f"new_{name}" for name in rows.column_names])
        return self._run(tx, _update(table, tuple(rows.column_names), tuple(keys)), named)

    def delete(self, tx: sa.Connection, table: sa.Table, rows: pa.Table) -> int:
        """One statement, run for every row inside the driver."""
        return self._run(tx, _delete(table, tuple(rows.column_names)), rows)

    def next_ids(self, tx: sa.Connection, column: sa.Column[int], count: int) -> list[int]:
        """The numbers after the highest; safe because the caller holds the write lock."""
        highest = tx.execute(sa.select(sa.func.coalesce(sa.func.max(column), 0))).scalar_one()
        return list(range(highest + 1, highest + 1 + count))

    @staticmethod
    def _run(tx: sa.Connection, compiled: Any, rows: pa.Table) -> int:
        if rows.num_rows == 0:
            return 0
        values = dict(zip(rows.column_names, driver_columns(rows), strict=True))
        ordered = [values.get(name) or repeat(compiled.params[name], rows.num_rows) for name in compiled.positiontup]
        result = tx.exec_driver_sql(str(compiled), list(zip(*ordered, strict=True)))
        return result.rowcount


# Compiled once for each set of columns: for a few rows that costs more than running it.


@lru_cache(maxsize=128)
def _insert(table: sa.Table, columns: tuple[str, ...], on_conflict: OnConflict | None) -> Any:
    statement = sqlite.insert(table).values({name: sa.bindparam(name) for name in columns})
    if on_conflict is not None and on_conflict.replace_if is None:
        statement = statement.on_conflict_do_nothing(index_elements=on_conflict.keys, index_where=on_conflict.where)
    elif on_conflict is not None:
        statement = statement.on_conflict_do_update(
            index_elements=on_conflict.keys,
            index_where=on_conflict.where,
            set_={name: statement.excluded[name] for name in columns if name not in on_conflict.keys},
            where=on_conflict.replace_if,
        )
    return statement.compile(dialect=_DIALECT)


@lru_cache(maxsize=128)
def _update(table: sa.Table, columns: tuple[str, ...], keys: tuple[str, ...]) -> Any:
    values: dict[str, Any] = {name: sa.bindparam(f"new_{name}") for name in columns if name not in keys}
    matches = [table.c[name] == sa.bindparam(f"new_{name}") for name in keys]
    return sa.update(table).where(*matches).values(values).compile(dialect=_DIALECT)


@lru_cache(maxsize=128)
def _delete(table: sa.Table, columns: tuple[str, ...]) -> Any:
    matches = [table.c[name] == sa.bindparam(name) for name in columns]
    return sa.delete(table).where(*matches).compile(dialect=_DIALECT)
