"""Who was merged into whom in Marketo is remembered, also of persons without a CRM record (D44)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "person_merge",
        sa.Column("loser", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("winner", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
    )
    op.create_index("person_merge_by_time", "person_merge", ["at"])
