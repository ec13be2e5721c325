"""Persons merged away in Marketo: whoever asks for one of them later means the survivor (R73, D44)."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import sqlalchemy as sa

from include.leadsync.state.schema import person_merge
from include.leadsync.state.statements import Prepared, among
from include.leadsync.state.store import StateStore, Transaction

_HOPS = 20
"""Merges of merges that are followed."""


_LOSERS = Prepared(sa.select(person_merge.c.loser).where(among(person_merge.c.winner, "persons")))
_WINNERS = Prepared(
    sa.select(person_merge.c.loser, person_merge.c.winner).where(among(person_merge.c.loser, "persons"))
)


class PersonMerges:
    """The person_merge table: loser → winner, as Marketo told; a person is merged away once."""

    def __init__(self, store: StateStore) -> None:
        self._store = store

    def add(self, winners: Mapping[int, int], tx: Transaction | None = None) -> None:
        """Remember losers with their winners; a merge that is read twice changes nothing."""
        with self._store.within(tx) as connection:
            for loser, winner in sorted(winners.items()):
                row = {"loser": loser, "winner": winner, "at": self._store.micros()}
                self._store.insert_if_absent(connection, person_merge, row, ("loser",))

    def survivors(self, persons: Collection[int], tx: Transaction | None = None) -> dict[int, int]:
        """Those of the persons that were merged away, with the one that is left at the end of their chain."""
        found: dict[int, int] = {}
        if not persons:
            return found
        with self._store.look(tx) as connection:
            ends = {person: person for person in persons}
            for _ in range(_HOPS):
                step = self._winners(connection, set(ends.values()))
                if not step:
                    break
                ends = {start: step.get(end, end) for start, end in ends.items()}
            found |= {start: end for start, end in ends.items() if end != start}
        return found

    def losers(self, persons: Collection[int], tx: Transaction | None = None) -> set[int]:
        """Everybody who was merged into one of the persons, directly or by way of others."""
        found, ends = set[int](), set(persons)
        with self._store.look(tx) as connection:
            for _ in range(_HOPS):
                ends = set(_LOSERS.column(connection, {"persons": sorted(ends)}))
                ends -= found
                if not ends:
                    break
                found |= ends
        return found

    def _winners(self, connection: Transaction, persons: Collection[int]) -> dict[int, int]:
        rows = _WINNERS.rows(connection, {"persons": sorted(persons)})
        return {loser: winner for loser, winner in rows}  # noqa: C416 - rows are no pairs
