"""Links counted per entity and status as they change, so that nobody ever counts them all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pyarrow as pa
import sqlalchemy as sa

from include.leadsync.model import Entity, LinkStatus
from include.leadsync.state.schema import link, link_count
from include.leadsync.state.statements import Prepared, among
from include.leadsync.state.store import StateStore, Transaction

_OF_GROUP = (link_count.c.entity == sa.bindparam("of_entity")) & (link_count.c.status == sa.bindparam("of_status"))
_MORE = Prepared(sa.update(link_count).where(_OF_GROUP).values(links=link_count.c.links + sa.bindparam("more")))
_ALL = Prepared(sa.select(link_count.c.entity, link_count.c.status, link_count.c.links))
_GROUPS = Prepared(
    sa.select(link.c.entity, link.c.status, sa.func.count())
    .where(among(link.c.link_id, "link_ids"))
    .group_by(link.c.entity, link.c.status)
)


class LinkCounts:
    """The counters; changed in the transaction that changes the links."""

    def __init__(self, store: StateStore) -> None:
        self._store = store

    def total(
        self,
        entity: Entity | str | None,
        statuses: Sequence[LinkStatus | str] | None,
        tx: Transaction | None = None,
    ) -> int:
        """Sum of the counters that fit; None fits all."""
        wanted = None if statuses is None else {str(status) for status in statuses}
        with self._store.look(tx) as connection:
            rows = _ALL.rows(connection)
        fitting = (
            links
            for of_entity, status, links in rows
            if (entity is None or of_entity == str(entity)) and (wanted is None or status in wanted)
        )
        return sum(fitting)

    def added(self, tx: Transaction, rows: pa.Table) -> None:
        """Count new links."""
        pairs = zip(rows["entity"].to_pylist(), rows["status"].to_pylist(), strict=True)
        self._apply(tx, Counter(pairs))

    @contextmanager
    def moving(self, tx: Transaction, rows: pa.Table) -> Iterator[None]:
        """Count links whose entity or status changes inside the block."""
        if not {"entity", "status"} & set(rows.column_names):
            yield
            return
        ids = rows["link_id"].to_pylist()
        before = self._of(tx, ids)
        yield
        after = self._of(tx, ids)
        after.subtract(before)
        self._apply(tx, after)

    def _of(self, tx: Transaction, ids: Sequence[int]) -> Counter[tuple[str, str]]:
        found = _GROUPS.rows(tx, {"link_ids": list(ids)})
        return Counter({(entity, status): links for entity, status, links in found})

    def _apply(self, tx: Transaction, change: Counter[tuple[str, str]]) -> None:
        for (entity, status), links in sorted(change.items()):  # in order: two runs must not wait for each other
            if links:
                row = {"entity": entity, "status": status, "links": 0}
                self._store.insert_if_absent(tx, link_count, row, ("entity", "status"))
                _MORE.change(tx, {"of_entity": entity, "of_status": status, "more": links})
