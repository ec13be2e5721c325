"""The activity log: what failed and what recovered, once per change of outcome (P6, R151, D96)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from include.leadsync.state.arrow import conform, filled, with_constant
from include.leadsync.state.bulk import OnConflict
from include.leadsync.state.column_kinds import FLAG, MOMENT, TEXT
from include.leadsync.state.schema import activity, link, operation
from include.leadsync.state.statements import Prepared, among
from include.leadsync.state.store import StateStore, Transaction, fetch

RECOVERED = "recovered"
CARRIER = "activity-"
"""How the ids of operations that tell a person of a row begin; its number follows."""
_COLUMNS = list(activity.columns)
_KEY = ("link_id", "person_id", "crm_id", "direction", "field", "code", "value")
_PAGE = 10_000
_OPEN = sa.literal_column("open") == sa.literal_column("1")  # word for word as in the partial indexes


_OPEN_OF_CODES = Prepared(sa.select(*_COLUMNS).where(_OPEN, among(activity.c.code, "codes")))
_OPEN_OF_LINKS = Prepared(sa.select(*_COLUMNS).where(among(activity.c.link_id, "link_ids"), activity.c.open == 1))
_WAITING_RECORDS = Prepared(
    sa.select(activity.c.entity, activity.c.crm_id)
    .where(
        _OPEN,
        among(activity.c.code, "codes"),
        activity.c.direction == "inbound",
        activity.c.link_id.is_(None),
        activity.c.crm_id.is_not(None),
    )
    .order_by(activity.c.activity_id)
    .limit(sa.bindparam("most", type_=sa.Integer()))
)


class ActivityLog:
    """The activity table.

    Columns: activity_id int64 · key string · outcome string ("failed", "held", "recovered") ·
    operation, direction, field, value string? · code, message string · rule string? · run_id string ·
    link_id, person_id int64? · crm_id, entity string? · at timestamp[us, UTC] · open bool ·
    delivered_at timestamp[us, UTC]? (when the Marketo person was told) · op_id string?.
    """

    def __init__(self, store: StateStore) -> None:
        self._store = store

    def record(self, rows: pa.Table, tx: Transaction | None = None) -> int:
        """Store outcomes; returns how many are new.

        Needs outcome, code, message, run_id. `key` is made here: same link (or person, or CRM record), direction,
        field, code and value is the same outcome, and while a row with it is open, no second is written.
        """
        if rows.num_rows == 0:
            return 0
        rows = conform(rows, activity)
        rows = filled(with_constant(rows, "at", self._store.now(), MOMENT), "at", self._store.now(), MOMENT)
        if "open" not in rows.column_names:
            rows = rows.append_column("open", pc.not_equal(rows["outcome"], RECOVERED))
        if "key" not in rows.column_names:
            rows = rows.append_column("key", _keys(rows))
        with self._store.within(tx) as connection:
            unless_open = OnConflict(("key",), where=_OPEN)
            return self._store.bulk.insert(connection, activity, rows, unless_open)

    def recover(self, done: pa.Table, run_id: str, tx: Transaction | None = None) -> int:
        """Close open rows that a success settles, each with a `recovered` row of its own; returns how many.

        `done`: link_id, direction and optionally field. A field settles its own rows, null those of the record as
        a whole; without the column every row of that link and direction is settled.
        """
        names = [name for name in ("link_id", "direction", "field") if name in done.column_names]
        settled = set(zip(*(done[name].to_pylist() for name in names), strict=True))

        def is_over(*subject: object) -> bool:
            return subject[: len(names)] in settled

        return self._close(done["link_id"].to_pylist(), is_over, run_id, None, tx)

    def settle_absent(
        self, link_ids: Sequence[int], still_open: pa.Table, run_id: str, tx: Transaction | None = None
    ) -> int:
        """Close, as `recover` does, the open rows of links that a new plan has nothing to write for any more.

        `still_open`: link_id, direction, field of what the plan still wants. Rows that this very run
        recorded stay open.
        """
        kept = set(zip(*(still_open[name].to_pylist() for name in ("link_id", "direction", "field")), strict=True))
        pairs = {(link_id, direction) for link_id, direction, _ in kept}

        def is_over(link_id: int, direction: str | None, field: str | None) -> bool:
            return (link_id, direction) not in pairs if field is None else (link_id, direction, field) not in kept

        return self._close(link_ids, is_over, run_id, run_id, tx)

    def found(self, links: pa.Table, run_id: str, tx: Transaction | None = None) -> int:
        """Close, as `recover` does, the open rows of records that had no link and now have one.

        `links`: person_id, crm_id of the new links.
        """
        persons = [person for person in links["person_id"].to_pylist() if person is not None]
        crm_ids = [crm_id for crm_id in links["crm_id"].to_pylist() if crm_id is not None]
        either = self._store.bulk.one_of(activity.c.person_id, persons) | self._store.bulk.one_of(
            activity.c.crm_id, crm_ids
        )
        statement = sa.select(*_COLUMNS).where(_OPEN, activity.c.link_id.is_(None), either)
        with self._store.within(tx) as connection:
            return self._recover_rows(connection, fetch(connection, statement), run_id)

    def over(
        self,
        codes: Sequence[str],
        run_id: str,
        *,
        persons: Sequence[int] = (),
        crm_ids: Sequence[str] = (),
        tx: Transaction | None = None,
    ) -> int:
        """Close, as `recover` does, the open rows of these codes about these persons or CRM records."""
        if not persons and not crm_ids:
            return 0
        either = self._store.bulk.one_of(activity.c.person_id, persons) | self._store.bulk.one_of(
            activity.c.crm_id, crm_ids
        )
        statement = sa.select(*_COLUMNS).where(_OPEN, activity.c.code.in_(list(codes)), either)
        with self._store.within(tx) as connection:
            return self._recover_rows(connection, fetch(connection, statement), run_id)

    def moved(self, survivors: Mapping[int, int], tx: Transaction | None = None) -> int:
        """Persons were merged: what is open, or was not told yet, is the survivors' now; returns how many rows."""
        count = 0
        with self._store.within(tx) as connection:
            for loser, survivor in survivors.items():
                waits = (activity.c.person_id == loser) & (activity.c.delivered_at.is_(None) | _OPEN)
                change = sa.update(activity).where(waits).values(person_id=survivor)
                count += connection.execute(change).rowcount
        return count

    def stands(self, rows: pa.Table | None, codes: Sequence[str], run_id: str, tx: Transaction | None = None) -> int:
        """Facts about the sync itself, of no person: `rows` hold now, all other open rows of these codes are over.

        `rows`: code, message, rule, and any of entity, direction, field; returns how many are new. Nobody is told in
        Marketo.
        """
        given = rows.to_pylist() if rows is not None else []
        keyed = [
            row | {"key": "|".join(str(row.get(n)) for n in ("code", "entity", "field", "message"))} for row in given
        ]
        with self._store.within(tx) as connection:
            there = _OPEN_OF_CODES.fetch(connection, {"codes": list(codes)})
            if there.num_rows:
                holding = {row["key"] for row in keyed}
                over = [key not in holding for key in there["key"].to_pylist()]
                self._recover_rows(connection, there.filter(pa.array(over, pa.bool_())), run_id)
            if not keyed:
                return 0
            common = {"outcome": "failed", "run_id": run_id, "delivered_at": self._store.now()}
            return self.record(pa.Table.from_pylist([row | common for row in keyed]), connection)

    def waiting_records(self, codes: Sequence[str], limit: int, tx: Transaction | None = None) -> pa.Table:
        """CRM records without a link with an open inbound row of one of these codes: entity, crm_id; oldest first."""
        with self._store.look(tx) as connection:
            return _WAITING_RECORDS.fetch(connection, {"codes": list(codes), "most": limit})

    def failed_links(self, entity: str, tx: Transaction | None = None) -> list[int]:
        """Links of one entity with an open failure: they get another chance when the map or the schema changes."""
        failed = sa.select(activity.c.link_id).where(
            _OPEN, activity.c.entity == str(entity), activity.c.link_id.is_not(None), activity.c.outcome == "failed"
        )
        with self._store.look(tx) as connection:
            return sorted(connection.execute(failed.distinct()).scalars())

    def _close(
        self,
        link_ids: Sequence[int],
        is_over: Callable[..., bool],
        run_id: str,
        spared_run: str | None,
        tx: Transaction | None,
    ) -> int:
        if not link_ids:
            return 0
        with self._store.within(tx) as connection:
            rows = _OPEN_OF_LINKS.fetch(connection, {"link_ids": sorted(set(link_ids))})
            if not rows.num_rows:
                return 0
            keys = zip(*(rows[name].to_pylist() for name in ("link_id", "direction", "field", "run_id")), strict=True)
            rows = rows.filter(pa.array([run != spared_run and is_over(*key) for *key, run in keys], pa.bool_()))
            return self._recover_rows(connection, rows, run_id)

    def _recover_rows(self, tx: Transaction, rows: pa.Table, run_id: str) -> int:
        if rows.num_rows:
            closed = self._store.bulk.one_of(activity.c.activity_id, rows["activity_id"].to_pylist())
            tx.execute(sa.update(activity).where(closed).values(open=0))
            self._store.bulk.insert(tx, activity, self._recovered(rows, run_id))
        return len(rows)

    def _recovered(self, rows: pa.Table, run_id: str) -> pa.Table:
        messages = pc.binary_join_element_wise("recovered; it was: ", rows["message"], "")
        rows = rows.drop_columns(["activity_id", "delivered_at", "message"]).append_column("message", messages)
        rows = with_constant(rows, "outcome", RECOVERED, TEXT, replace=True)
        rows = with_constant(rows, "run_id", run_id, TEXT, replace=True)
        rows = with_constant(rows, "at", self._store.now(), MOMENT, replace=True)
        return with_constant(rows, "open", False, FLAG, replace=True)

    def undelivered(self, limit: int, tx: Transaction | None = None) -> pa.Table:
        """Rows whose Marketo person was not told yet, oldest first; all columns.

        `person_id` is the link's present one where the row has none; rows that still have no person
        wait (DECISIONS 24).
        """
        with self._store.look(tx) as connection:
            return _UNDELIVERED.fetch(connection, {"most": limit})

    def untold(self, limit: int, tx: Transaction | None = None) -> pa.Table:
        """Undelivered rows that no operation of the outbox carries yet, oldest first; columns as `undelivered`.

        The operation that carries a row is called `activity-<activity_id>`.
        """
        with self._store.look(tx) as connection:
            return _UNTOLD.fetch(connection, {"most": limit})

    def mark_delivered(self, ids: Sequence[int], tx: Transaction | None = None) -> int:
        """The person was told; returns how many rows changed."""
        if not ids:
            return 0
        told = self._store.bulk.one_of(activity.c.activity_id, ids) & activity.c.delivered_at.is_(None)
        with self._store.within(tx) as connection:
            change = sa.update(activity).where(told).values(delivered_at=self._store.micros())
            return connection.execute(change).rowcount

    def browse(
        self, *, open_only: bool = True, limit: int = 100, offset: int = 0, person_id: int | None = None
    ) -> pa.Table:
        """A page of rows, newest first; of one person if named. All columns."""
        statement = self._selection(open_only=open_only, person_id=person_id)
        with self._store.read() as connection:
            return fetch(connection, statement.order_by(activity.c.activity_id.desc()).limit(limit).offset(offset))

    def export(self, *, open_only: bool = False) -> Iterator[pa.Table]:
        """Every row, oldest first, in tables of up to ten thousand."""
        last = 0
        while True:
            page_of = self._selection(open_only=open_only, person_id=None).where(activity.c.activity_id > last)
            with self._store.read() as connection:
                page = fetch(connection, page_of.order_by(activity.c.activity_id).limit(_PAGE))
            if page.num_rows == 0:
                return
            last = page["activity_id"][-1].as_py()
            yield page

    def open_count(self, tx: Transaction | None = None) -> int:
        """How many failures are open."""
        counted = sa.select(sa.func.count()).select_from(activity).where(_OPEN)
        with self._store.look(tx) as connection:
            return int(connection.execute(counted).scalar_one())

    @staticmethod
    def _selection(*, open_only: bool, person_id: int | None) -> sa.Select[Any]:
        statement = sa.select(*_COLUMNS)
        if open_only:
            statement = statement.where(_OPEN)
        return statement if person_id is None else statement.where(activity.c.person_id == person_id)


