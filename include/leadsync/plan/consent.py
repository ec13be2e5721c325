"""Consent in the plan: an opt-out waits for nobody, a lift never runs over one (D86–D88, DECISIONS 2, 3).

A *lift* takes an opt-out back: true → false on one side since the baseline. It is the only thing that may
subscribe somebody again; it is written under a rule of its own, so that the ledger shows every one.
"""

from __future__ import annotations

import polars as pl

from include.leadsync.model import Direction, Lane, OperationKind

LIFT = "R148"
"""Rule under which a lift is written."""

MASTER = "unsubscribed"
"""The Marketo field whose value spreads to everybody with the same e-mail address (R146, R148)."""

_IN, _OUT = Direction.INBOUND.value, Direction.OUTBOUND.value


def consent_update() -> pl.Expr:
    """Rows of a plan that change a consent field of an existing record."""
    plain_update = (pl.col("kind") == OperationKind.UPDATE.value) & ~pl.col("system")
    return plain_update & (pl.col("lane") == int(Lane.CONSENT))


def opt_outs(plan: pl.DataFrame) -> list[str]:
    """Operations that only opt out: no brake holds them (D86)."""
    updates = plan.filter(consent_update())
    if updates.is_empty():
        return []
    mine = updates.group_by("op_id").agg((pl.col("after") == "true").all().alias("out"))
    return mine.filter(pl.col("out"))["op_id"].to_list()


def spread(plan: pl.DataFrame, addresses: pl.DataFrame) -> pl.DataFrame:
    """The plan with every lift turned round that would spread over somebody's opt-out of the same run.

    Marketo applies `unsubscribed` to all persons with an address (R146): where one of them opts out and the
    CRM record of another takes it back, the opt-out wins on both. `addresses`: link_id, address (lower case).
    """
    if not (plan["field"] == MASTER).any():
        return plan
    lifts = consent_update() & (pl.col("field") == MASTER) & (pl.col("after") == "false") & (pl.col("direction") == _IN)
    if plan.filter(lifts).is_empty():
        return plan
    outs = plan.filter((pl.col("field") == MASTER) & (pl.col("after") == "true"))
    taken = outs.join(addresses, on="link_id")["address"].drop_nulls().unique().to_list()
    beaten = addresses.filter(pl.col("address").is_in(taken))["link_id"].to_list()
    turned = lifts & pl.col("link_id").is_in(beaten)
    changes = {"direction": _OUT, "before": "false", "after": "true", "lost": "false", "rule": "D86"}
    return plan.with_columns(
        pl.when(turned).then(pl.lit(value)).otherwise(pl.col(name)).alias(name) for name, value in changes.items()
    )
