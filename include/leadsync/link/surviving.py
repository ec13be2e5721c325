"""Changes of a record whose person was merged away, written to the survivor (D44, `lifecycle.marketo_merge`).

They count as edits of the survivor: its own record gets them too, and the winner rule of its link holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from include.leadsync.baseline import decode_links, refresh
from include.leadsync.context import Engine
from include.leadsync.extract.feed import OVERWRITTEN_SCHEMA
from include.leadsync.link.carrying import PENDING, handed_over
from include.leadsync.model import Entity, FieldMap, Flow
from include.leadsync.no_rows import frame_of, no_rows
from include.leadsync.schema import Schema
from include.leadsync.state import Layouts, Links

Row = Mapping[str, object]


class Survivors:
    """`carried`: edits for the survivors (`OVERWRITTEN_SCHEMA`). `links`: those of the survivors, by entity.

    `bases`: per entity link_id and `b.<field>` of ended links: what their record shows now, known from here on.
    """

    def __init__(
        self, engine: Engine, schema: Schema, rows: Mapping[Entity, pl.DataFrame], ended: Sequence[Row]
    ) -> None:
        """`ended`: stored links of the records, with `person_id` of the one that is left in the end."""
        self._store, self._schema = Links(engine.store), schema
        self.carried = no_rows(OVERWRITTEN_SCHEMA)
        self.links: dict[Entity, set[int]] = {entity: set() for entity in Entity}
        self.bases: dict[Entity, pl.DataFrame] = {}
        if not ended:
            return
        self._layouts = Layouts(engine.store).all()
        waiting = [self._changed(entity, rows[entity], ended) for entity in Entity]
        self._carry(pl.concat([no_rows(PENDING), *waiting]), engine)

    def _changed(self, entity: Entity, rows: pl.DataFrame, ended: Sequence[Row]) -> pl.DataFrame:
        """What the records of one entity show and their link did not know."""
        schema = frame_of(self._store.by_id([])).schema
        links = pl.DataFrame([row for row in ended if row["entity"] == entity], schema=schema)
        field_map = self._schema.map(entity)
        names = field_map.names
        wide = refresh(decode_links(links, self._layouts, names), rows, "crm_id", "id", "c", names)
        known = [pl.col(f"c.{name}").alias(f"b.{name}") for name in names]
        self.bases[entity] = wide.select("link_id", *known)
        return _moved(wide, field_map)

    def _carry(self, waiting: pl.DataFrame, engine: Engine) -> None:
        persons = waiting["person_id"].unique().to_list()
        links = frame_of(self._store.by_person(persons))
        by_person = dict(links.select("person_id", "link_id").iter_rows())
        pairs = waiting.select("link_id", "person_id").unique().iter_rows()
        kept = {link_id: by_person[person] for link_id, person in pairs if person in by_person}
        for entity in Entity:
            mine = links.filter(pl.col("entity") == entity.value)
            self.links[entity] = set(mine["link_id"].to_list())
            given = handed_over(waiting, kept, mine, self._layouts, self._schema.map(entity).names)
            stamped = given.with_columns(pl.lit(engine.now()).alias("at"))
            self.carried = pl.concat([self.carried, stamped.select(self.carried.columns).cast(OVERWRITTEN_SCHEMA)])


def _moved(wide: pl.DataFrame, field_map: FieldMap) -> pl.DataFrame:
    """Changed cells, `PENDING`; a lift of an opt-out is not carried over to somebody else (D88)."""
    parts = [no_rows(PENDING)]
    for field in field_map.fields:
        if field.rule.flow is not Flow.BOTH:
            continue
        name = field.name
        base = pl.col(f"cs.{name}") if f"cs.{name}" in wide.columns else pl.col(f"b.{name}")
        shown = pl.col(f"c.{name}")
        moved = pl.col("c_fresh") & ~pl.col(f"n.{name}") & shown.ne_missing(base)
        if field.rule.consent:
            moved = moved & (shown == "true")
        parts.append(
            wide.filter(moved).select("link_id", "person_id", pl.lit(name).alias("field"), shown.alias("value"))
        )
    return pl.concat(parts)
