"""The tables of the state store, one definition for SQLite and PostgreSQL.

Those by which processes take turns stand in `coordination`, the kinds of column in `column_kinds`.
Changing anything here needs a migration; a test compares this page with what the migrations make.
"""

from __future__ import annotations

import sqlalchemy as sa

from include.leadsync.model import LinkStatus, OperationState
from include.leadsync.state.column_kinds import flag, metadata, moment, number, text, where
from include.leadsync.state.coordination import budget, budget_slot, budget_use, counter, lease

__all__ = [
    "DECIDED",
    "LIVE",
    "OPEN",
    "WAITING",
    "activity",
    "budget",
    "budget_slot",
    "budget_use",
    "counter",
    "cursor",
    "echo",
    "erasure",
    "field_job",
    "layout",
    "lease",
    "ledger",
    "link",
    "link_count",
    "metadata",
    "operation",
    "person_merge",
    "request",
    "run",
    "seen_activity",
    "snapshot",
    "synced_field",
]

LIVE = (LinkStatus.ACTIVE.value, LinkStatus.CREATING.value, LinkStatus.SUSPENDED.value)
"""Only links of these statuses claim their person and CRM record (DECISIONS 11)."""
_LIVE = "status IN ('active', 'creating', 'suspended')"

WAITING = (OperationState.PENDING.value, OperationState.PARKED.value, OperationState.HELD.value)
"""Operations that a newer plan replaces."""

OPEN = (*WAITING, OperationState.IN_FLIGHT.value)
"""Operations that are not history yet: the backlog."""

DECIDED = "kind IN ('collision', 'first_link', 'overwritten')"
"""Ledger rows in which one of two different values won; word for word as in the partial index."""

run = sa.Table(
    "run",
    metadata,
    text("run_id", key=True),
    text("kind", needed=True),
    moment("started_at", needed=True),
    moment("finished_at"),
    text("outcome"),
    text("window_json"),
    text("report_json"),
    sa.Index("run_by_start", "started_at"),
)

layout = sa.Table(
    "layout",
    metadata,
    number("layout_id", counted=True),
    text("entity", needed=True),
    text("fields_json", needed=True),
    text("digest", needed=True),
    sa.UniqueConstraint("digest", name="layout_digest"),
)

link = sa.Table(
    "link",
    metadata,
    number("link_id", counted=True),
    text("entity", needed=True),
    number("person_id"),
    text("crm_id"),
    text("status", needed=True),
    number("version", needed=True, default="0"),
    number("layout_id"),
    text("base"),
    text("person_side"),
    text("crm_side"),
    text("person_open"),
    text("crm_open"),
    number("person_hash"),
    number("crm_hash"),
    text("hash_tag"),
    text("crm_etag"),
    text("dirty"),
    text("note"),
    number("crm_state"),
    text("became_crm"),
    number("became_person"),
    text("created_run"),
    moment("created_at", needed=True),
    moment("changed_at", needed=True),
    sa.Index("link_one_per_person", "person_id", unique=True, **where(_LIVE)),
    sa.Index("link_one_per_crm_record", "crm_id", unique=True, **where(_LIVE)),
    sa.Index("link_by_person", "person_id"),
    sa.Index("link_by_crm_record", "crm_id"),
    sa.Index("link_dirty", "link_id", **where("dirty IS NOT NULL")),
)

erasure = sa.Table(
    "erasure",
    metadata,
    text("digest", key=True),
    moment("at", needed=True),
)
"""Keyed digests of ids and addresses whose persons were deleted and must stay so (D52)."""

link_count = sa.Table(
    "link_count",
    metadata,
    text("entity", key=True),
    text("status", key=True),
    number("links", needed=True),
)
"""Links per entity and status, kept with every change, so that the brake need not count a million rows."""

cursor = sa.Table(
    "cursor",
    metadata,
    text("stream", key=True),
    text("token", needed=True),
    text("as_of", needed=True),
    number("version", needed=True),
)

operation = sa.Table(
    "operation",
    metadata,
    text("op_id", key=True),
    text("run_id", needed=True),
    number("link_id"),
    text("entity", needed=True),
    text("direction", needed=True),
    text("kind", needed=True),
    number("lane", needed=True),
    number("person_id"),
    text("crm_id"),
    text("payload", needed=True),
    number("base_version", needed=True, default="0"),
    text("state", needed=True),
    number("attempts", needed=True, default="0"),
    moment("not_before"),
    text("batch_id"),
    number("fence"),
    text("code"),
    text("message"),
    text("plan_hash"),
    moment("created_at", needed=True),
    moment("updated_at", needed=True),
    sa.Index("operation_queue", "state", "direction", "lane", "created_at", "op_id"),
    sa.Index("operation_by_link", "link_id", "state"),
    sa.Index("operation_by_plan", "plan_hash", **where("plan_hash IS NOT NULL")),
)

