"""Persons who were deleted and must stay so: keyed digests only, nothing that names anybody (D52)."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from include.leadsync.state.schema import erasure
from include.leadsync.state.store import StateStore, Transaction


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
        statement = sa.select(erasure.c.digest).where(self._store.bulk.one_of(erasure.c.digest, digests))
        with self._store.look(tx) as connection:
            return set(connection.execute(statement).scalars()) if digests else set()

    def lift(self, digests: Sequence[str], tx: Transaction | None = None) -> int:
        """Forget digests: their person came back by its own request. Returns how many were there."""
        with self._store.within(tx) as connection:
            gone = sa.delete(erasure).where(self._store.bulk.one_of(erasure.c.digest, digests))
            return connection.execute(gone).rowcount if digests else 0

    def exist(self) -> bool:
        """Whether anything is remembered."""
        with self._store.read() as connection:
            return connection.execute(sa.select(erasure.c.digest).limit(1)).scalar() is not None
