"""The brake: too many deletions, overwrites or creations wait for approval of that plan (P8, D50, DECISIONS 16)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from include.leadsync.model import OperationKind
from include.leadsync.plan.consent import opt_outs


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
    """What the brake holds: the operations and the hash that releases them; empty when nothing is held.

    `kept`: operations that take the place of held ones, with the hash those wait for.
    """

    op_ids: frozenset[str] = frozenset()
    plan_hash: str | None = None
    reasons: tuple[str, ...] = ()
    kept: Mapping[str, str] = field(default_factory=dict)

    @property
    def every(self) -> list[str]:
        """All operations that wait."""
        return [*self.op_ids, *self.kept]


HELD_SCHEMA = pl.Schema({"link_id": pl.Int64(), "direction": pl.String(), "lane": pl.Int64(), "plan_hash": pl.String()})
"""Operations that wait already."""


def apply_brake(
    plan: pl.DataFrame,
    total_links: int,
    deletes: Limit,
    overwrites: Limit,
    approved: list[int],
    held_now: pl.DataFrame,
    creations: Limit | None = None,
    *,
    hold_losers: bool = False,
) -> Held:
    """Decide which operations of a plan wait.

    A deletion is a Microsoft is Deleted flag; an overwrite replaces or clears a value that the
    target shows; a creation is a new person (D18). Operations of links in `approved` were released before and pass.
    `hold_losers`: the baselines are old, so no value may lose to another unseen (`restored`).
    What takes the place of one in `held_now` (`HELD_SCHEMA`) waits with the rest of that plan: a further edit approves
    nothing. Opt-outs pass always (D86).
    """
    open_plan = plan.filter(~pl.col("link_id").is_in(approved) & ~pl.col("op_id").is_in(opt_outs(plan)))
    kept = _replacing(open_plan, held_now)
    if kept:
        open_plan = open_plan.filter(~pl.col("op_id").is_in(list(kept)))
    kind = open_plan["kind"]
    deleting = open_plan.filter(kind == OperationKind.FLAG_DELETED.value)
    replacing = open_plan.filter(
        (kind == OperationKind.UPDATE.value) & ~open_plan["system"] & open_plan["before"].is_not_null()
    )
    creating = open_plan.filter((kind == OperationKind.CREATE.value) & (open_plan["direction"] == "inbound"))
    held: set[str] = set()
    reasons = []
    counted = (
        ("deletions", deleting, deletes),
        ("overwrites", replacing, overwrites),
        ("creations", creating, creations),
    )
    for name, rows, limit in counted:
        records = rows["link_id"].n_unique() if rows.height else 0
        if limit and limit.exceeded(records, total_links):
            held |= set(rows["op_id"].to_list())
            reasons.append(
                f"{records} {name} exceed {limit.count} records and {limit.share:.1%} of {total_links} links"
            )
    if hold_losers:
        losing = open_plan.filter(pl.col("lost").is_not_null())["op_id"]
        held |= set(losing)
        reasons += [f"a backup of the state was restored: {losing.n_unique()} writes would end a value"] * bool(
            len(losing)
        )
    if not held:
        return Held(frozenset(), None, (), kept)
    digest = plan_hash(open_plan.filter(pl.col("op_id").is_in(list(held))))
    return Held(frozenset(held), digest, tuple(reasons), kept)


def _replacing(plan: pl.DataFrame, held_now: pl.DataFrame) -> dict[str, str]:
    """Operations that take the place of held ones → the hash those wait for."""
    if held_now.is_empty():
        return {}
    where = ["link_id", "direction", "lane"]
    waiting = plan.select("op_id", *where).unique("op_id").join(held_now.unique(where), on=where)
    return dict(waiting.select("op_id", "plan_hash").iter_rows())


def again(parked: pl.DataFrame, plan: pl.DataFrame) -> pl.DataFrame:
    """Those of the operations that were not approved whose link is to get one of the same values once more.

    What takes their place waits with them. A link that is to get other values was decided anew by whoever edited it,
    and passes the brake by the usual rules.
    """
    wanted = set(plan.select("link_id", "direction", "field", "after").iter_rows())

    def wants(row: Mapping[str, Any]) -> bool:
        writes = json.loads(row["payload"]).get("writes") or []
        same = ((row["link_id"], row["direction"], write["field"], write["after"]) in wanted for write in writes)
        return not writes or any(same)

    return parked.filter(pl.Series([wants(row) for row in parked.iter_rows(named=True)], dtype=pl.Boolean))


def plan_hash(plan: pl.DataFrame) -> str:
    """Digest of what a plan writes, whatever the order of its rows: 16 hex digits."""
    columns = ["crm_id", "person_id", "direction", "kind", "field", "before", "after"]
    ordered = plan.select(columns).sort(columns, nulls_last=True)
    lines = (json.dumps(row, ensure_ascii=False) for row in ordered.iter_rows())  # no value can pass for two
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
