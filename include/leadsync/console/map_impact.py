"""What a change of the field map would touch, before it is saved (R95, D69).

For a field that joins, links spread evenly over all of them are read on both sides, one call to Marketo and a few to
Dynamics, and merged as the backfill would merge them. For a field that is synced already the state store knows.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import polars as pl
import pyarrow as pa
import sqlalchemy as sa

from include.leadsync.backfills import Stretch
from include.leadsync.baseline import decode_links
from include.leadsync.console.collisions import Wanted
from include.leadsync.console.collisions import browse as collisions
from include.leadsync.console.map_proposal import MapChange, Proposal
from include.leadsync.context import Engine
from include.leadsync.fields import canonical_persons, canonical_rows, dynamics_columns, marketo_columns
from include.leadsync.merge import merge
from include.leadsync.model import Direction, Entity, FieldMap, LinkStatus, SyncField, System
from include.leadsync.no_rows import frame_of, no_rows
from include.leadsync.plan.refresh import refreshed
from include.leadsync.state import Layouts, Links, StateStore
from include.leadsync.state.schema import activity, link
from include.leadsync.state.store import fetch

SAMPLE = 300
"""Links that are read for a field that joins: one call to Marketo."""
_STORED_SAMPLE = 1_000
_PLACES = 10
_AT_MOST = 10_000
_PERSONS_A_CALL, _ROWS_A_CALL = 300, 100
_KINDS = ("filled", "overwritten", "emptied")


def of_added(engine: Engine, proposal: Proposal) -> dict[str, Any]:
    """What the backfill of a new field would write.

    `links`: linked records, all of which are read · `marketo_calls`, `dynamics_calls`: what that costs ·
    `looked`: links of the sample, `missing` of them no longer there · `equal` · `into_marketo`, `into_dynamics`: each
    `filled` (was empty), `overwritten` (had another value), `emptied`, of the sample; `exact`: the sample is all there
    is · `hidden`: column security keeps the values from our user, so that a run would set the field aside (R21).
    Raises what the services raise.
    """
    field, entity = proposal.pair, proposal.change.entity
    assert field is not None
    assert proposal.settings is not None
    total = Links(engine.store).count(entity, LinkStatus.ACTIVE)
    links = _spread(engine.store, entity, SAMPLE)
    field_map = FieldMap(entity, (field,))
    pairs = _pairs(engine, links, field_map, field)
    policy, backfill = proposal.settings.policies.first_link, proposal.settings.backfill
    first_link = None if policy == "by_type" else System(policy)
    stretch = Stretch((field.name,), backfill.direction, tuple(pairs["link_id"].to_list()))
    nothing_left = pl.lit(None, pl.List(pl.String)).alias("unlinked")
    linked = pairs.with_columns(nothing_left, pl.lit(value=False).alias("n.@agreed"))  # on others: this one joins (R95)
    known = FieldMap(entity, (field, replace(field, rule=replace(field.rule, name="@agreed"))))
    decided = merge(pairs, field_map, first_link)
    decisions = refreshed(decided, linked, known, backfill.direction, stretch)
    counts = {way: _counted(decisions, way) for way in (Direction.INBOUND, Direction.OUTBOUND)}
    return {
        "links": total,
        "marketo_calls": math.ceil(total / _PERSONS_A_CALL),
        "dynamics_calls": math.ceil(total / _ROWS_A_CALL),
        "looked": pairs.height,
        "missing": links.height - pairs.height,
        "exact": links.height >= total,
        "hidden": field.dynamics.secured and not engine.dynamics.shows_values(entity, field.column),
        "equal": pairs.height - sum(sum(kinds.values()) for kinds in counts.values()),
        "into_marketo": counts[Direction.INBOUND],
        "into_dynamics": counts[Direction.OUTBOUND],
    }


def _pairs(engine: Engine, links: pl.DataFrame, field_map: FieldMap, field: SyncField) -> pl.DataFrame:
    """Both sides of the links as they are now, wide as `merge` takes them; those that are gone are left out."""
    name = field.name
    columns = {"link_id": pl.Int64, f"p.{name}": pl.String, f"c.{name}": pl.String}
    if links.is_empty():
        pairs = no_rows(columns)
    else:
        ids = [str(person) for person in links["person_id"]]
        persons = canonical_persons(engine.marketo.persons("id", ids, marketo_columns([field_map])), field_map)
        wanted = dynamics_columns(field_map)
        rows = canonical_rows(engine.dynamics.rows(field_map.entity, links["crm_id"].to_list(), wanted), field_map)
        sides = links.join(_side(persons, f"p.{name}", name), left_on="person_id", right_on="id")
        pairs = sides.join(_side(rows, f"c.{name}", name), left_on="crm_id", right_on="id").select(list(columns))
    empty, new = pl.lit(None, pl.String).alias(f"b.{name}"), pl.lit(value=True).alias(f"n.{name}")
    return pairs.with_columns(empty, new)


def _side(table: pa.Table, column: str, name: str) -> pl.DataFrame:
    frame = frame_of(table)
    return frame.select("id", pl.col(name).alias(column)).unique("id", keep="last")


def _counted(decisions: pl.DataFrame, way: Direction) -> dict[str, int]:
    target = pl.col("person" if way is Direction.INBOUND else "crm")
    written = decisions.filter((pl.col("direction") == way.value) & target.ne_missing(pl.col("after")))
    kind = (
        pl.when(target.is_null())
        .then(pl.lit("filled"))
        .when(pl.col("after").is_null())
        .then(pl.lit("emptied"))
        .otherwise(pl.lit("overwritten"))
    )
    found = dict(written.select(kind.alias("kind")).group_by("kind").len().iter_rows())
    return {name: int(found.get(name, 0)) for name in _KINDS}


def of_synced(store: StateStore, change: MapChange) -> dict[str, Any]:
    """What is known of a field that is synced: nobody is asked.

    `links` · `looked`: links of a sample whose stored values were looked at, `with_value` of them have one, `differing`
    differ between the sides · `open`: failures that are open, `AT_MOST` counted · `collisions`: how often which side
    won among those that the newest stretch of the ledger shows.
    """
    entity, name = change.entity, change.name
    links = _spread(store, entity, _STORED_SAMPLE)
    wide = decode_links(links, Layouts(store).all(), [name])
    both = [pl.col(f"{side}.{name}") for side in "pc"]
    with_value = wide.filter(pl.any_horizontal(one.is_not_null() for one in both)).height
    found = collisions(store, Wanted(field=name, entity=entity.value)).rows
    failing = sa.select(sa.literal(1)).where(
        sa.literal_column("open") == sa.literal_column("1"), activity.c.entity == entity.value, activity.c.field == name
    )
    with store.read() as tx:
        open_count = tx.execute(sa.select(sa.func.count()).select_from(failing.limit(_AT_MOST).subquery())).scalar_one()
    return {
        "links": Links(store).count(entity, LinkStatus.ACTIVE),
        "looked": wide.height,
        "with_value": with_value,
        "differing": wide.filter(both[0].ne_missing(both[1])).height,
        "open": int(open_count),
        "collisions": {side: sum(row["winner"] == side for row in found) for side in ("marketo", "dynamics")},
    }


def _spread(store: StateStore, entity: Entity, most: int) -> pl.DataFrame:
    """Up to `most` active links, taken at places spread evenly over the table; all of them where there are no more."""
    with store.read() as tx:
        first, last = tx.execute(sa.select(sa.func.min(link.c.link_id), sa.func.max(link.c.link_id))).one()
        if first is None:
            return frame_of(fetch(tx, sa.select(*link.columns).where(sa.false())))
        active = (link.c.entity == entity.value) & (link.c.status == LinkStatus.ACTIVE.value)
        few = Links(store).count(entity, LinkStatus.ACTIVE, tx) <= most
        starts = [first] if few else [first + (last - first) * place // _PLACES for place in range(_PLACES)]
        take = most if few else most // _PLACES
        lowest = sa.select(*link.columns).where(active).order_by(link.c.link_id).limit(take)
        bounds = zip(starts, [*starts[1:], last + 1], strict=True)  # no stretch is looked through twice
        parts = [
            frame_of(fetch(tx, lowest.where(link.c.link_id >= at, link.c.link_id < until))) for at, until in bounds
        ]
    return pl.concat(parts).unique("link_id", keep="first", maintain_order=True)
