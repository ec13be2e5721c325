"""Bulk paths of PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable, DropTable

from include.leadsync.state.arrow import copy_text
from include.leadsync.state.bulk import OnConflict


@lru_cache(maxsize=200)
def _stage(table: sa.Table, names: tuple[str, ...]) -> sa.Table:
    """One object per shape, so that SQLAlchemy compiles each statement over it once."""
    columns = [sa.Column(name, table.c[name].type) for name in names]
    return sa.Table(f"staged_{table.name}", sa.MetaData(), *columns, prefixes=["TEMPORARY"])


class PostgresqlBulk:
    """`= ANY(array)` and COPY."""

    def one_of(self, column: sa.ColumnElement[Any], values: Sequence[Any]) -> sa.ColumnElement[bool]:
        """`column = ANY(array)`: one parameter, however many values."""
        return column == sa.any_(sa.literal(list(values), postgresql.ARRAY(column.type)))

    def insert(self, tx: sa.Connection, table: sa.Table, rows: pa.Table, on_conflict: OnConflict | None = None) -> int:
        """COPY straight into the table; by way of a temporary table where rows may exist already."""
        if rows.num_rows == 0:
            return 0
        if on_conflict is None:
            self._copy(tx, table, rows)
            return len(rows)
        names = rows.column_names
        with self._staged(tx, table, rows) as stage:
            statement = postgresql.insert(table).from_select(names, sa.select(*(stage.c[name] for name in names)))
            if on_conflict.replace_if is None:
                statement = statement.on_conflict_do_nothing(
                    index_elements=on_conflict.keys, index_where=on_conflict.where
                )
            else:
                statement = statement.on_conflict_do_update(
                    index_elements=on_conflict.keys,
                    index_where=on_conflict.where,
                    set_={name: statement.excluded[name] for name in names if name not in on_conflict.keys},
                    where=on_conflict.replace_if,
                )
            return tx.execute(statement.execution_options(preserve_rowcount=True)).rowcount

    def update(self, tx: sa.Connection, table: sa.Table, rows: pa.Table, keys: Sequence[str]) -> int:
        """UPDATE … FROM the staged rows."""
        if rows.num_rows == 0:
            return 0
        with self._staged(tx, table, rows) as stage:
            values = {name: stage.c[name] for name in rows.column_names if name not in keys}
            matches = [table.c[name] == stage.c[name] for name in keys]
            return tx.execute(sa.update(table).where(*matches).values(values)).rowcount

    def delete(self, tx: sa.Connection, table: sa.Table, rows: pa.Table) -> int:
        """DELETE … USING the staged rows."""
        if rows.num_rows == 0:
            return 0
        with self._staged(tx, table, rows) as stage:
            matches = [table.c[name] == stage.c[name] for name in rows.column_names]
            return tx.execute(sa.delete(table).where(*matches)).rowcount

    def next_ids(self, tx: sa.Connection, column: sa.Column[int], count: int) -> list[int]:
        """Numbers of the key's sequence."""
        sequence = sa.func.pg_get_serial_sequence(column.table.name, column.name)
        numbers = sa.func.generate_series(1, count).table_valued("n")
        return list(tx.execute(sa.select(sa.func.nextval(sequence)).select_from(numbers)).scalars())

    @contextmanager
    def _staged(self, tx: sa.Connection, table: sa.Table, rows: pa.Table) -> Iterator[sa.Table]:
        stage = _stage(table, tuple(rows.column_names))
        tx.execute(CreateTable(stage))
        self._copy(tx, stage, rows)
        yield stage
        tx.execute(DropTable(stage))

    @staticmethod
    def _copy(tx: sa.Connection, table: sa.Table, rows: pa.Table) -> None:
        import psycopg  # a quarter of a second that a store on SQLite need not spend

        quote = tx.dialect.identifier_preparer.quote
        names = ", ".join(quote(name) for name in rows.column_names)
        command = f"COPY {quote(table.name)} ({names}) FROM STDIN"
        try:
            cursor: Any = tx.connection.cursor()
            with cursor, cursor.copy(command) as copy:
                copy.write(copy_text(rows))
        except psycopg.IntegrityError as error:
            raise sa.exc.IntegrityError(command, None, error) from error
        except psycopg.OperationalError as error:
            raise sa.exc.OperationalError(command, None, error) from error
