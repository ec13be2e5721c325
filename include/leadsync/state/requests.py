"""Requests: Sync Person to Microsoft, from wherever it was asked for (R47, DECISIONS 13, 28)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import uuid4

import pyarrow as pa
import sqlalchemy as sa

from include.leadsync.state.arrow import empty_table
from include.leadsync.state.schema import request
from include.leadsync.state.statements import Prepared
from include.leadsync.state.store import StateStore, Transaction, fetch

PENDING, TAKEN, ACCEPTED, ANSWERED, FINISHED = "pending", "taken", "accepted", "answered", "finished"
_OPEN = (PENDING, TAKEN, ACCEPTED)
_ABANDONED = 120 * 1_000_000
"""A request that a run took and neither accepted nor finished in two minutes is anybody's again.

A run that is merely slow loses nothing but its race: of two that link the same person one is refused (`LinkTaken`).
"""

_COLUMNS = list(request.columns)
_FREE = (
    (request.c.state == PENDING)
    | ((request.c.state == TAKEN) & (request.c.run_id == sa.bindparam("of_run")))
    | ((request.c.state == TAKEN) & (request.c.taken_at < sa.bindparam("abandoned")))
)
_OLDEST = Prepared(
    sa.select(request.c.request_id)
    .where(request.c.state.in_((PENDING, TAKEN)), _FREE)
    .order_by(request.c.created_at, request.c.request_id)
    .limit(sa.bindparam("most", type_=sa.Integer()))
    .with_for_update(skip_locked=True)
)
_ANSWERED = Prepared(
    sa.select(*_COLUMNS)
    .where(request.c.state == ANSWERED)
    .order_by(request.c.created_at)
    .limit(sa.bindparam("most", type_=sa.Integer()))
)


@dataclass(frozen=True, slots=True)
class RequestAdded:
    """The stored request; `is_new` is false when the same token asked for the same person before."""

    request_id: str
    is_new: bool


class Requests:
    """The request table.

    Columns: request_id string · person_id int64 · sync_as string ("lead", "contact") · owner, reason
    string? · source string · token string? · state string · outcome, message, crm_id string? ·
    created_at, finished_at timestamp[us, UTC] · run_id string?, taken_at timestamp[us, UTC]?.

    States: pending → taken (by a run) → accepted (operations are on their way) → finished. A request that was
    made inside Marketo (`source` "list:…" or "field:…") is answered first, and finished when it is taken out there.
    """

    def __init__(self, store: StateStore) -> None:
        self._store = store

    def add(
        self,
        person_id: int,
        sync_as: str,
        *,
        source: str,
        owner: str | None = None,
        reason: str | None = None,
        token: str | None = None,
        tx: Transaction | None = None,
    ) -> RequestAdded:
        """Ask for a person. With a token a repeat finds the first request, whatever became of it."""
        row = {
            "request_id": uuid4().hex,
            "person_id": person_id,
            "sync_as": str(sync_as),
            "owner": owner,
            "reason": reason,
            "source": source,
            "token": token,
            "state": PENDING,
            "created_at": self._store.micros(),
        }
        with self._store.within(tx) as connection:
            if self._store.insert_if_absent(connection, request, row, ("person_id", "token")):
                return RequestAdded(str(row["request_id"]), is_new=True)
            same = (request.c.person_id == person_id) & (request.c.token == token)
            return RequestAdded(
                connection.execute(sa.select(request.c.request_id).where(same)).scalar_one(), is_new=False
            )

    def claim(self, run_id: str, limit: int, tx: Transaction | None = None) -> pa.Table:
        """Take the oldest pending requests for a run and return them.

        Those that this run took before (a retried task) come again, and those a run took that died since.
        """
        now = self._store.micros()
        asked = {"of_run": run_id, "abandoned": now - _ABANDONED, "most": limit}
        with self._store.within(tx) as connection:
            ids = _OLDEST.column(connection, asked)
            if not ids:
                return empty_table(_COLUMNS)
            mine = self._store.bulk.one_of(request.c.request_id, ids)
            connection.execute(sa.update(request).where(mine).values(state=TAKEN, run_id=run_id, taken_at=now))
            return fetch(connection, sa.select(*_COLUMNS).where(mine).order_by(request.c.created_at))

    def accept(self, request_ids: Sequence[str], tx: Transaction | None = None) -> int:
        """Their operations are in the outbox: no other run takes them up; returns how many."""
        if not request_ids:
            return 0
        open_ones = self._store.bulk.one_of(request.c.request_id, request_ids) & request.c.state.in_((PENDING, TAKEN))
        with self._store.within(tx) as connection:
            return connection.execute(sa.update(request).where(open_ones).values(state=ACCEPTED)).rowcount

    def finish(
        self,
        request_id: str,
        outcome: str,
        message: str | None = None,
        crm_id: str | None = None,
        tx: Transaction | None = None,
    ) -> bool:
        """Note what became of a request; False when it was answered before, which stays as it is."""
        channel = request.c.source.startswith("list:") | request.c.source.startswith("field:")
        state = sa.case((channel, ANSWERED), else_=FINISHED)
        values = {"state": state, "outcome": outcome, "message": message, "crm_id": crm_id}
        unfinished = (request.c.request_id == request_id) & request.c.state.in_(_OPEN)
        change = sa.update(request).where(unfinished).values(**values, finished_at=self._store.micros())
        with self._store.within(tx) as connection:
            return connection.execute(change).rowcount > 0

    def open_of(self, source: str, persons: Sequence[int], tx: Transaction | None = None) -> set[int]:
        """Which of these persons this source has asked for without being finished yet."""
        mine = self._store.bulk.one_of(request.c.person_id, persons)
        statement = sa.select(request.c.person_id).where(mine, request.c.source == source, request.c.state != FINISHED)
        with self._store.look(tx) as connection:
            return set(connection.execute(statement).scalars())

    def answered(self, limit: int = 10_000, tx: Transaction | None = None) -> pa.Table:
        """Requests that are answered and still stand in the channel they came from, oldest first."""
        with self._store.look(tx) as connection:
            return _ANSWERED.fetch(connection, {"most": limit})

    def consumed(self, request_ids: Sequence[str], tx: Transaction | None = None) -> int:
        """They were taken out of their channel; returns how many changed."""
        mine = self._store.bulk.one_of(request.c.request_id, request_ids) & (request.c.state == ANSWERED)
        with self._store.within(tx) as connection:
            return connection.execute(sa.update(request).where(mine).values(state=FINISHED)).rowcount

    def get(self, request_ids: Sequence[str], tx: Transaction | None = None) -> pa.Table:
        """Requests by id."""
        statement = sa.select(*_COLUMNS).where(self._store.bulk.one_of(request.c.request_id, request_ids))
        with self._store.look(tx) as connection:
            return fetch(connection, statement)

    def pending(self, limit: int = 1000, tx: Transaction | None = None) -> pa.Table:
        """Requests not finished yet, oldest first; nothing is marked."""
        unfinished = request.c.state.in_(_OPEN)
        statement = sa.select(*_COLUMNS).where(unfinished).order_by(request.c.created_at).limit(limit)
        with self._store.look(tx) as connection:
            return fetch(connection, statement)
