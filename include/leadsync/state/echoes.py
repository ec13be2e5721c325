"""What our own writes leave in Marketo's feed, and which feed rows were seen (DECISIONS 18, 19)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import pyarrow as pa
import sqlalchemy as sa

from include.leadsync.state.arrow import conform, empty_table, filled, to_micros, with_all_columns
from include.leadsync.state.bulk import OnConflict
from include.leadsync.state.column_kinds import MOMENT
from include.leadsync.state.schema import echo, seen_activity
from include.leadsync.state.statements import Prepared, among
from include.leadsync.state.store import StateStore, Transaction

_OF_PERSONS = Prepared(
    sa.select(*echo.columns)
    .where(among(echo.c.person_id, "person_ids"))
    .order_by(echo.c.written_at, echo.c.op_id, echo.c.field)
)
_SEEN = Prepared(sa.select(seen_activity.c.guid).where(among(seen_activity.c.guid, "guids")))


class Echoes:
    """Writes to persons that the lead-changes feed will show back to us.

    Columns: person_id int64 · field string · before, after string? · written_at timestamp[us, UTC] · op_id string.
    """

    def __init__(self, store: StateStore) -> None:
        self._store = store

    def add(self, rows: pa.Table, tx: Transaction | None = None) -> int:
        """Expect echoes; `written_at` is now unless given. A repeat of the same operation replaces its row."""
        if rows.num_rows == 0:
            return 0
        rows = filled(conform(rows, echo), "written_at", self._store.now(), MOMENT)
        rows = with_all_columns(rows, list(echo.columns))
        replaces = OnConflict(("person_id", "field", "op_id"), replace_if=sa.true())
        with self._store.within(tx) as connection:
            return self._store.bulk.insert(connection, echo, rows, replaces)

    def of_persons(self, person_ids: Sequence[int], tx: Transaction | None = None) -> pa.Table:
        """Echoes still expected of these persons, oldest first."""
        if not person_ids:
            return empty_table(list(echo.columns))
        with self._store.look(tx) as connection:
            return _OF_PERSONS.fetch(connection, {"person_ids": list(person_ids)})

    def remove(self, found: pa.Table, tx: Transaction | None = None) -> int:
        """Forget echoes that were found: person_id, field, op_id. Returns how many."""
        if found.num_rows == 0:
            return 0
        rows = conform(found.select(["person_id", "field", "op_id"]), echo)
        with self._store.within(tx) as connection:
            return self._store.bulk.delete(connection, echo, rows)

    def expire(self, before: datetime, tx: Transaction | None = None) -> int:
        """Forget echoes written before a moment: the feed will not show them any more."""
        with self._store.within(tx) as connection:
            old = echo.c.written_at < to_micros(before)
            return connection.execute(sa.delete(echo).where(old)).rowcount


class SeenActivities:
    """Feed rows that were taken in: guid string · at timestamp[us, UTC]."""

    def __init__(self, store: StateStore) -> None:
        self._store = store

    def unseen(self, guids: Sequence[str], tx: Transaction | None = None) -> list[str]:
        """Those not taken in yet, in the order given, each once."""
        if not guids:
            return []
        with self._store.look(tx) as connection:
            known = set(_SEEN.column(connection, {"guids": list(guids)}))
        return [guid for guid in dict.fromkeys(guids) if guid not in known]

    def add(self, rows: pa.Table, tx: Transaction | None = None) -> int:
        """Remember feed rows; returns how many were new."""
        if rows.num_rows == 0:
            return 0
        rows = filled(conform(rows, seen_activity), "at", self._store.now(), MOMENT)
        with self._store.within(tx) as connection:
            return self._store.bulk.insert(connection, seen_activity, rows, OnConflict(("guid",)))
