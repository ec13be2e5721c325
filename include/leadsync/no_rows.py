"""Tables without rows: most of a quiet cycle."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import polars as pl

_Type = pl.DataType | type[pl.DataType]


def no_rows(schema: Mapping[str, _Type]) -> pl.DataFrame:
    """An empty table of these columns: the same one whenever it is asked for, as nobody changes a frame in place."""
    return _made(tuple(schema.items()))


@lru_cache(maxsize=256)
def _made(columns: tuple[tuple[str, _Type], ...]) -> pl.DataFrame:
    return pl.DataFrame(schema=list(columns))
