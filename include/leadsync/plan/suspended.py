"""Pairs that a filter keeps from syncing: nothing is written, nothing is forgotten (R116, R119, D70).

What either side shows meanwhile stays an open difference from the baseline, so that a pair that may be
synced again is compared in full (D72).
"""

from __future__ import annotations

import polars as pl

from include.leadsync.merge import Change
from include.leadsync.model import Direction, LinkStatus

KEPT_OUT = "R116"
"""Rule of a decision that would have been written, had the filter let it."""


def without_writes(decisions: pl.DataFrame, pairs: pl.DataFrame, *, outbound: bool) -> pl.DataFrame:
    """Decisions of suspended pairs lose their direction; with `outbound` only the inbound ones do.

    An edit that a write of ours ran over cannot be brought back now: it is written down as lost (P2).
    """
    suspended = (pairs["status"] == LinkStatus.SUSPENDED.value).arg_true()
    if suspended.is_empty() or decisions.is_empty():
        return decisions
    mine = pl.col("row").is_in(suspended.to_list())
    stopped = pl.col("direction").is_not_null()
    if outbound:
        stopped = pl.col("direction") == Direction.INBOUND.value
    twice = pl.struct("row", "field").is_duplicated() & (pl.col("change") != Change.OVERWRITTEN)
    restored = mine & twice
    ours, rest = decisions.filter(mine), decisions.filter(~mine)
    again = decisions.filter(restored & (pl.col("direction") == Direction.OUTBOUND.value))
    if not outbound:
        again = again.with_columns(
            pl.lit(None, pl.String).alias("direction"), pl.lit(Change.OVERWRITTEN.value).alias("change")
        )
    plain = ours.filter(~pl.struct("row", "field").is_in(again.select(pl.struct("row", "field")).to_series().implode()))
    plain = plain.with_columns(
        pl.when(stopped.fill_null(value=False)).then(pl.lit(KEPT_OUT)).otherwise(pl.col("rule")).alias("rule"),
        pl.when(stopped.fill_null(value=False)).then(None).otherwise(pl.col("direction")).alias("direction"),
    )
    return pl.concat([rest, plain, again]).sort("row", "field")
