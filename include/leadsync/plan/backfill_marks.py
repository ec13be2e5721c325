"""What a first sync or backfill writes to a person is marked, so that campaigns can leave it out (D19).

Marketo's sync call takes no source and no reason (facts/marketo-api §6), so the mark is a date-time field on the
person, written in the same call as the values: a trigger that listens to one of them finds it set.

What such a write becomes is marked as well: when the brake let it go, when nobody knows whether it arrived, and when
an ordinary change met it before it was sent.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

import polars as pl

from include.leadsync.clock import iso
from include.leadsync.model import Direction, Lane, OperationKind, OperationState
from include.leadsync.state import Outbox

_UNMARKED = [OperationKind.ACTIVITY.value, OperationKind.FLAG_DELETED.value]


class Unfinished:
    """First syncs and backfills of known links that are planned anew before they arrived."""

    def __init__(self, outbox: Outbox, again: Collection[int]) -> None:
        """`again`: links that this run looks at by itself, not because somebody changed something."""
        self._outbox, self._again = outbox, set(again)
        self.links: set[int] = set()

    def in_their_lane(self, pairs: pl.DataFrame) -> pl.DataFrame:
        """Pairs with those of them back in the backfill lane; one that was changed meanwhile waits for nobody.

        What the brake still holds stays in its lane, so that a further edit does not approve it.
        """
        link_ids = pairs["link_id"]
        ordinary = link_ids.filter((link_ids > 0) & (pairs["lane"] != int(Lane.BACKFILL)))
        found = self._outbox.unfinished_backfills(ordinary.to_list())
        self.links |= set(found)
        held = OperationState.HELD.value
        slow = [link_id for link_id, state in found.items() if state == held or link_id in self._again]
        lane = pl.when(pl.col("link_id").is_in(slow)).then(int(Lane.BACKFILL)).otherwise(pl.col("lane"))
        return pairs.with_columns(lane.alias("lane")) if slow else pairs


def with_marks(plan: pl.DataFrame, links: Collection[int], field: str, now: datetime) -> pl.DataFrame:
    """The plan with one more write in every inbound operation on `links`: the moment, in `field`."""
    if not links:
        return plan
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
