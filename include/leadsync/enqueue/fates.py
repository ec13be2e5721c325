"""Links that moved or ended in a run, as they are stored: history beside the links that live on (DECISIONS 11)."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

import polars as pl

from include.leadsync.model import Direction, Entity
from include.leadsync.staging import Staging
from include.leadsync.state import Links, Transaction

KINDS = ("moved", "ended")


def ended_links(events: pl.DataFrame, waiting: Collection[int], now: datetime) -> pl.DataFrame:
    """Rows for `Links.update`: links that end now. `waiting`: links whose end the brake holds."""
    ends = events.filter((pl.col("kind") == "ended") & ~pl.col("link_id").is_in(list(waiting)))
    return ends.unique("link_id", keep="first", maintain_order=True).select(
        "link_id",
        "status",
        "became_crm",
        "became_person",
        pl.col("message").alias("note"),
        pl.lit(None, pl.String).alias("dirty"),
        pl.lit(now).alias("changed_at"),
    )


def keep_versions(staging: Staging, links: Links, ended: Collection[int], tx: Transaction) -> None:
    """Store what the records of ended links were at in this run: read again, they are no updates (R78)."""
    for entity in Entity:
        rows = staging.read(f"crm.{entity.value}").select("link_id", pl.col("etag").alias("crm_etag"))
        links.update(rows.filter(pl.col("link_id").is_in(list(ended))).unique("link_id", keep="last").to_arrow(), tx)


def history_links(events: pl.DataFrame, stored: Collection[int], run_id: str, now: datetime) -> pl.DataFrame:
    """Rows for `Links.insert`: what the links that moved were before. `stored`: links that this run has stored."""
    moves = events.filter((pl.col("kind") == "moved") & pl.col("link_id").is_in(list(stored)))
    return moves.select(
        "entity",
        "person_id",
        # The record of a person that was merged away goes on with the survivor: it has no history of its own.
        pl.when(pl.col("became_person").is_null()).then("crm_id").alias("crm_id"),
        "status",
        "became_crm",
        "became_person",
        pl.col("message").alias("note"),
        pl.lit(run_id).alias("created_run"),
        pl.lit(now).alias("created_at"),
        pl.lit(now).alias("changed_at"),
    )


def fate_ledger(events: pl.DataFrame, run_id: str, now: datetime) -> pl.DataFrame:
    """Ledger rows: the link had this record or person before, and has that one now (P9)."""
    rows = events.filter(pl.col("kind").is_in(KINDS))
    person = pl.col("became_person").is_not_null() & (pl.col("kind") == "moved")
    return rows.select(
        pl.lit(run_id).alias("run_id"),
        "link_id",
        "person_id",
        "crm_id",
        "entity",
        pl.lit(None, pl.String).alias("field"),
        pl.lit(Direction.INBOUND.value).alias("direction"),
        pl.col("status").alias("kind"),
        pl.lit(None, pl.String).alias("base"),
        pl.when(person).then(pl.col("person_id").cast(pl.String)).otherwise("crm_id").alias("before"),
        pl.when(person).then(pl.col("became_person").cast(pl.String)).otherwise("became_crm").alias("after"),
        pl.lit(None, pl.String).alias("lost"),
        "rule",
        pl.lit(now).alias("at"),
    )
