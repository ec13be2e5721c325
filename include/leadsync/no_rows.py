"""Tables without rows, most of a quiet cycle: made once, and converted and joined without asking polars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import polars as pl
import pyarrow as pa

_Type = pl.DataType | type[pl.DataType]


def no_rows(schema: Mapping[str, _Type]) -> pl.DataFrame:
    """An empty table of these columns: the same one whenever it is asked for, as nobody changes a frame in place."""
    return _made(tuple(schema.items()))


def to_arrow(frame: pl.DataFrame) -> pa.Table:
    """The frame as an Arrow table; one without rows is made once for each set of columns."""
    return frame.to_arrow() if frame.height else _made_arrow(tuple(frame.schema.items()))


def left_joined(frame: pl.DataFrame, others: pl.DataFrame, on: str) -> pl.DataFrame:
    """The rows of `frame` in their order with the columns of the one row of `others` that fits, or nulls.

    No column but `on` is in both.
    """
    if others.is_empty():
        return frame.with_columns(pl.lit(None, kind).alias(name) for name, kind in others.schema.items() if name != on)
    return frame.join(others, on=on, how="left", maintain_order="left")


def frame_from(rows: Sequence[tuple[object, ...]], schema: Mapping[str, _Type]) -> pl.DataFrame:
    """Rows as a table; they may be none."""
    return pl.DataFrame(rows, schema=schema, orient="row") if rows else no_rows(schema)


def frame_of(table: pa.Table | pa.RecordBatch) -> pl.DataFrame:
    """A table of Arrow, or a batch of one, as a frame; those without rows are made once."""
    return _converted(table) if table.num_rows else _empty(table.schema)


@lru_cache(maxsize=256)
def _empty(schema: pa.Schema) -> pl.DataFrame:
    return _converted(schema.empty_table())


def _converted(table: pa.Table | pa.RecordBatch) -> pl.DataFrame:
    frame: pl.DataFrame = pl.from_arrow(table)  # type: ignore[assignment]
    return frame


@lru_cache(maxsize=256)
def _made(columns: tuple[tuple[str, _Type], ...]) -> pl.DataFrame:
    return pl.DataFrame(schema=list(columns))


@lru_cache(maxsize=256)
def _made_arrow(columns: tuple[tuple[str, pl.DataType], ...]) -> pa.Table:
    return pl.DataFrame(schema=list(columns)).to_arrow()
