"""Tables by which the processes of one sync take turns: leases, and the API budget they share."""

from __future__ import annotations

import sqlalchemy as sa

from include.leadsync.state.column_kinds import metadata, moment, number, text

lease = sa.Table(
    "lease",
    metadata,
    text("name", key=True),
    text("holder"),
    number("fence", needed=True),
    moment("expires_at", needed=True),
    sa.UniqueConstraint("fence", name="lease_fence"),
)

counter = sa.Table("counter", metadata, text("name", key=True), number("value", needed=True))
"""Numbers that only grow: the last fencing number given out."""

budget = sa.Table(
    "budget",
    metadata,
    text("system", key=True),
    moment("paused_from"),
    moment("paused_until"),
)
"""One row per system; whoever reserves a call holds its row (PostgreSQL) or the write lock (SQLite)."""

budget_use = sa.Table(
    "budget_use",
    metadata,
    text("system", key=True),
    number("span", key=True),
    number("bucket", key=True),
    number("calls", needed=True),
    number("rows", needed=True),
)
"""Calls and rows per second (span 1) and per hour (span 3600); `bucket` is its start in seconds since 1970 UTC."""

budget_slot = sa.Table(
    "budget_slot",
    metadata,
    text("slot_id", key=True),
    text("system", needed=True),
    text("holder", needed=True),
    moment("taken_at", needed=True),
    moment("expires_at", needed=True),
    sa.Index("budget_slot_by_system", "system"),
)
"""Calls under way; the slot of a holder that died is dropped when it expires, or when its process is gone."""
