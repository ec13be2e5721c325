"""Fields that are or were synced, and their backfills (D67, D69)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TEXT, BIG = sa.Text(), sa.BigInteger()
KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make both tables."""
    op.create_table(
        "synced_field",
        sa.Column("entity", TEXT, primary_key=True, autoincrement=False),
        sa.Column("name", TEXT, primary_key=True, autoincrement=False),
        sa.Column("shape", TEXT, nullable=False),
        sa.Column("generation", BIG, nullable=False, server_default="1"),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("changed_at", BIG, nullable=False),
    )
    op.create_table(
        "field_job",
        sa.Column("job_id", KEY, primary_key=True, autoincrement=True),
        *(sa.Column(name, TEXT, nullable=False) for name in ("entity", "fields_json", "reason", "direction")),
        *(sa.Column(name, TEXT) for name in ("since", "until", "window_on")),
        sa.Column("state", TEXT, nullable=False),
        *(sa.Column(name, BIG, nullable=False, server_default="0") for name in ("position", "total", "done")),
        *(sa.Column(name, BIG, nullable=False) for name in ("created_at", "changed_at")),
    )
