"""What a first sync or backfill writes to a person is marked, so that campaigns can leave it out (D19).

Marketo's sync call takes no source and no reason (facts/marketo-api §6), so the mark is a date-time field on the
person, written in the same call as the values: a trigger that listens to one of them finds it set.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

import polars as pl

from include.leadsync.clock import iso
from include.leadsync.model import Direction, OperationKind

_UNMARKED = [OperationKind.ACTIVITY.value, OperationKind.FLAG_DELETED.value]


def with_marks(plan: pl.DataFrame, links: Collection[int], field: str, now: datetime) -> pl.DataFrame:
    """The plan with one more write in every inbound operation on `links`: the moment, in `field`."""
    inbound = (pl.col("direction") == Direction.INBOUND.value) & ~pl.col("kind").is_in(_UNMARKED)
    touched = plan.filter(pl.col("link_id").is_in(list(links)) & inbound).unique("op_id", maintain_order=True)
    if touched.is_empty():
        return plan
    marks = touched.with_columns(
        pl.lit(field).alias("field"),
        pl.lit(value=True).alias("system"),
        pl.lit(iso(now)).alias("after"),
        *(pl.lit(None, pl.String).alias(name) for name in ("base", "before", "lost")),
        pl.lit("marked").alias("change"),
        pl.lit("D19").alias("rule"),
    )
    return pl.concat([plan, marks])
