"""Between Arrow tables and the driver: the only place where stored rows become Python values.

Types of the columns that the state store takes and returns, by kind (see `schema`):
text → string · number → int64 · moment → timestamp[us, UTC] · flag → bool.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from include.leadsync.state.column_kinds import FLAG, KIND, MOMENT, NUMBER, TEXT

Tables = pa.Table
MOMENT_TYPE = pa.timestamp("us", tz="UTC")
ARROW_TYPE: Mapping[str, pa.DataType] = {TEXT: pa.string(), NUMBER: pa.int64(), MOMENT: MOMENT_TYPE, FLAG: pa.bool_()}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STEP = timedelta(microseconds=1)


def to_micros(moment: datetime) -> int:
    """How an aware moment is stored."""
    return (moment - _EPOCH) // _STEP


def from_micros(value: int) -> datetime:
    """The inverse of `to_micros`."""
    return _EPOCH + value * _STEP


def kind_of(column: sa.ColumnElement[Any]) -> str:
    """Kind of a column, as declared in `schema` or by `as_kind`."""
    return str(getattr(column, "info", {}).get(KIND, NUMBER))


def conform(rows: pa.Table, table: sa.Table, extra: Sequence[str] = ()) -> pa.Table:
    """`rows` with every column cast to the type the table stores.

    Text may come as any Arrow text type, moments in any unit (without zone they are UTC) or as ISO
    8601 text. `extra` names further int64 columns. NUL characters, which PostgreSQL cannot store,
    become U+FFFD on both databases.

    Raises:
        ValueError: a column that the table does not have, or a value that does not fit.
    """
    unknown = [name for name in rows.column_names if name not in table.c and name not in extra]
    if unknown:
        raise ValueError(f"table {table.name} has no column {', '.join(unknown)}; it has {', '.join(table.c.keys())}")
    columns = {}
    for name in rows.column_names:
        kind = NUMBER if name in extra else kind_of(table.c[name])
        columns[name] = _cast(rows[name], kind)
    return pa.table(columns) if columns else rows


def _cast(column: pa.ChunkedArray, kind: str) -> pa.ChunkedArray:
    target = ARROW_TYPE[kind]
    if kind == MOMENT and pa.types.is_timestamp(column.type):
        if column.type.tz is None:
            column = pc.assume_timezone(column, "UTC")
        return column.cast(target, safe=False)
    if kind != TEXT:
        return column.cast(target)
    column = column.cast(target)
    if pc.any(pc.match_substring(column, "\x00")).as_py():
        column = pc.replace_substring(column, "\x00", "\ufffd")
    return column


def with_constant(rows: pa.Table, name: str, value: Any, kind: str, *, replace: bool = False) -> pa.Table:
    """Add a column with one value in every row, unless the table has it (or `replace`)."""
    if name in rows.column_names:
        if not replace:
            return rows
        rows = rows.drop_columns([name])
    return rows.append_column(name, pa.repeat(pa.scalar(value, ARROW_TYPE[kind]), rows.num_rows))


def filled(rows: pa.Table, name: str, value: Any, kind: str) -> pa.Table:
    """Put `value` where the column is null or missing."""
    if name not in rows.column_names:
        return with_constant(rows, name, value, kind)
    column = pc.fill_null(rows[name], pa.scalar(value, ARROW_TYPE[kind]))
    return rows.set_column(rows.column_names.index(name), name, column)


def with_all_columns(rows: pa.Table, columns: Sequence[sa.Column[Any]]) -> pa.Table:
    """The columns in this order; missing ones are null."""
    for column in columns:
        if column.name not in rows.column_names:
            rows = rows.append_column(column.name, pa.nulls(rows.num_rows, ARROW_TYPE[kind_of(column)]))
    return rows.select([column.name for column in columns])


def driver_columns(rows: pa.Table) -> list[list[Any]]:
    """Python values per column, as the database stores them."""
    return [_stored(column).to_pylist() for column in rows.columns]


def _stored(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_timestamp(column.type) or pa.types.is_boolean(column.type):
        return column.cast(pa.int64())
    return column


def copy_text(rows: pa.Table) -> bytes:
    """The rows in PostgreSQL's COPY text format; its escapes are the same in every server version."""
    cells = [_copy_cells(_stored(column)) for column in rows.columns]
    lines = pc.binary_join_element_wise(*cells, pa.scalar("\t", pa.large_string()))
    return ("\n".join(lines.to_pylist()) + "\n").encode() if rows.num_rows else b""


def _copy_cells(column: pa.ChunkedArray) -> pa.ChunkedArray:
    cells = column.cast(pa.large_string())
    if pa.types.is_string(column.type):
        for plain, escaped in (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r")):
            cells = pc.replace_substring(cells, plain, escaped)
    return pc.fill_null(cells, "\\N")


def from_rows(rows: Sequence[Sequence[Any]], names: Sequence[str], kinds: Sequence[str]) -> pa.Table:
    """An Arrow table from driver rows."""
    if not rows:
        return _no_rows(tuple(names), tuple(kinds))
    arrays = [_array(values, kind) for values, kind in zip(zip(*rows, strict=True), kinds, strict=True)]
    return pa.Table.from_arrays(arrays, names=list(names))


@lru_cache(maxsize=256)
def _no_rows(names: tuple[str, ...], kinds: tuple[str, ...]) -> pa.Table:
    return pa.schema([(name, ARROW_TYPE[kind]) for name, kind in zip(names, kinds, strict=True)]).empty_table()


def _array(values: Sequence[Any], kind: str) -> pa.Array:
    if kind == FLAG:
        return pa.array(values, pa.int64()).cast(pa.bool_())
    return pa.array(values, ARROW_TYPE[kind])


def empty_table(columns: Sequence[sa.Column[Any]]) -> pa.Table:
    """No rows, all columns."""
    return _no_rows(tuple(column.name for column in columns), tuple(kind_of(column) for column in columns))
