"""Taking work from the outbox: which operations may be sent together now."""

from __future__ import annotations

import pyarrow as pa
import sqlalchemy as sa

from include.leadsync.model import OperationKind, OperationState
from include.leadsync.state.schema import link, operation
from include.leadsync.state.store import StateStore, Transaction, driver_rows, fetch

PENDING, IN_FLIGHT = OperationState.PENDING.value, OperationState.IN_FLIGHT.value


class Claiming:
    """The rules of `Outbox.claim`, whose caller has checked the lease in this transaction."""

    def __init__(self, store: StateStore) -> None:
        self._store = store

    def claim(
        self, tx: Transaction, direction: str, lane: int | None, kind: str | None, limit: int, fence: int, batch_id: str
    ) -> pa.Table:
        """Choose, mark, and return; see `Outbox.claim`."""
        chosen = self._choose(tx, direction, lane, kind, limit)
        marked = self._mark(tx, chosen, fence, batch_id)
        return self._with_links(tx, marked)

    def _choose(self, tx: Transaction, direction: str, lane: int | None, kind: str | None, limit: int) -> list[str]:
        due = operation.c.not_before.is_(None) | (operation.c.not_before <= self._store.micros())
        statement = sa.select(operation.c.op_id, operation.c.link_id).where(
            operation.c.state == PENDING, operation.c.direction == direction, due, ~_has_predecessor()
        )
        if lane is not None:
            statement = statement.where(operation.c.lane == lane)
        if kind is not None:
            statement = statement.where(operation.c.kind == kind)
        ordered = statement.order_by(operation.c.lane, operation.c.created_at, operation.c.op_id).limit(limit)
        chosen, links = [], set()
        for op_id, link_id in driver_rows(tx, ordered):
            if link_id is None or link_id not in links:  # an activity and a write of one link go in two batches
                chosen.append(op_id)
                links.add(link_id)
        return chosen

    def _mark(self, tx: Transaction, op_ids: list[str], fence: int, batch_id: str) -> list[str]:
        mine = self._store.bulk.one_of(operation.c.op_id, op_ids)
        change = (
            sa.update(operation)
            .where(mine, _unindexed(operation.c.state) == PENDING)
            .values(
                state=IN_FLIGHT,
                attempts=operation.c.attempts + 1,
                batch_id=batch_id,
                fence=fence,
                updated_at=self._store.micros(),
            )
        )
        if not op_ids:
            return []
        return list(tx.execute(change.returning(operation.c.op_id)).scalars())

    def _with_links(self, tx: Transaction, op_ids: list[str]) -> pa.Table:
        columns = [column for column in operation.columns if column.name not in {"person_id", "crm_id"}]
        statement = (
            sa.select(
                *columns,
                sa.func.coalesce(operation.c.person_id, link.c.person_id).label("person_id"),
                sa.func.coalesce(operation.c.crm_id, link.c.crm_id).label("crm_id"),
                link.c.version,
                link.c.crm_etag,
                link.c.status.label("link_status"),
            )
            .select_from(operation.outerjoin(link, link.c.link_id == operation.c.link_id))
            .where(self._store.bulk.one_of(operation.c.op_id, op_ids))
            .order_by(operation.c.lane, operation.c.created_at, operation.c.op_id)
        )
        return fetch(tx, statement, texts=("crm_id", "link_status"))


def _has_predecessor() -> sa.ColumnElement[bool]:
    """Another operation of the same link and direction is under way, or comes first."""
    other = operation.alias("other")
    activity = OperationKind.ACTIVITY.value
    before = sa.tuple_(other.c.lane, other.c.created_at, other.c.op_id) < sa.tuple_(
        operation.c.lane, operation.c.created_at, operation.c.op_id
    )
    return (
        sa.select(sa.literal(1))
        .select_from(other)
        .where(
            other.c.link_id == operation.c.link_id,
            other.c.direction == operation.c.direction,
            (other.c.kind == activity) == (operation.c.kind == activity),
            _unindexed(other.c.state).in_((IN_FLIGHT, PENDING)),
            (_unindexed(other.c.state) == IN_FLIGHT) | before,
        )
        .exists()
    )


def _unindexed(column: sa.ColumnElement[str]) -> sa.ColumnElement[str]:
    """The column, not to be looked up by index.

    With statistics from before a large plan PostgreSQL believes that next to nothing is pending, and
    would read the whole queue once for every candidate (380 ms instead of 8 for 300 of 10,000).
    """
    return sa.func.coalesce(column, "")
