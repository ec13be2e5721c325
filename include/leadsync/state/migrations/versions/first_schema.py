"""The first schema."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TEXT, BIG, SMALL = sa.Text(), sa.BigInteger(), sa.SmallInteger()
LIVE = "status IN ('active', 'creating')"
KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _where(condition: str) -> dict[str, Any]:
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


def upgrade() -> None:
    """Make every table."""
    _runs_and_cursors()
    _links()
    _operations()
    _records()
    _budget()


def _runs_and_cursors() -> None:
    op.create_table(
        "run",
        sa.Column("run_id", TEXT, primary_key=True, autoincrement=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("started_at", BIG, nullable=False),
        sa.Column("finished_at", BIG),
        sa.Column("outcome", TEXT),
        sa.Column("window_json", TEXT),
        sa.Column("report_json", TEXT),
    )
    op.create_index("run_by_start", "run", ["started_at"])
    op.create_table(
        "cursor",
        sa.Column("stream", TEXT, primary_key=True, autoincrement=False),
        sa.Column("token", TEXT, nullable=False),
        sa.Column("as_of", TEXT, nullable=False),
        sa.Column("version", BIG, nullable=False),
    )
    op.create_table(
        "metadata",
        sa.Column("system", TEXT, primary_key=True, autoincrement=False),
        sa.Column("entity", TEXT, primary_key=True, autoincrement=False),
        sa.Column("digest", TEXT, nullable=False),
        sa.Column("body", TEXT, nullable=False),
        sa.Column("seen_at", BIG, nullable=False),
    )
    op.create_table(
        "request",
        sa.Column("request_id", TEXT, primary_key=True, autoincrement=False),
        sa.Column("person_id", BIG, nullable=False),
        sa.Column("sync_as", TEXT, nullable=False),
        sa.Column("owner", TEXT),
        sa.Column("reason", TEXT),
        sa.Column("source", TEXT, nullable=False),
        sa.Column("token", TEXT),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("outcome", TEXT),
        sa.Column("message", TEXT),
        sa.Column("crm_id", TEXT),
        sa.Column("created_at", BIG, nullable=False),
        sa.Column("finished_at", BIG),
        sa.Column("run_id", TEXT),
        sa.Column("taken_at", BIG),
    )
    op.create_index("request_once", "request", ["person_id", "token"], unique=True)
    op.create_index("request_queue", "request", ["state", "created_at"])
    op.create_table(
        "lease",
        sa.Column("name", TEXT, primary_key=True, autoincrement=False),
        sa.Column("holder", TEXT),
        sa.Column("fence", BIG, nullable=False),
        sa.Column("expires_at", BIG, nullable=False),
        sa.UniqueConstraint("fence", name="lease_fence"),
    )
    op.create_table(
        "counter",
        sa.Column("name", TEXT, primary_key=True, autoincrement=False),
        sa.Column("value", BIG, nullable=False),
    )


def _links() -> None:
    op.create_table(
        "layout",
        sa.Column("layout_id", KEY, primary_key=True, autoincrement=True),
        sa.Column("entity", TEXT, nullable=False),
        sa.Column("fields_json", TEXT, nullable=False),
        sa.Column("digest", TEXT, nullable=False),
        sa.UniqueConstraint("digest", name="layout_digest"),
    )
    op.create_table(
        "link",
        sa.Column("link_id", KEY, primary_key=True, autoincrement=True),
        sa.Column("entity", TEXT, nullable=False),
        sa.Column("person_id", BIG),
        sa.Column("crm_id", TEXT),
        sa.Column("status", TEXT, nullable=False),
        sa.Column("version", BIG, nullable=False, server_default="0"),
        sa.Column("layout_id", BIG),
        sa.Column("base", TEXT),
        sa.Column("person_side", TEXT),
        sa.Column("crm_side", TEXT),
        sa.Column("person_open", TEXT),
        sa.Column("crm_open", TEXT),
        sa.Column("person_hash", BIG),
        sa.Column("crm_hash", BIG),
        sa.Column("hash_tag", TEXT),
        sa.Column("crm_etag", TEXT),
        sa.Column("dirty", TEXT),
        sa.Column("note", TEXT),
        sa.Column("created_run", TEXT),
        sa.Column("created_at", BIG, nullable=False),
        sa.Column("changed_at", BIG, nullable=False),
    )
    op.create_index("link_by_crm_record", "link", ["crm_id"])
    op.create_index("link_by_person", "link", ["person_id"])
    op.create_index("link_dirty", "link", ["link_id"], **_where("dirty IS NOT NULL"))
    op.create_index("link_one_per_crm_record", "link", ["crm_id"], unique=True, **_where(LIVE))
    op.create_index("link_one_per_person", "link", ["person_id"], unique=True, **_where(LIVE))
    op.create_table(
        "link_count",
        sa.Column("entity", TEXT, primary_key=True, autoincrement=False),
        sa.Column("status", TEXT, primary_key=True, autoincrement=False),
        sa.Column("links", BIG, nullable=False),
    )


def _operations() -> None:
    op.create_table(
        "operation",
        sa.Column("op_id", TEXT, primary_key=True, autoincrement=False),
        sa.Column("run_id", TEXT, nullable=False),
        sa.Column("link_id", BIG),
        sa.Column("entity", TEXT, nullable=False),
        sa.Column("direction", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("lane", BIG, nullable=False),
        sa.Column("person_id", BIG),
        sa.Column("crm_id", TEXT),
        sa.Column("payload", TEXT, nullable=False),
        sa.Column("base_version", BIG, nullable=False, server_default="0"),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("attempts", BIG, nullable=False, server_default="0"),
        sa.Column("not_before", BIG),
        sa.Column("batch_id", TEXT),
        sa.Column("fence", BIG),
        sa.Column("code", TEXT),
        sa.Column("message", TEXT),
        sa.Column("plan_hash", TEXT),
        sa.Column("created_at", BIG, nullable=False),
        sa.Column("updated_at", BIG, nullable=False),
    )
    op.create_index("operation_by_link", "operation", ["link_id", "state"])
    op.create_index("operation_by_plan", "operation", ["plan_hash"], **_where("plan_hash IS NOT NULL"))
    op.create_index("operation_queue", "operation", ["state", "direction", "lane", "created_at", "op_id"])


def _records() -> None:
    op.create_table(
        "ledger",
        sa.Column("entry_id", KEY, primary_key=True, autoincrement=True),
        sa.Column("run_id", TEXT, nullable=False),
        sa.Column("op_id", TEXT),
        sa.Column("link_id", BIG),
        sa.Column("person_id", BIG),
        sa.Column("crm_id", TEXT),
        sa.Column("entity", TEXT, nullable=False),
        sa.Column("field", TEXT),
        sa.Column("direction", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("base", TEXT),
        sa.Column("before", TEXT),
        sa.Column("after", TEXT),
        sa.Column("lost", TEXT),
        sa.Column("rule", TEXT, nullable=False),
        sa.Column("at", BIG, nullable=False),
    )
    op.create_index("ledger_by_crm_record", "ledger", ["crm_id"])
    op.create_index("ledger_by_link", "ledger", ["link_id"])
    op.create_index("ledger_by_person", "ledger", ["person_id"])
    op.create_index("ledger_by_run", "ledger", ["run_id"])
    op.create_table(
        "activity",
        sa.Column("activity_id", KEY, primary_key=True, autoincrement=True),
        sa.Column("key", TEXT, nullable=False),
        sa.Column("outcome", TEXT, nullable=False),
        sa.Column("operation", TEXT),
        sa.Column("direction", TEXT),
        sa.Column("field", TEXT),
        sa.Column("value", TEXT),
        sa.Column("code", TEXT, nullable=False),
        sa.Column("message", TEXT, nullable=False),
        sa.Column("rule", TEXT),
        sa.Column("run_id", TEXT, nullable=False),
        sa.Column("link_id", BIG),
        sa.Column("person_id", BIG),
        sa.Column("crm_id", TEXT),
        sa.Column("entity", TEXT),
        sa.Column("at", BIG, nullable=False),
        sa.Column("open", SMALL, nullable=False, server_default="0"),
        sa.Column("delivered_at", BIG),
        sa.Column("op_id", TEXT),
    )
    op.create_index("activity_by_link", "activity", ["link_id"])
    op.create_index("activity_by_person", "activity", ["person_id"])
    op.create_index("activity_open", "activity", ["key"], unique=True, **_where("open = 1"))
    op.create_index("activity_open_newest", "activity", ["activity_id"], **_where("open = 1"))
    op.create_index("activity_undelivered", "activity", ["activity_id"], **_where("delivered_at IS NULL"))
    op.create_table(
        "seen_activity",
        sa.Column("guid", TEXT, primary_key=True, autoincrement=False),
        sa.Column("at", BIG, nullable=False),
    )
    op.create_index("seen_activity_by_time", "seen_activity", ["at"])
    op.create_table(
        "echo",
        sa.Column("person_id", BIG, primary_key=True, autoincrement=False),
        sa.Column("field", TEXT, primary_key=True, autoincrement=False),
        sa.Column("before", TEXT),
        sa.Column("after", TEXT),
        sa.Column("written_at", BIG, nullable=False),
        sa.Column("op_id", TEXT, primary_key=True, autoincrement=False),
    )
    op.create_index("echo_by_time", "echo", ["written_at"])


def _budget() -> None:
    op.create_table(
        "budget",
        sa.Column("system", TEXT, primary_key=True, autoincrement=False),
        sa.Column("paused_from", BIG),
        sa.Column("paused_until", BIG),
    )
    op.create_table(
        "budget_use",
        sa.Column("system", TEXT, primary_key=True, autoincrement=False),
        sa.Column("span", BIG, primary_key=True, autoincrement=False),
        sa.Column("bucket", BIG, primary_key=True, autoincrement=False),
        sa.Column("calls", BIG, nullable=False),
        sa.Column("rows", BIG, nullable=False),
    )
    op.create_table(
        "budget_slot",
        sa.Column("slot_id", TEXT, primary_key=True, autoincrement=False),
        sa.Column("system", TEXT, nullable=False),
        sa.Column("holder", TEXT, nullable=False),
        sa.Column("taken_at", BIG, nullable=False),
        sa.Column("expires_at", BIG, nullable=False),
    )
    op.create_index("budget_slot_by_system", "budget_slot", ["system"])
