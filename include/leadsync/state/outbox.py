"""The outbox: what is to be written, what is under way, what waits and why (ARCHITECTURE §5.7, §5.8)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from include.leadsync.model import STANDING, Direction, Lane, OperationKind, OperationState
from include.leadsync.state.arrow import conform, empty_table, filled, with_all_columns
from include.leadsync.state.bulk import OnConflict
from include.leadsync.state.claiming import Claiming
from include.leadsync.state.column_kinds import MOMENT, NUMBER
from include.leadsync.state.leases import Leases
from include.leadsync.state.schema import OPEN, WAITING, link, operation
from include.leadsync.state.statements import Prepared, among
from include.leadsync.state.store import StateStore, Transaction, driver_rows, fetch

PENDING, IN_FLIGHT = OperationState.PENDING.value, OperationState.IN_FLIGHT.value
HELD, SUPERSEDED = OperationState.HELD.value, OperationState.SUPERSEDED.value
_COLUMNS = list(operation.columns)

REJECTED, UNANSWERED = "rejected", "unanswered"
"""Codes of parked operations whose whole plan somebody rejected, or nobody approved in time."""
_AGAIN = OnConflict(("op_id",), replace_if=sa.or_(*(operation.c.state == state for state in (*WAITING, SUPERSEDED))))
_DECIDED_AGAINST = operation.c.plan_hash.is_not(None) & operation.c.code.in_([REJECTED, UNANSWERED])


_SUPERSEDED_NOW = {"state": SUPERSEDED, "updated_at": sa.bindparam("now")}
_OF_LINKS = among(operation.c.link_id, "link_ids")
_SUPERSEDE = Prepared(
    sa.update(operation)
    .where(_OF_LINKS, operation.c.state.in_(WAITING), operation.c.kind.not_in(sorted(STANDING)))
    .values(_SUPERSEDED_NOW)
)
_REBASE = Prepared(
    sa.update(operation)
    .where(_OF_LINKS, operation.c.state.in_(WAITING))
    .values(base_version=sa.select(link.c.version).where(link.c.link_id == operation.c.link_id).scalar_subquery())
)
_IN_FLIGHT = Prepared(sa.select(*_COLUMNS).where(operation.c.state == IN_FLIGHT))


def decided_against() -> sa.ColumnElement[bool]:
    """Operations that are parked because their plan was not approved (DECISIONS 16)."""
    return (operation.c.state == OperationState.PARKED.value) & _DECIDED_AGAINST


def of_held_plan(plan_hash: str) -> sa.ColumnElement[bool]:
    """Operations of a plan that an approval may release: held, or parked because it was not approved."""
    return (operation.c.plan_hash == plan_hash) & ((operation.c.state == HELD) | decided_against())


class Outbox:
    """The operation table.

    Tables of operations have these columns:

    - op_id string, made by the planner from what the operation does · run_id string · link_id int64?
    - entity, direction, kind string · lane int64 (`Lane`) · person_id int64? · crm_id string?
    - payload string (JSON) · base_version int64 (of the link the plan was made on)
    - state string (`OperationState`) · attempts int64 · not_before timestamp[us, UTC]?
    - batch_id string?, fence int64? (of the last claim) · code, message string? (of the last answer)
    - plan_hash string? (of a held plan) · created_at, updated_at timestamp[us, UTC]
    """

    def __init__(self, store: StateStore) -> None:
        self._store = store
        self._claiming = Claiming(store)

    def add(self, rows: pa.Table, tx: Transaction | None = None) -> int:
        """Store operations; returns how many were written.

        Needs op_id, run_id, entity, direction, kind, lane, payload; state is pending, attempts 0
        and both times now unless given. An op_id that exists is planned again: it takes the new
        row's place, unless it is in flight or done, where it stays as it is.
        """
        if rows.num_rows == 0:
            return 0
        now = self._store.now()
        rows = filled(conform(rows, operation), "state", PENDING, "text")
        for name in ("attempts", "base_version"):
            rows = filled(rows, name, 0, NUMBER)
        for name in ("created_at", "updated_at"):
            rows = filled(rows, name, now, MOMENT)
        with self._store.within(tx) as connection:
            rows = with_all_columns(rows, _COLUMNS)
            return self._store.bulk.insert(connection, operation, rows, _AGAIN)

    def supersede(self, link_ids: Sequence[int], tx: Transaction | None = None) -> int:
        """A newer plan replaces what waits for these links: pending, parked and held become superseded.

        Facts about a link stay (`model.STANDING`): they are told even when the plan has changed. Returns how many.
        """
        if not link_ids:
            return 0
        with self._store.within(tx) as connection:
            return _SUPERSEDE.change(connection, {"link_ids": list(link_ids), "now": self._store.micros()})

    def retire(self, link_ids: Sequence[int], tx: Transaction | None = None) -> int:
        """These links belong to other records now: everything that waits for them is superseded, facts included.

        What a person is told stays. Returns how many.
        """
        if not link_ids:
            return 0
        told = operation.c.kind != OperationKind.ACTIVITY.value
        mine = self._store.bulk.one_of(operation.c.link_id, link_ids) & operation.c.state.in_(WAITING) & told
        change = sa.update(operation).where(mine)
        with self._store.within(tx) as connection:
            return connection.execute(change.values(state=SUPERSEDED, updated_at=self._store.micros())).rowcount

    def doubt(self, tx: Transaction | None = None) -> int:
        """Everything pending may have been sent already: it becomes in flight, without a loader. Returns how many."""
        change = sa.update(operation).where(operation.c.state == PENDING)
        with self._store.within(tx) as connection:
            return connection.execute(change.values(state=IN_FLIGHT, updated_at=self._store.micros())).rowcount

    def rebase(self, link_ids: Sequence[int], tx: Transaction | None = None) -> int:
        """Set `base_version` of what waits for these links to the links' present version.

        For siblings of an acknowledged operation: their link moved on because of us, not because
        somebody edited it. Call it after `Links.update`, in the same transaction.
        """
        if not link_ids:
            return 0
        with self._store.within(tx) as connection:
            return _REBASE.change(connection, {"link_ids": list(link_ids)})

    def claim(
        self,
        direction: str,
        lane: int | None,
        kind: str | None,
        limit: int,
        fence: int,
        batch_id: str,
        tx: Transaction | None = None,
    ) -> pa.Table:
        """Mark up to `limit` due operations in flight, in order of lane and age, and return them.

        In one transaction with the proof that the lease with number `fence` is still held. Never two
        operations of one link in a batch; an operation waits while one of the same link and
        direction is in flight, or pending before it, even if that one is not due yet.
        Activities wait for each other only, and hold nothing up.

        Returns all operation columns, `person_id` and `crm_id` being the link's where the operation
        has none, and of the link: version int64?, crm_etag string?, link_status string?.

        Raises:
            LeaseLost: another loader took over; nothing was marked.
        """
        with self._store.within(tx) as connection:
            Leases(self._store).check(fence, connection)
            return self._claiming.claim(connection, direction, lane, kind, limit, fence, batch_id)

    def settle(self, results: pa.Table, tx: Transaction | None = None, *, fence: int | None = None) -> int:
        """Store how operations ended; returns how many rows changed.

        `results`: op_id, state, and any of code, message, not_before (null or missing clears them).
        With `fence` the lease is checked first (raises `LeaseLost`). Put the links, ledger entries and
        activities that follow into the same transaction.
        """
        if results.num_rows == 0:
            return 0
        rows = filled(conform(results, operation), "updated_at", self._store.now(), MOMENT)
        names = ("op_id", "state", "code", "message", "not_before", "updated_at")
        rows = with_all_columns(rows, [operation.c[name] for name in names])
        with self._store.within(tx) as connection:
            if fence is not None:
                Leases(self._store).check(fence, connection)
            return self._store.bulk.update(connection, operation, rows, keys=["op_id"])

    def parked_links(self, entity: str, tx: Transaction | None = None) -> list[int]:
        """Links of one entity with a refused operation: they get another chance when the map or the schema changes."""
        parked = sa.select(operation.c.link_id).where(
            operation.c.state == OperationState.PARKED.value,
            operation.c.entity == str(entity),
            operation.c.link_id.is_not(None),
        )
        with self._store.look(tx) as connection:
            return sorted(connection.execute(parked.distinct()).scalars())

    def refused_records(self, tx: Transaction | None = None) -> pa.Table:
        """CRM records that could not be made so far: link_id, person_id, payload, of their last attempt."""
        columns = (operation.c.link_id, operation.c.person_id, operation.c.payload)
        statement = sa.select(*columns).where(
            operation.c.state == OperationState.PARKED.value,
            operation.c.direction == Direction.OUTBOUND.value,
            operation.c.kind == OperationKind.CREATE.value,
            operation.c.link_id.is_not(None),
        )
        with self._store.look(tx) as connection:
            return fetch(connection, statement.order_by(operation.c.created_at))

    def waiting_links(self, entity: str, tx: Transaction | None = None) -> list[int]:
        """Links of one entity for which something waits that a change of the field map makes out of date."""
        waiting = sa.select(operation.c.link_id).where(
            operation.c.state.in_(WAITING), operation.c.entity == str(entity), operation.c.link_id.is_not(None)
        )
        with self._store.look(tx) as connection:
            return sorted(
                connection.execute(waiting.where(operation.c.kind.not_in(sorted(STANDING))).distinct()).scalars()
            )

    def in_flight(self, tx: Transaction | None = None) -> pa.Table:
        """All operations marked in flight: at the start of a run their outcome is unknown (§5.1)."""
        with self._store.look(tx) as connection:
            return _IN_FLIGHT.fetch(connection)

    def under_way(self, run_id: str, tx: Transaction | None = None) -> pa.Table:
        """Operations of a run that are still to be written, or being written."""
        open_states = operation.c.state.in_([PENDING, IN_FLIGHT])
        with self._store.look(tx) as connection:
            return fetch(connection, sa.select(*_COLUMNS).where(open_states, operation.c.run_id == run_id))

    def of_links(
        self, link_ids: Sequence[int], tx: Transaction | None = None, states: Sequence[str] = OPEN
    ) -> pa.Table:
        """Operations of links, by default those not finished: what is on its way or parked for them."""
        if not link_ids:
            return empty_table(_COLUMNS)
        with self._store.look(tx) as connection:
            return _of_links(tuple(states)).fetch(connection, {"link_ids": list(link_ids)})

    def unfinished_backfills(self, link_ids: Sequence[int], tx: Transaction | None = None) -> dict[int, str]:
        """Links whose last write to the person is of a first sync or backfill and was not acknowledged → its state.

        Superseded counts: what was released by the brake, or has an unknown outcome, is planned anew. What is parked
        because its plan was not approved counts as held.
        """
        if not link_ids:
            return {}
        with self._store.look(tx) as connection:
            rows = _unfinished_backfills().rows(connection, {"link_ids": list(link_ids)})
        return {link_id: state for link_id, state in rows if link_id is not None}

    def depth(self, tx: Transaction | None = None) -> pa.Table:
        """The backlog: direction, lane int64, state, count int64, oldest timestamp[us, UTC].

        One row per group that has operations; pending, in flight, parked and held only.
        """
        keys = (operation.c.direction, operation.c.lane, operation.c.state)
        oldest = sa.func.min(operation.c.created_at).label("oldest")
        statement = sa.select(*keys, sa.func.count().label("count"), oldest).where(operation.c.state.in_(OPEN))
        with self._store.look(tx) as connection:
            return fetch(connection, statement.group_by(*keys).order_by(*keys), moments=("oldest",))

    def held(self, tx: Transaction | None = None) -> pa.Table:
        """Plans that wait for approval: plan_hash, ops int64, links int64, created_at (of the oldest)."""
        links = sa.func.count(sa.distinct(operation.c.link_id)).label("links")
        created = sa.func.min(operation.c.created_at).label("created_at")
        statement = sa.select(operation.c.plan_hash, sa.func.count().label("ops"), links, created)
        statement = statement.where(operation.c.state == HELD).group_by(operation.c.plan_hash)
        with self._store.look(tx) as connection:
            return fetch(connection, statement.order_by(created), moments=("created_at",))

    def parked_plans(self, tx: Transaction | None = None) -> pa.Table:
        """Plans that were not approved: plan_hash, code, message, ops int64, links int64, since (of the decision)."""
        links = sa.func.count(sa.distinct(operation.c.link_id)).label("links")
        since = sa.func.min(operation.c.updated_at).label("since")
        keys = (operation.c.plan_hash, operation.c.code, operation.c.message)
        statement = sa.select(*keys, sa.func.count().label("ops"), links, since).where(decided_against())
        with self._store.look(tx) as connection:
            return fetch(connection, statement.group_by(*keys).order_by(since), moments=("since",))

    def park(self, plan_hash: str, code: str, message: str, tx: Transaction | None = None) -> int:
        """Park a held plan (`REJECTED`, `UNANSWERED`); returns how many operations. None when no such plan is held."""
        mine = (operation.c.plan_hash == plan_hash) & (operation.c.state == HELD)
        values: dict[str, Any] = {"state": OperationState.PARKED.value, "code": code, "message": message}
        with self._store.within(tx) as connection:
            parked = sa.update(operation).where(mine).values(**values, updated_at=self._store.micros())
            return connection.execute(parked).rowcount

    def release(self, plan_hash: str, tx: Transaction | None = None) -> list[int]:
        """Let go of a plan that was approved, held or parked; returns its link ids, to be merged again (DECISIONS 16).

        Its operations are superseded: what still holds is planned anew. Empty when no such plan is held.
        """
        of_plan = of_held_plan(plan_hash)
        with self._store.within(tx) as connection:
            rows = driver_rows(connection, sa.select(operation.c.link_id).where(of_plan).distinct())
            values: dict[str, Any] = {"state": SUPERSEDED, "updated_at": self._store.micros()}
            connection.execute(sa.update(operation).where(of_plan).values(values))
        return sorted(link_id for (link_id,) in rows if link_id is not None)


@cache
def _of_links(states: tuple[str, ...]) -> Prepared:
    return Prepared(sa.select(*_COLUMNS).where(_OF_LINKS, operation.c.state.in_(states)))


@cache
def _unfinished_backfills() -> Prepared:
    writes = [OperationKind.CREATE.value, OperationKind.UPDATE.value]
    later = operation.alias("later")
    of_link = (later.c.link_id == operation.c.link_id) & (later.c.direction == Direction.INBOUND.value)
    newer = sa.exists().where(of_link, later.c.kind.in_(writes), later.c.created_at > operation.c.created_at)
    against = decided_against()
    state = sa.case((against, HELD), else_=operation.c.state)
    return Prepared(
        sa.select(operation.c.link_id, state).where(
            _OF_LINKS,
            operation.c.state.in_([PENDING, HELD, SUPERSEDED]) | against,
            operation.c.lane == int(Lane.BACKFILL),
            operation.c.direction == Direction.INBOUND.value,
            operation.c.kind.in_(writes),
            ~newer,
        )
    )
