"""Links: who belongs to whom, the baseline of each pair, and what each side was last seen to show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from include.leadsync.model import Entity, LinkStatus
from include.leadsync.state.arrow import conform, empty_table, filled, with_all_columns
from include.leadsync.state.column_kinds import MOMENT, NUMBER
from include.leadsync.state.errors import LinkTaken
from include.leadsync.state.link_counts import LinkCounts
from include.leadsync.state.schema import LIVE, link
from include.leadsync.state.statements import Prepared, among
from include.leadsync.state.store import StateStore, Transaction, fetch, is_writing

EXPECTED = "expected_version"
HISTORY = (
    LinkStatus.CRM_DELETED.value,
    LinkStatus.PERSON_DELETED.value,
    LinkStatus.CONVERTED.value,
    LinkStatus.CRM_MERGED.value,
    LinkStatus.PERSON_MERGED.value,
)
"""Links that ended: what became of a record that is met again."""
_COLUMNS = list(link.columns)
_LINKS = sa.select(*_COLUMNS)
_DIRTY = Prepared(
    _LINKS.where(link.c.dirty.is_not(None), link.c.status.in_(LIVE))
    .order_by(link.c.link_id)
    .limit(sa.bindparam("most", type_=sa.Integer()))
)
_SET_DIRTY = Prepared(sa.update(link).where(among(link.c.link_id, "link_ids")).values(dirty=sa.bindparam("reason")))
_VERSIONS = Prepared(
    sa.select(link.c.link_id, link.c.version)
    .where(among(link.c.link_id, "link_ids"))
    .order_by(link.c.link_id)  # in order: two runs never wait for each other
    .with_for_update()
)
_PAGE = 50_000


class Links:
    """The link table.

    Tables of links have these columns, and `insert` and `update` take any subset:

    - link_id int64 · entity string ("lead", "contact") · person_id int64? · crm_id string? (GUID, lower case)
    - status string (`LinkStatus`) · version int64, moves with every change of the baseline
    - layout_id int64?, base string? (JSON array of canonical values in the order of that layout)
    - person_side, crm_side string? (JSON object of what a side shows where it differs from base)
    - person_open, crm_open string? (JSON list of the fields in it that are changes not agreed yet, D8)
    - person_hash, crm_hash int64?, hash_tag string? (row hashes last seen, and how they were made)
    - crm_etag string? · dirty string? (why both sides must be read afresh) · note string?
    - crm_state int64? (statecode last seen; anything but 0 is closed)
    - became_crm string?, became_person int64? (of ended links: what took the place of their record or person)
    - created_run string? · created_at, changed_at timestamp[us, UTC]

    Look-ups take any number of ids, repeated ones included, and return each link once, in no order.
    They see active and creating links only, unless `statuses` names others (None: all). Inside a transaction
    that writes, what they return stays as it is until that transaction ends.
    """

    def __init__(self, store: StateStore) -> None:
        self._store = store
        self._counts = LinkCounts(store)

    def by_person(
        self, ids: Sequence[int], tx: Transaction | None = None, statuses: Sequence[str] | None = LIVE
    ) -> pa.Table:
        """Links of Marketo persons."""
        return self._find(link.c.person_id, ids, tx, statuses)

    def by_crm(
        self, ids: Sequence[str], tx: Transaction | None = None, statuses: Sequence[str] | None = LIVE
    ) -> pa.Table:
        """Links of CRM records; GUIDs in any case."""
        return self._find(link.c.crm_id, [crm_id.lower() for crm_id in ids], tx, statuses)

    def by_id(
        self, link_ids: Sequence[int], tx: Transaction | None = None, statuses: Sequence[str] | None = LIVE
    ) -> pa.Table:
        """Links by their own ids."""
        return self._find(link.c.link_id, link_ids, tx, statuses)

    def last_by_crm(self, ids: Sequence[str], tx: Transaction | None = None) -> dict[str, dict[str, Any]]:
        """CRM record → the link of it that ended last, as a row; records with a live link, or without any, lack."""
        rows = self.by_crm(ids, tx, (*HISTORY, *LIVE)).to_pylist()
        alive = {row["crm_id"] for row in rows if row["status"] in LIVE}
        ended = sorted(rows, key=lambda row: (row["changed_at"], row["link_id"]))
        return {row["crm_id"]: row for row in ended if row["crm_id"] not in alive}

    def dirty(self, limit: int, tx: Transaction | None = None) -> pa.Table:
        """Live links whose two sides must be read afresh, lowest link_id first."""
        with self._store.look(tx) as connection:
            return _DIRTY.fetch(connection, {"most": limit})

    def _find(
        self, column: sa.Column[Any], ids: Sequence[Any], tx: Transaction | None, statuses: Sequence[str] | None
    ) -> pa.Table:
        if not ids:
            return empty_table(_COLUMNS)
        locked = tx is not None and is_writing(tx)
        statement = _found(column, None if statuses is None else tuple(statuses), locked=locked)
        with self._store.look(tx) as connection:
            return statement.fetch(connection, {"ids": list(ids)})

    def insert(self, rows: pa.Table, tx: Transaction | None = None) -> pa.Table:
        """Store new links; returns all their columns, in the order given, with the new `link_id`.

        Needs entity; status is active, version 0 and both times now unless given.

        Raises:
            LinkTaken: a person or CRM record has an active link; none of the rows is stored, and the
                caller's transaction can go on.
        """
        now = self._store.now()
        rows = _lower_guids(conform(rows, link))
        rows = filled(rows, "status", LinkStatus.ACTIVE.value, "text")
        rows = filled(filled(rows, "version", 0, NUMBER), "created_at", now, MOMENT)
        rows = filled(rows, "changed_at", now, MOMENT)
        with self._store.within(tx) as connection:
            ids = self._store.bulk.next_ids(connection, link.c.link_id, rows.num_rows) if rows.num_rows else []
            rows = rows.drop_columns(["link_id"]) if "link_id" in rows.column_names else rows
            rows = with_all_columns(rows.append_column("link_id", pa.array(ids, pa.int64())), _COLUMNS)
            with self._refusing_second_links(connection, rows), connection.begin_nested():
                self._store.bulk.insert(connection, link, rows)
            self._counts.added(connection, rows)
        return rows

    def update(self, rows: pa.Table, tx: Transaction | None = None) -> list[int]:
        """Set columns of links by `link_id`; returns the ids of those that lost the race.

        With a column `expected_version` a link changes only while it has that version (compare and
        set), and its version moves on by one unless `version` is given. Without it every link
        changes and the version stays unless given. `changed_at` is now unless given.

        Raises:
            LinkTaken: the change would give a person or CRM record a second active link.
        """
        if rows.num_rows == 0:
            return []
        rows = _lower_guids(conform(rows, link, extra=(EXPECTED,)))
        rows = filled(rows, "changed_at", self._store.now(), MOMENT)
        with self._store.within(tx) as connection:
            rows, lost = self._without_losers(connection, rows)
            if rows.num_rows:
                with (
                    self._counts.moving(connection, rows),
                    self._refusing_second_links(connection, rows),
                    connection.begin_nested(),
                ):
                    self._store.bulk.update(connection, link, rows, keys=["link_id"])
        return lost

    def _without_losers(self, tx: Transaction, rows: pa.Table) -> tuple[pa.Table, list[int]]:
        if EXPECTED not in rows.column_names:
            return rows, []
        ids = rows["link_id"].to_pylist()
        stored = _VERSIONS.rows(tx, {"link_ids": ids})
        versions: dict[int, int] = {key: version for key, version in stored}  # noqa: C416 - rows are no pairs
        expected = rows[EXPECTED].to_pylist()
        holds = [versions.get(key) == version for key, version in zip(ids, expected, strict=True)]
        lost = [key for key, kept in zip(ids, holds, strict=True) if not kept]
        rows = rows.filter(pa.array(holds, pa.bool_())) if lost else rows
        if "version" not in rows.column_names:
            rows = rows.append_column("version", pc.add(rows[EXPECTED], 1))
        return rows.drop_columns([EXPECTED]), lost

    @contextmanager
    def _refusing_second_links(self, tx: Transaction, rows: pa.Table) -> Iterator[None]:
        try:
            yield
        except IntegrityError as error:
            persons = self._taken(tx, rows, "person_id")
            crm_ids = self._taken(tx, rows, "crm_id")
            if not persons and not crm_ids:
                raise
            raise LinkTaken(persons, crm_ids) from error

    def _taken(self, tx: Transaction, rows: pa.Table, name: str) -> list[Any]:
        """Values of an identity column that other live links hold, or that `rows` names twice."""
        if name not in rows.column_names:  # the links keep their records and come back to life
            rows = self._find(link.c.link_id, rows["link_id"].to_pylist(), tx, None)
        wanted = Counter(value for value in rows[name].to_pylist() if value is not None)
        own = set(rows["link_id"].to_pylist())
        holders = self._find(link.c[name], list(wanted), tx, LIVE)
        held = {
            value
            for value, holder in zip(holders[name].to_pylist(), holders["link_id"].to_pylist(), strict=True)
            if holder not in own
        }
        return sorted(held | {value for value, times in wanted.items() if times > 1})

    def set_dirty(self, link_ids: Sequence[int], reason: str, tx: Transaction | None = None) -> int:
        """Have both sides of links read afresh by the next cycle; returns how many."""
        if not link_ids:
            return 0
        with self._store.within(tx) as connection:
            return _SET_DIRTY.change(connection, {"link_ids": list(link_ids), "reason": reason})

    def set_all_dirty(self, entity: Entity | str, reason: str, tx: Transaction | None = None) -> int:
        """Have both sides of every live link of an entity read afresh, some in each cycle; returns how many."""
        live = link.c.status.in_(LIVE) & (link.c.entity == str(entity)) & link.c.dirty.is_(None)
        with self._store.within(tx) as connection:
            return connection.execute(sa.update(link).where(live).values(dirty=reason)).rowcount

    def count(
        self,
        entity: Entity | str | None = None,
        status: LinkStatus | str | None = None,
        tx: Transaction | None = None,
    ) -> int:
        """How many links there are, of an entity and in a status; read from counters, not counted."""
        return self._counts.total(entity, None if status is None else [status], tx)

    def count_live(self) -> int:
        """How many links are in use; history and tombstones do not count."""
        return self._counts.total(None, LIVE)

    def pages(self, entity: Entity | str | None = None, size: int = _PAGE) -> Iterator[pa.Table]:
        """Every live link, in slices by link_id: for sweeps only, each slice in a transaction of its own."""
        statement = sa.select(*_COLUMNS).where(link.c.status.in_(LIVE))
        yield from self._paged(statement, entity, size)

    def absent(self, entity: Entity | str, present: Sequence[str]) -> list[str]:
        """CRM ids of live links of an entity that are not in `present`: after a full read only (DECISIONS 17)."""
        here = pa.array([crm_id.lower() for crm_id in present], pa.string())
        missing: list[str] = []
        statement = sa.select(link.c.link_id, link.c.crm_id).where(link.c.status.in_(LIVE), link.c.crm_id.is_not(None))
        for page in self._paged(statement, entity, _PAGE):
            missing += page["crm_id"].filter(pc.invert(pc.is_in(page["crm_id"], value_set=here))).to_pylist()
        return missing

    def sample(self, entity: Entity | str, count: int, excluding: Sequence[str] = ()) -> list[str]:
        """CRM ids of up to `count` active links of an entity, to test whether anything can be read (D51)."""
        out = pa.array([crm_id.lower() for crm_id in excluding], pa.string())
        found: list[str] = []
        active = link.c.status == LinkStatus.ACTIVE.value
        statement = sa.select(link.c.link_id, link.c.crm_id).where(active, link.c.crm_id.is_not(None))
        for page in self._paged(statement, entity, max(1000, count)):
            found += page["crm_id"].filter(pc.invert(pc.is_in(page["crm_id"], value_set=out))).to_pylist()
            if len(found) >= count:
                break
        return found[:count]

    def _paged(self, statement: sa.Select[Any], entity: Entity | str | None, size: int) -> Iterator[pa.Table]:
        if entity is not None:
            statement = statement.where(link.c.entity == str(entity))
        last = 0
        while True:
            page_of = statement.where(link.c.link_id > last).order_by(link.c.link_id).limit(size)
            with self._store.read() as connection:
                page = fetch(connection, page_of)
            if page.num_rows == 0:
                return
            last = page["link_id"][-1].as_py()
            yield page

    def after(
        self,
        entity: Entity | str,
        link_id: int,
        limit: int,
        among: Sequence[str] | None = None,
        tx: Transaction | None = None,
    ) -> pa.Table:
        """Active links of an entity behind `link_id`, lowest first; only those of the CRM records `among`, if given."""
        active = (
            (link.c.entity == str(entity)) & (link.c.status == LinkStatus.ACTIVE.value) & (link.c.link_id > link_id)
        )
        statement = sa.select(*_COLUMNS).where(active).order_by(link.c.link_id).limit(limit)
        if among is not None:
            statement = statement.where(self._store.bulk.one_of(link.c.crm_id, among))
        with self._store.look(tx) as connection:
            return fetch(connection, statement)


@cache
def _found(column: sa.Column[Any], statuses: tuple[str, ...] | None, *, locked: bool) -> Prepared:
    """Links by one of their ids, in these statuses; a transaction that writes locks them."""
    statement = _LINKS.where(among(column, "ids"))
    if statuses is not None:
        statement = statement.where(link.c.status.in_(statuses))
    return Prepared(statement.order_by(link.c.link_id).with_for_update() if locked else statement)


def _lower_guids(rows: pa.Table) -> pa.Table:
    """GUIDs have one spelling, or one record could be linked twice."""
    if "crm_id" not in rows.column_names:
        return rows
    return rows.set_column(rows.column_names.index("crm_id"), "crm_id", pc.utf8_lower(rows["crm_id"]))
