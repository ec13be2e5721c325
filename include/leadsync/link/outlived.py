"""CRM records that were updated after their person was deleted, when one run sees both (R77).

Seen one after the other, the deletion ends the link (R76) and the update makes a new person. Seen at once, the times of
the services say which came first.

Assumption: the clocks of the services are less than `_DOUBT` apart. Within it an update counts as before the deletion:
who was deleted on purpose comes back with the next update, not by a guess.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import polars as pl

from include.leadsync.clock import parse_iso
from include.leadsync.context import Engine
from include.leadsync.erasing import Eraser
from include.leadsync.extract.identity import QUALIFIED, canonical_records, record_columns
from include.leadsync.link.removals import ending_first
from include.leadsync.load.outcome import Fate
from include.leadsync.model import Entity, LinkStatus
from include.leadsync.no_rows import frame_of
from include.leadsync.schema import Schema
from include.leadsync.staging import Staging
from include.leadsync.state import Links

_DOUBT = timedelta(seconds=5)
_EXISTING = (LinkStatus.ACTIVE, LinkStatus.SUSPENDED)


@dataclass
class Outlived:
    """`rows`: those records as they are now, without a link. `link_ids`: the links that they had."""

    rows: dict[Entity, pl.DataFrame] = field(default_factory=dict)
    link_ids: set[int] = field(default_factory=set)

    def arriving(self, entity: Entity, rows: pl.DataFrame) -> pl.DataFrame:
        """Extracted records, with these as records that nobody is linked to."""
        if entity not in self.rows:
            return rows
        mine = self.rows[entity]
        others = rows.filter(~pl.col("id").is_in(mine["id"].to_list()))
        unlinked = mine.with_columns(pl.lit(None, pl.Int64).alias("link_id"))
        return pl.concat([others, unlinked.select(pl.col(name).cast(rows.schema[name]) for name in rows.columns)])

    def told(self, found: pl.DataFrame) -> pl.DataFrame:
        """Events as they are now that these links end before the new ones are stored."""
        message = "the person was deleted in Marketo and the CRM record updated afterwards: it is somebody new"
        return ending_first(found, self.link_ids, message, "R77")


def ids_met(staging: Staging, links: Links, read: Mapping[Entity, pl.DataFrame]) -> dict[Entity, set[str]]:
    """Records that came in this run: those extracted, and linked ones that changed in no field of the map."""
    met = {entity: set(rows["id"].to_list()) for entity, rows in read.items()}
    for entity, ids in met.items():
        unchanged = staging.read(f"crm_seen.{entity.value}")["link_id"].to_list()
        ids.update(links.by_id(unchanged)["crm_id"].to_pylist() if unchanged else ())
    return met


def outlived(
    engine: Engine,
    schema: Schema,
    deleted: Mapping[int, datetime],
    survivors: Mapping[int, int],
    met: Mapping[Entity, Collection[str]],
    *,
    besides: Collection[int],
) -> Outlived:
    """The records of `met` that were updated after their persons' deletion, not by ourselves.

    `deleted`: person → when. `survivors`: persons merged away → who is left. `besides`: links that end or move
    anyway. Nothing where the deleted stay deleted (D52).
    """
    found = Outlived()
    if not deleted or Eraser(engine).enabled:
        return found
    at = {**deleted, **{loser: deleted[left] for loser, left in survivors.items() if left in deleted}}
    links = frame_of(Links(engine.store).by_person(sorted(at), statuses=_EXISTING))
    in_doubt = pl.col("dirty").str.starts_with(Fate.UNKNOWN.value).fill_null(value=False)  # our last write may be it
    links = links.filter(~pl.col("link_id").is_in(list(besides)) & ~in_doubt).select(
        "entity",
        "link_id",
        "crm_etag",
        pl.col("crm_id").alias("id"),
        pl.col("person_id").replace_strict(at, return_dtype=pl.Datetime("us", "UTC")).alias("deleted"),
    )
    for entity, ids in met.items():
        mine = links.filter((pl.col("entity") == entity.value) & pl.col("id").is_in(list(ids)))
        rows = _updated(engine, schema, entity, mine) if mine.height else mine
        if rows.height:
            found.rows[entity] = rows
            found.link_ids |= set(mine.filter(pl.col("id").is_in(rows["id"].to_list()))["link_id"].to_list())
    return found


def updated_later(engine: Engine, entity: Entity, deleted: Mapping[str, datetime]) -> set[str]:
    """Of the records of `deleted`, id → when their person was deleted, those that were updated after that."""
    raw = engine.dynamics.rows(entity, sorted(deleted), {"modifiedon": "text"})
    rows = zip(raw["id"].to_pylist(), raw["modifiedon"].to_pylist(), strict=True)
    return {crm_id for crm_id, modified in rows if modified and parse_iso(modified) > deleted[crm_id] + _DOUBT}


def _updated(engine: Engine, schema: Schema, entity: Entity, links: pl.DataFrame) -> pl.DataFrame:
    """Canonical records, read now, of `links` (id, deleted, crm_etag) that were updated later than that.

    The version that the link knows is our own write, or was read before. A record that was merged, or a lead
    that became a contact, is nobody's person (R67, R71).
    """
    later = updated_later(engine, entity, dict(links.select("id", "deleted").iter_rows()))
    reference = engine.settings.lifecycle.conversion_reference
    raw = engine.dynamics.rows(entity, sorted(later), record_columns(schema, entity, reference))
    if raw.num_rows == 0:
        return links.clear()
    rows = canonical_records(raw, schema, entity, reference)
    became = (pl.col("@state") == QUALIFIED) & pl.lit(entity is Entity.LEAD)
    known = rows.select("id").join(links, on="id", how="left", maintain_order="left")["crm_etag"]
    return rows.filter(~pl.col("@merged") & ~became.fill_null(value=False) & rows["etag"].ne_missing(known))
