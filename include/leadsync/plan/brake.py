"""The brake: too many deletions or overwrites wait for approval of that very plan (P8, D50, DECISIONS 16)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import polars as pl

from include.leadsync.model import OperationKind


@dataclass(frozen=True)
class Limit:
    """Both must be exceeded: a number of records, and a share of all links."""

    count: int
    share: float

    def exceeded(self, records: int, total: int) -> bool:
        """Whether `records` of `total` links are too many."""
        return records > self.count and records > self.share * max(total, 1)


@dataclass(frozen=True)
class Held:
    """What the brake holds: the operations and the hash that releases them; empty when nothing is held."""

    op_ids: frozenset[str]
    plan_hash: str | None
    reasons: tuple[str, ...]


NOTHING_HELD = Held(frozenset(), None, ())


def apply_brake(plan: pl.DataFrame, total_links: int, deletes: Limit, overwrites: Limit, approved: list[int]) -> Held:
    """Decide which operations of a plan wait.

    A deletion is a Microsoft is Deleted flag; an overwrite replaces or clears a value that the
    target shows. Operations of links in `approved` were released before and pass.
    """
    open_plan = plan.filter(~pl.col("link_id").is_in(approved))
    deleting = open_plan.filter(pl.col("kind") == OperationKind.FLAG_DELETED.value)
    replacing = open_plan.filter(
        (pl.col("kind") == OperationKind.UPDATE.value) & ~pl.col("system") & pl.col("before").is_not_null()
    )
    held: set[str] = set()
    reasons = []
    for name, rows, limit in (("deletions", deleting, deletes), ("overwrites", replacing, overwrites)):
        records = rows["link_id"].n_unique() if rows.height else 0
        if limit.exceeded(records, total_links):
            held |= set(rows["op_id"].to_list())
            reasons.append(
                f"{records} {name} exceed {limit.count} records and {limit.share:.1%} of {total_links} links"
            )
    if not held:
        return NOTHING_HELD
    return Held(frozenset(held), plan_hash(open_plan.filter(pl.col("op_id").is_in(list(held)))), tuple(reasons))


def plan_hash(plan: pl.DataFrame) -> str:
    """Digest of what a plan writes, whatever the order of its rows: 16 hex digits."""
    columns = ["crm_id", "person_id", "direction", "kind", "field", "before", "after"]
    ordered = plan.select(columns).sort(columns, nulls_last=True)
    lines = ("\x1f".join("\x00" if value is None else str(value) for value in row) for row in ordered.iter_rows())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
