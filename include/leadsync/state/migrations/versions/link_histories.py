"""Links keep what became of their records, and whether a CRM record is closed (D36-D44, D59); erasures (D52)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add three columns and a table."""
    op.add_column("link", sa.Column("crm_state", sa.BigInteger()))
    op.add_column("link", sa.Column("became_crm", sa.Text()))
    op.add_column("link", sa.Column("became_person", sa.BigInteger()))
    op.create_table(
        "erasure",
        sa.Column("digest", sa.Text(), primary_key=True, autoincrement=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
    )