def _due(only: sa.ColumnElement[bool]) -> Prepared:
    person = sa.func.coalesce(activity.c.person_id, link.c.person_id)
    columns = [person.label("person_id") if column.name == "person_id" else column for column in _COLUMNS]
    joined = activity.outerjoin(link, link.c.link_id == activity.c.link_id)
    undelivered = (activity.c.delivered_at.is_(None), person.is_not(None), only)
    statement = sa.select(*columns).select_from(joined).where(*undelivered).order_by(activity.c.activity_id)
    return Prepared(statement.limit(sa.bindparam("most", type_=sa.Integer())))


def _not_carried() -> sa.ColumnElement[bool]:
    carrier = sa.literal(CARRIER) + sa.cast(activity.c.activity_id, sa.Text)
    carried = sa.select(operation.c.op_id).where(operation.c.op_id == carrier).limit(1)
    # A scalar subquery, because PostgreSQL turns NOT EXISTS into a join that reads all operations.
    return carried.scalar_subquery().is_(None)


_UNDELIVERED, _UNTOLD = _due(sa.true()), _due(_not_carried())


def _keys(rows: pa.Table) -> pa.Array:
    """Digest of what makes two outcomes the same; the link stands for both of its records."""
    columns = [rows[name].to_pylist() if name in rows.column_names else [None] * rows.num_rows for name in _KEY]
    keys = []
    for link_id, person_id, crm_id, *rest in zip(*columns, strict=True):
        subject = ("link", link_id) if link_id is not None else ("records", person_id, crm_id)
        text = "\x1f".join("\x00" if part is None else str(part) for part in (*subject, *rest))
        keys.append(hashlib.sha256(text.encode()).hexdigest()[:40])
    return pa.array(keys, pa.string())
