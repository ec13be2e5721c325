"""Persons who were deleted and must stay so: keyed digests only, nothing that names anybody (D52)."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from include.leadsync.model import OperationState
from include.leadsync.state.activity_log import CARRIER
from include.leadsync.state.schema import activity, echo, erasure, ledger, operation, person_merge, request
from include.leadsync.state.statements import Prepared, among
from include.leadsync.state.store import StateStore, Transaction

_KNOWN = Prepared(sa.select(erasure.c.digest).where(among(erasure.c.digest, "digests")))


class Erasures:
    """The erasure table: what `erasing.Eraser` makes of ids and addresses."""

    def __init__(self, store: StateStore) -> None:
        self._store = store

    def add(self, digests: Sequence[str], tx: Transaction | None = None) -> None:
        """Remember digests."""
        with self._store.within(tx) as connection:
            for digest in sorted(set(digests)):
                row = {"digest": digest, "at": self._store.micros()}
                self._store.insert_if_absent(connection, erasure, row, ("digest",))

    def known(self, digests: Sequence[str], tx: Transaction | None = None) -> set[str]:
        """Those of the digests that are remembered."""
        if not digests:
            return set()
        with self._store.look(tx) as connection:
            return set(_KNOWN.column(connection, {"digests": list(digests)}))

    def lift(self, digests: Sequence[str], tx: Transaction | None = None) -> int:
        """Forget digests: their person came back by its own request. Returns how many were there."""
        with self._store.within(tx) as connection:
            gone = sa.delete(erasure).where(self._store.bulk.one_of(erasure.c.digest, digests))
            return connection.execute(gone).rowcount if digests else 0

    def forget(self, links: Sequence[int], persons: Sequence[int], tx: Transaction) -> None:
        """Delete everything that other tables say of links and persons; writes that are under way end by themselves."""
        about = {
            table: self._store.bulk.one_of(table.c.link_id, links) | self._store.bulk.one_of(table.c.person_id, persons)
            for table in (ledger, activity)
        }
        told = tx.execute(sa.select(activity.c.activity_id).where(about[activity])).scalars().all()
        carriers = [f"{CARRIER}{activity_id}" for activity_id in told]
        for table, mine in about.items():
            tx.execute(sa.delete(table).where(mine))
        for theirs in (operation.c.link_id, links), (operation.c.op_id, carriers):
            sent = self._store.bulk.one_of(*theirs)
            tx.execute(sa.delete(operation).where(sent, operation.c.state != OperationState.IN_FLIGHT.value))
        tx.execute(sa.delete(echo).where(self._store.bulk.one_of(echo.c.person_id, persons)))
        for end in (person_merge.c.loser, person_merge.c.winner):
            tx.execute(sa.delete(person_merge).where(self._store.bulk.one_of(end, persons)))
        asked = self._store.bulk.one_of(request.c.person_id, persons)
        tx.execute(sa.delete(request).where(asked, request.c.finished_at.is_not(None)))

    def exist(self) -> bool:
        """Whether anything is remembered."""
        with self._store.read() as connection:
            return connection.execute(sa.select(erasure.c.digest).limit(1)).scalar() is not None
