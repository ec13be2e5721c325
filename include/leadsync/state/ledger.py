"""The ledger: every write with before, after, base, rule and run, so that `why` and `undo` can answer (P9)."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from include.leadsync.state.arrow import conform, filled
from include.leadsync.state.column_kinds import MOMENT
from include.leadsync.state.schema import ledger
from include.leadsync.state.store import StateStore, Transaction, fetch

_COLUMNS = list(ledger.columns)


class Ledger:
    """The ledger table, append only.

    Columns: entry_id int64 · run_id string · op_id string? · link_id, person_id int64? · crm_id string? ·
    entity string · field string? · direction, kind string · base, before, after, lost string? ·
    rule string · at timestamp[us, UTC].
    """

    def __init__(self, store: StateStore) -> None:
        self._store = store

    def add(self, rows: pa.Table, tx: Transaction | None = None) -> int:
        """Append entries; `at` is now unless given, `entry_id` is assigned. Returns how many."""
        if rows.num_rows == 0:
            return 0
        rows = filled(conform(rows, ledger), "at", self._store.now(), MOMENT)
        with self._store.within(tx) as connection:
            return self._store.bulk.insert(connection, ledger, rows)

    def add_once(self, rows: pa.Table, tx: Transaction | None = None) -> int:
        """Append the entries of operations that have none yet. Returns how many."""
        if rows.num_rows == 0:
            return 0
        links = self._store.bulk.one_of(ledger.c.link_id, rows["link_id"].unique().to_pylist())  # the one with an index
        mine = links & self._store.bulk.one_of(ledger.c.op_id, rows["op_id"].unique().to_pylist())
        with self._store.within(tx) as connection:
            known = connection.execute(sa.select(ledger.c.op_id).where(mine).distinct()).scalars().all()
            new = pc.invert(pc.is_in(rows["op_id"], value_set=pa.array(known, pa.string())))
            return self.add(rows.filter(new), connection)

    def of_person(self, person_id: int, field: str | None = None, tx: Transaction | None = None) -> pa.Table:
        """Entries of a Marketo person, of one field if named, oldest first."""
        statement = sa.select(*_COLUMNS).where(ledger.c.person_id == person_id)
        if field is not None:
            statement = statement.where(ledger.c.field == field)
        return self._read(statement, tx)

    def of_crm(self, crm_id: str, field: str | None = None, tx: Transaction | None = None) -> pa.Table:
        """Entries of a CRM record, of one field if named, oldest first."""
        statement = sa.select(*_COLUMNS).where(ledger.c.crm_id == crm_id.lower())
        if field is not None:
            statement = statement.where(ledger.c.field == field)
        return self._read(statement, tx)

    def of_run(self, run_id: str, tx: Transaction | None = None) -> pa.Table:
        """Entries of a run, oldest first."""
        return self._read(sa.select(*_COLUMNS).where(ledger.c.run_id == run_id), tx)

    def _read(self, statement: sa.Select[tuple[object, ...]], tx: Transaction | None) -> pa.Table:
        with self._store.look(tx) as connection:
            return fetch(connection, statement.order_by(ledger.c.entry_id))
