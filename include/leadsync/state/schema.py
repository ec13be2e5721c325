"""The tables of the state store, one definition for SQLite and PostgreSQL.

Every column is one of four kinds, and the kind decides how it travels between Arrow and the driver
(see `arrow`): text, number (64-bit), moment (microseconds since 1970 UTC as a 64-bit number, so that
both databases store, compare and index the same thing) and flag (0 or 1).

Changing anything here needs a migration; a test compares this page with what the migrations make.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from include.leadsync.model import LinkStatus, OperationState

KIND = "kind"
TEXT, NUMBER, MOMENT, FLAG = "text", "number", "moment", "flag"

LIVE = (LinkStatus.ACTIVE.value, LinkStatus.CREATING.value, LinkStatus.SUSPENDED.value)
"""Only links of these statuses claim their person and CRM record (DECISIONS 11)."""
_LIVE = "status IN ('active', 'creating', 'suspended')"

WAITING = (OperationState.PENDING.value, OperationState.PARKED.value, OperationState.HELD.value)
"""Operations that a newer plan replaces."""

OPEN = (*WAITING, OperationState.IN_FLIGHT.value)
"""Operations that are not history yet: the backlog."""

metadata = sa.MetaData()

_LONG = sa.BigInteger()
_COUNTED = sa.BigInteger().with_variant(sa.Integer(), "sqlite")  # SQLite numbers only an INTEGER key by itself


def _text(name: str, *, key: bool = False, needed: bool = False, default: str | None = None) -> sa.Column[str]:
    return sa.Column(
        name, sa.Text(), primary_key=key, nullable=not (key or needed), server_default=default, info={KIND: TEXT}
    )


def _number(
    name: str, *, key: bool = False, needed: bool = False, counted: bool = False, default: str | None = None
) -> sa.Column[int]:
    return sa.Column(
        name,
        _COUNTED if counted else _LONG,
        primary_key=key or counted,
        autoincrement=counted,
        nullable=not (key or counted or needed),
        server_default=default,
        info={KIND: NUMBER},
    )


def _moment(name: str, *, needed: bool = False) -> sa.Column[int]:
    return sa.Column(name, _LONG, nullable=not needed, info={KIND: MOMENT})


def _flag(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.SmallInteger(), nullable=False, server_default="0", info={KIND: FLAG})


def _where(condition: str) -> dict[str, Any]:
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


run = sa.Table(
    "run",
    metadata,
    _text("run_id", key=True),
    _text("kind", needed=True),
    _moment("started_at", needed=True),
    _moment("finished_at"),
    _text("outcome"),
    _text("window_json"),
    _text("report_json"),
    sa.Index("run_by_start", "started_at"),
)

layout = sa.Table(
    "layout",
    metadata,
    _number("layout_id", counted=True),
    _text("entity", needed=True),
    _text("fields_json", needed=True),
    _text("digest", needed=True),
    sa.UniqueConstraint("digest", name="layout_digest"),
)

link = sa.Table(
    "link",
    metadata,
    _number("link_id", counted=True),
    _text("entity", needed=True),
    _number("person_id"),
    _text("crm_id"),
    _text("status", needed=True),
    _number("version", needed=True, default="0"),
    _number("layout_id"),
    _text("base"),
    _text("person_side"),
    _text("crm_side"),
    _text("person_open"),
    _text("crm_open"),
    _number("person_hash"),
    _number("crm_hash"),
    _text("hash_tag"),
    _text("crm_etag"),
    _text("dirty"),
    _text("note"),
    _number("crm_state"),
    _text("became_crm"),
    _number("became_person"),
    _text("created_run"),
    _moment("created_at", needed=True),
    _moment("changed_at", needed=True),
    sa.Index("link_one_per_person", "person_id", unique=True, **_where(_LIVE)),
    sa.Index("link_one_per_crm_record", "crm_id", unique=True, **_where(_LIVE)),
    sa.Index("link_by_person", "person_id"),
    sa.Index("link_by_crm_record", "crm_id"),
    sa.Index("link_dirty", "link_id", **_where("dirty IS NOT NULL")),
)

erasure = sa.Table(
    "erasure",
    metadata,
    _text("digest", key=True),
    _moment("at", needed=True),
)
"""Keyed digests of ids and addresses whose persons were deleted and must stay so (D52)."""

link_count = sa.Table(
    "link_count",
    metadata,
    _text("entity", key=True),
    _text("status", key=True),
    _number("links", needed=True),
)
"""Links per entity and status, kept with every change, so that the brake need not count a million rows."""

cursor = sa.Table(
    "cursor",
    metadata,
    _text("stream", key=True),
    _text("token", needed=True),
    _text("as_of", needed=True),
    _number("version", needed=True),
)

operation = sa.Table(
    "operation",
    metadata,
    _text("op_id", key=True),
    _text("run_id", needed=True),
    _number("link_id"),
    _text("entity", needed=True),
    _text("direction", needed=True),
    _text("kind", needed=True),
    _number("lane", needed=True),
    _number("person_id"),
    _text("crm_id"),
    _text("payload", needed=True),
    _number("base_version", needed=True, default="0"),
    _text("state", needed=True),
    _number("attempts", needed=True, default="0"),
    _moment("not_before"),
    _text("batch_id"),
    _number("fence"),
    _text("code"),
    _text("message"),
    _text("plan_hash"),
    _moment("created_at", needed=True),
    _moment("updated_at", needed=True),
    sa.Index("operation_queue", "state", "direction", "lane", "created_at", "op_id"),
    sa.Index("operation_by_link", "link_id", "state"),
    sa.Index("operation_by_plan", "plan_hash", **_where("plan_hash IS NOT NULL")),
)

ledger = sa.Table(
    "ledger",
    metadata,
    _number("entry_id", counted=True),
    _text("run_id", needed=True),
    _text("op_id"),
    _number("link_id"),
    _number("person_id"),
    _text("crm_id"),
    _text("entity", needed=True),
    _text("field"),
    _text("direction", needed=True),
    _text("kind", needed=True),
    _text("base"),
    _text("before"),
    _text("after"),
    _text("lost"),
    _text("rule", needed=True),
    _moment("at", needed=True),
    sa.Index("ledger_by_person", "person_id"),
    sa.Index("ledger_by_crm_record", "crm_id"),
    sa.Index("ledger_by_run", "run_id"),
    sa.Index("ledger_by_link", "link_id"),
)

activity = sa.Table(
    "activity",
    metadata,
    _number("activity_id", counted=True),
    _text("key", needed=True),
    _text("outcome", needed=True),
    _text("operation"),
    _text("direction"),
    _text("field"),
    _text("value"),
    _text("code", needed=True),
    _text("message", needed=True),
    _text("rule"),
    _text("run_id", needed=True),
    _number("link_id"),
    _number("person_id"),
    _text("crm_id"),
    _text("entity"),
    _moment("at", needed=True),
    _flag("open"),
    _moment("delivered_at"),
    _text("op_id"),
    sa.Index("activity_open", "key", unique=True, **_where("open = 1")),
    sa.Index("activity_by_person", "person_id"),
    sa.Index("activity_by_link", "link_id"),
    sa.Index("activity_open_newest", "activity_id", **_where("open = 1")),
    sa.Index("activity_undelivered", "activity_id", **_where("delivered_at IS NULL")),
)

lease = sa.Table(
    "lease",
    metadata,
    _text("name", key=True),
    _text("holder"),
    _number("fence", needed=True),
    _moment("expires_at", needed=True),
    sa.UniqueConstraint("fence", name="lease_fence"),
)

counter = sa.Table("counter", metadata, _text("name", key=True), _number("value", needed=True))
"""Numbers that only grow: the last fencing number given out."""

seen_activity = sa.Table(
    "seen_activity",
    metadata,
    _text("guid", key=True),
    _moment("at", needed=True),
    sa.Index("seen_activity_by_time", "at"),
)

echo = sa.Table(
    "echo",
    metadata,
    _number("person_id", key=True),
    _text("field", key=True),
    _text("before"),
    _text("after"),
    _moment("written_at", needed=True),
    _text("op_id", key=True),
    sa.Index("echo_by_time", "written_at"),
)

request = sa.Table(
    "request",
    metadata,
    _text("request_id", key=True),
    _number("person_id", needed=True),
    _text("sync_as", needed=True),
    _text("owner"),
    _text("reason"),
    _text("source", needed=True),
    _text("token"),
    _text("state", needed=True),
    _text("outcome"),
    _text("message"),
    _text("crm_id"),
    _moment("created_at", needed=True),
    _moment("finished_at"),
    _text("run_id"),
    _moment("taken_at"),
    sa.Index("request_once", "person_id", "token", unique=True),
    sa.Index("request_queue", "state", "created_at"),
)

synced_field = sa.Table(
    "synced_field",
    metadata,
    _text("entity", key=True),
    _text("name", key=True),
    _text("shape", needed=True),
    _number("generation", needed=True, default="1"),
    _text("state", needed=True),
    _moment("changed_at", needed=True),
)
"""Fields that are or were synced; baselines of an older generation count for nothing (R95, R97)."""

field_job = sa.Table(
    "field_job",
    metadata,
    _number("job_id", counted=True),
    _text("entity", needed=True),
    _text("fields_json", needed=True),
    _text("reason", needed=True),
    _text("direction", needed=True),
    _text("since"),
    _text("until"),
    _text("window_on"),
    _text("state", needed=True),
    _number("position", needed=True, default="0"),
    _number("total", needed=True, default="0"),
    _number("done", needed=True, default="0"),
    _moment("created_at", needed=True),
    _moment("changed_at", needed=True),
)
"""Backfills of fields over all links of an entity, a stretch at a time (D69)."""

snapshot = sa.Table(
    "metadata",
    metadata,
    _text("system", key=True),
    _text("entity", key=True),
    _text("digest", needed=True),
    _text("body", needed=True),
    _moment("seen_at", needed=True),
)

budget = sa.Table(
    "budget",
    metadata,
    _text("system", key=True),
    _moment("paused_from"),
    _moment("paused_until"),
)
"""One row per system; whoever reserves a call holds its row (PostgreSQL) or the write lock (SQLite)."""

budget_use = sa.Table(
    "budget_use",
    metadata,
    _text("system", key=True),
    _number("span", key=True),
    _number("bucket", key=True),
    _number("calls", needed=True),
    _number("rows", needed=True),
)
"""Calls and rows per second (span 1) and per hour (span 3600); `bucket` is its start in seconds since 1970 UTC."""

budget_slot = sa.Table(
    "budget_slot",
    metadata,
    _text("slot_id", key=True),
    _text("system", needed=True),
    _text("holder", needed=True),
    _moment("taken_at", needed=True),
    _moment("expires_at", needed=True),
    sa.Index("budget_slot_by_system", "system"),
)
"""Calls under way; the slot of a holder that died is dropped when it expires, or when its process is gone."""
