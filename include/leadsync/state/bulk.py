"""Many rows at once: one interface, one way per database, never a statement per row.

SQLite: look-ups join `json_each` over one JSON text, writes are one prepared statement run by
`executemany` inside the driver. PostgreSQL: look-ups are `= ANY(array)`, writes go by COPY into a
temporary table and from there in one statement (facts: performance, "What to build").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa
import sqlalchemy as sa


@dataclass(frozen=True)
class OnConflict:
    """What happens to a row whose `keys` exist already.

    `where` is the condition of a partial unique index. With `replace_if` (a condition on the stored
    row) the stored row takes the new values where it holds; without it the stored row stays.
    """

    keys: tuple[str, ...]
    where: sa.ColumnElement[bool] | None = None
    replace_if: sa.ColumnElement[bool] | None = None


class Bulk(Protocol):
    """What the tables' classes ask of a database.

    Rows must have been through `arrow.conform`; no rows are no statement at all.
    """

    def one_of(self, column: sa.ColumnElement[Any], values: Sequence[Any]) -> sa.ColumnElement[bool]:
        """`column` is one of any number of values; found by index."""
        ...

    def insert(self, tx: sa.Connection, table: sa.Table, rows: pa.Table, on_conflict: OnConflict | None = None) -> int:
        """Insert rows; returns how many were written."""
        ...

    def update(self, tx: sa.Connection, table: sa.Table, rows: pa.Table, keys: Sequence[str]) -> int:
        """Set the columns of `rows` other than `keys` where the keys match; returns rows changed."""
        ...

    def delete(self, tx: sa.Connection, table: sa.Table, rows: pa.Table) -> int:
        """Delete where all columns of `rows` match; returns rows deleted."""
        ...

    def next_ids(self, tx: sa.Connection, column: sa.Column[int], count: int) -> list[int]:
        """Ids for `count` new rows of a table with a counted key."""
        ...
