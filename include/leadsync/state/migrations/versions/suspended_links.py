"""Suspended links keep their person and CRM record to themselves (R116, D71)."""

from __future__ import annotations

from alembic import op
from sqlalchemy import text

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

LIVE = "status IN ('active', 'creating', 'suspended')"


def upgrade() -> None:
    """Make the two unique indexes anew, over more statuses."""
    for name, column in (("link_one_per_person", "person_id"), ("link_one_per_crm_record", "crm_id")):
        op.drop_index(name, table_name="link")
        op.create_index(name, "link", [column], unique=True, sqlite_where=text(LIVE), postgresql_where=text(LIVE))
