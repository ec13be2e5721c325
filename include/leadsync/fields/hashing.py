"""One 64-bit number per canonical record: equal hash = nothing to merge (facts: performance, "hash first").

polars does not promise the same hash in its next version or on another machine, so a stored hash
is worth something only beside the tag it was made under; another tag means: compute it again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from functools import cache

import polars as pl
import pyarrow as pa

from include.leadsync.no_rows import frame_of

_ALGORITHM = "rows1"
_FIXED = {"": ["", None, "a", "Z\u00fcrich \U0001f600", "10000", "2026-01-05T10:00:00Z"], "b": [None, "", "b"] * 2}


def row_hash(table: pa.Table | pl.DataFrame, names: Iterable[str]) -> pa.Array:
    """Hash of the canonical columns `names`, one int64 per row.

    The order of `names` and of the table's columns does not matter; the set of names does: records
    under different field maps never share a hash. Raises `KeyError` for a name the table lacks.
    """
    ordered = sorted(set(names))
    columns = table.columns if isinstance(table, pl.DataFrame) else table.column_names
    missing = set(ordered) - set(columns)
    if missing:
        raise KeyError(*sorted(missing))
    rows = len(table)
    if not ordered or not rows:
        return pa.array([0] * rows, pa.int64())
    frame = table[ordered] if isinstance(table, pl.DataFrame) else frame_of(table.select(ordered))
    if set(frame.dtypes) != {pl.String}:
        frame = frame.cast(pl.String)
    return _hash(frame, ordered).to_arrow()


def _hash(frame: pl.DataFrame, names: Sequence[str]) -> pl.Series:
    digest = hashlib.blake2b("\x1f".join(names).encode(), digest_size=32).digest()
    seeds = [int.from_bytes(digest[start : start + 8], "big") for start in (0, 8, 16, 24)]
    return frame.hash_rows(*seeds).reinterpret(signed=True)


@cache
def hash_tag() -> str:
    """Algorithm, polars version and the hash of a fixed record. Uses polars: not at import time."""
    frame = pl.DataFrame(_FIXED, schema=dict.fromkeys(_FIXED, pl.String))
    combined = hashlib.blake2b(repr(_hash(frame, list(_FIXED)).to_list()).encode(), digest_size=6).hexdigest()
    return f"{_ALGORITHM}/{pl.__version__}/{combined}"
