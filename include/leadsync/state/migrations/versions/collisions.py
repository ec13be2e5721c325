"""Collisions are found among millions of ledger rows (console)."""

from __future__ import annotations

from alembic import op
from sqlalchemy import text

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

DECIDED = text("kind IN ('collision', 'first_link', 'overwritten')")


def upgrade() -> None:
    """Make the index: it holds only what was decided between two values, which is little."""
    op.create_index("ledger_decided", "ledger", ["entry_id"], sqlite_where=DECIDED, postgresql_where=DECIDED)
