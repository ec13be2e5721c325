"""Statements that every cycle says, in the words of the driver.

To take a statement that was compiled before to the driver costs SQLAlchemy ten times what SQLite needs to run it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.visitors import cloned_traverse

from include.leadsync.state.arrow import from_rows, kind_of
from include.leadsync.state.column_kinds import MOMENT, TEXT

Params = Mapping[str, Any]
_NONE: Params = {}
_SQLITE = sqlite.dialect(paramstyle="named")


class Prepared:
    """A statement that is compiled once for each database.

    What differs from time to time are named parameters (`sa.bindparam`, or a list for `among`). Columns must be of the
    kinds of `column_kinds`. `texts` and `moments` name computed columns that are no numbers.

    Its methods raise what the driver raises, which the end of the transaction translates.
    """

    def __init__(self, statement: sa.ClauseElement, *, texts: Sequence[str] = (), moments: Sequence[str] = ()) -> None:
        self._statement, self._texts, self._moments = statement, texts, moments
        self._spelled: dict[str, tuple[str, Params]] = {}

    def rows(self, tx: sa.Connection, params: Params = _NONE) -> Sequence[Sequence[Any]]:
        """All rows, as the driver's tuples."""
        cursor = self._run(tx, params)
        rows: Sequence[Sequence[Any]] = cursor.fetchall()
        cursor.close()
        return rows

    def row(self, tx: sa.Connection, params: Params = _NONE) -> Sequence[Any] | None:
        """The first row; None when there is none."""
        return next(iter(self.rows(tx, params)), None)

    def value(self, tx: sa.Connection, params: Params = _NONE) -> Any:
        """The first value of the first row; None when there is none."""
        return next(iter(self.row(tx, params) or ()), None)

    def column(self, tx: sa.Connection, params: Params = _NONE) -> list[Any]:
        """The first value of every row."""
        return [row[0] for row in self.rows(tx, params)]

    def fetch(self, tx: sa.Connection, params: Params = _NONE) -> pa.Table:
        """All rows as an Arrow table, typed as by `store.fetch`."""
        return from_rows(self.rows(tx, params), *self._columns)

    def nothing(self) -> pa.Table:
        """What `fetch` returns when there are no rows, where that is known without asking."""
        return from_rows([], *self._columns)

    def change(self, tx: sa.Connection, params: Params = _NONE) -> int:
        """How many rows the statement changed."""
        cursor = self._run(tx, params)
        count: int = cursor.rowcount
        cursor.close()
        return count

    def spelled(self, tx: sa.Connection, params: Params) -> tuple[str, Params]:
        """Text and parameters as the driver of this database takes them."""
        name = tx.dialect.name
        if name not in self._spelled:
            self._spelled[name] = self._spell(_SQLITE if name == "sqlite" else tx.dialect)
        text, fixed = self._spelled[name]
        given = {key: value if type(value) is not list else _listed(name, value) for key, value in params.items()}
        return text, {**fixed, **given}

    def _run(self, tx: sa.Connection, params: Params) -> Any:
        text, values = self.spelled(tx, params)
        if tx.dialect.name == "sqlite":
            driver: Any = tx.connection.dbapi_connection
            return driver.execute(text, values)
        return tx.exec_driver_sql(text, values)

    def _spell(self, dialect: sa.Dialect) -> tuple[str, Params]:
        def may_lack(parameter: sa.BindParameter[Any]) -> None:
            parameter.required = False  # its value comes later, but lists of constants are spelled out now

        statement = cloned_traverse(self._statement, {}, {"bindparam": may_lack})
        compiled: Any = statement.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
        return str(compiled), {name: value for name, value in compiled.params.items() if value is not None}

    @cached_property
    def _columns(self) -> tuple[list[str], list[str]]:
        assert isinstance(self._statement, sa.Select)
        return columns_of(self._statement, self._texts, self._moments)


def named(*names: str) -> dict[str, sa.BindParameter[Any]]:
    """Columns that are set, each to the parameter of its name."""
    return {name: sa.bindparam(name) for name in names}


def columns_of(statement: sa.Select[Any], texts: Sequence[str], moments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Names and kinds of the columns of a statement; computed ones are numbers, unless named otherwise."""
    names: list[str] = []
    kinds: list[str] = []
    for column in statement.selected_columns:
        name = str(column.key)
        names.append(name)
        kinds.append(TEXT if name in texts else MOMENT if name in moments else kind_of(column))
    return names, kinds


class among(sa.ColumnElement[Any]):  # noqa: N801 - reads as part of a statement
    """`column` is one of the values in the list that a `Prepared` gets as parameter `name`; found by index."""

    inherit_cache = False
    type = sa.types.NULLTYPE  # of a boolean SQLAlchemy would ask on SQLite whether it is 1, which no index answers

    def __init__(self, column: sa.ColumnElement[Any], name: str) -> None:
        self.column, self.name = column, name


@compiles(among, "sqlite")
def _among_json(element: among, compiler: SQLCompiler, **told: Any) -> str:
    column = compiler.process(element.column, **told)
    values = compiler.process(sa.bindparam(element.name, None, sa.Text()), **told)
    return f"{column} IN (SELECT value FROM json_each({values}))"  # noqa: S608 - names of ours


@compiles(among, "postgresql")
def _among_array(element: among, compiler: SQLCompiler, **told: Any) -> str:
    column = compiler.process(element.column, **told)
    values = compiler.process(sa.bindparam(element.name, None, postgresql.ARRAY(element.column.type)), **told)
    return f"{column} = ANY ({values})"


def _listed(database: str, values: list[Any]) -> Any:
    return json.dumps(values) if database == "sqlite" else values