ledger = sa.Table(
    "ledger",
    metadata,
    number("entry_id", counted=True),
    text("run_id", needed=True),
    text("op_id"),
    number("link_id"),
    number("person_id"),
    text("crm_id"),
    text("entity", needed=True),
    text("field"),
    text("direction", needed=True),
    text("kind", needed=True),
    text("base"),
    text("before"),
    text("after"),
    text("lost"),
    text("rule", needed=True),
    moment("at", needed=True),
    sa.Index("ledger_by_person", "person_id"),
    sa.Index("ledger_by_crm_record", "crm_id"),
    sa.Index("ledger_by_run", "run_id"),
    sa.Index("ledger_by_link", "link_id"),
    sa.Index("ledger_decided", "entry_id", **where(DECIDED)),
)

activity = sa.Table(
    "activity",
    metadata,
    number("activity_id", counted=True),
    text("key", needed=True),
    text("outcome", needed=True),
    text("operation"),
    text("direction"),
    text("field"),
    text("value"),
    text("code", needed=True),
    text("message", needed=True),
    text("rule"),
    text("run_id", needed=True),
    number("link_id"),
    number("person_id"),
    text("crm_id"),
    text("entity"),
    moment("at", needed=True),
    flag("open"),
    moment("delivered_at"),
    text("op_id"),
    sa.Index("activity_open", "key", unique=True, **where("open = 1")),
    sa.Index("activity_by_person", "person_id"),
    sa.Index("activity_by_link", "link_id"),
    sa.Index("activity_open_newest", "activity_id", **where("open = 1")),
    sa.Index("activity_undelivered", "activity_id", **where("delivered_at IS NULL")),
)

seen_activity = sa.Table(
    "seen_activity",
    metadata,
    text("guid", key=True),
    moment("at", needed=True),
    sa.Index("seen_activity_by_time", "at"),
)

echo = sa.Table(
    "echo",
    metadata,
    number("person_id", key=True),
    text("field", key=True),
    text("before"),
    text("after"),
    moment("written_at", needed=True),
    text("op_id", key=True),
    sa.Index("echo_by_time", "written_at"),
)

request = sa.Table(
    "request",
    metadata,
    text("request_id", key=True),
    number("person_id", needed=True),
    text("sync_as", needed=True),
    text("owner"),
    text("reason"),
    text("source", needed=True),
    text("token"),
    text("state", needed=True),
    text("outcome"),
    text("message"),
    text("crm_id"),
    moment("created_at", needed=True),
    moment("finished_at"),
    text("run_id"),
    moment("taken_at"),
    sa.Index("request_once", "person_id", "token", unique=True),
    sa.Index("request_queue", "state", "created_at"),
)

person_merge = sa.Table(
    "person_merge",
    metadata,
    number("loser", key=True),
    number("winner", needed=True),
    moment("at", needed=True),
    sa.Index("person_merge_by_time", "at"),
)
"""Persons that were merged away in Marketo, linked or not, and into whom (D44)."""

synced_field = sa.Table(
    "synced_field",
    metadata,
    text("entity", key=True),
    text("name", key=True),
    text("shape", needed=True),
    number("generation", needed=True, default="1"),
    text("state", needed=True),
    moment("changed_at", needed=True),
)
"""Fields that are or were synced; baselines of an older generation count for nothing (R95, R97)."""

field_job = sa.Table(
    "field_job",
    metadata,
    number("job_id", counted=True),
    text("entity", needed=True),
    text("fields_json", needed=True),
    text("reason", needed=True),
    text("direction", needed=True),
    text("since"),
    text("until"),
    text("window_on"),
    text("state", needed=True),
    number("position", needed=True, default="0"),
    number("total", needed=True, default="0"),
    number("done", needed=True, default="0"),
    moment("created_at", needed=True),
    moment("changed_at", needed=True),
)
"""Backfills of fields over all links of an entity, a stretch at a time (D69)."""

snapshot = sa.Table(
    "metadata",
    metadata,
    text("system", key=True),
    text("entity", key=True),
    text("digest", needed=True),
    text("body", needed=True),
    moment("seen_at", needed=True),
)
