"""Changes of a person that were still on their way when its CRM record went into another one (D38, D42).

A link that moves takes them along where the new record has the field. A link that ends hands them to the person
that has the record now, as if they had been made there. What has no place there is reported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from include.leadsync.baseline import decode_links, refresh
from include.leadsync.context import Engine
from include.leadsync.extract.feed import OVERWRITTEN_SCHEMA
from include.leadsync.link import reports
from include.leadsync.link.fates import Event, Fates
from include.leadsync.link.people import People
from include.leadsync.link.resolution import Move
from include.leadsync.model import Entity, FieldMap, Flow, LinkStatus
from include.leadsync.no_rows import frame_of, no_rows
from include.leadsync.schema import Schema
from include.leadsync.state import Layouts, Links

PENDING = {"link_id": pl.Int64, "person_id": pl.Int64, "field": pl.String, "value": pl.String}
CARRIED = "carried:"
"""Beginning of the op_id of a carried change; the person that made it follows."""


def pending(
    links: pl.DataFrame, layouts: dict[int, list[str]], persons: pl.DataFrame, field_map: FieldMap
) -> pl.DataFrame:
    """What persons show that their link's baseline does not have yet, `PENDING`.

    `links`: stored links of one entity; `persons`: canonical, by `id`, as they show now.
    """
    names = field_map.names
    wide = refresh(decode_links(links, layouts, names), persons, "person_id", "id", "p", names)
    parts = [no_rows(PENDING)]
    for field in field_map.fields:
        name = field.name
        if field.rule.flow is Flow.INBOUND or field.rule.outbound_on_create_only:
            continue
        base = pl.col(f"ps.{name}") if f"ps.{name}" in wide.columns else pl.col(f"b.{name}")
        moved = pl.col("p_fresh") & ~pl.col(f"n.{name}") & pl.col(f"p.{name}").ne_missing(base)
        here = wide.filter(moved)
        values = pl.col(f"p.{name}").cast(pl.String).alias("value")
        parts.append(here.select("link_id", "person_id", pl.lit(name).alias("field"), values))
    return pl.concat(parts)


def handed_over(
    waiting: pl.DataFrame,
    kept: dict[int, int],
    links: pl.DataFrame,
    layouts: dict[int, list[str]],
    names: Sequence[str],
) -> pl.DataFrame:
    """Pending changes as edits of the persons who keep the record, `OVERWRITTEN_SCHEMA`.

    `kept`: link that ends → link that keeps its record. `links`: the latter as stored, of one entity with the
    fields `names`. What that person has changed itself meanwhile stands against it, and the carried value is lost.
    """
    wide = decode_links(links, layouts, names)
    rows = {row["link_id"]: row for row in wide.to_dicts()}
    carried = []
    for link_id, person, name, value in waiting.select("link_id", "person_id", "field", "value").iter_rows():
        target = rows.get(kept.get(link_id, 0))
        if target is None or target["person_id"] is None or name not in names:
            continue
        agreed = target[f"b.{name}"]
        shown = target.get(f"ps.{name}", agreed)
        carried.append((target["person_id"], name, agreed, value, shown, f"{CARRIED}{person}"))
    columns = ("person_id", "field", "before", "value", "after", "op_id")
    schema = {name: OVERWRITTEN_SCHEMA[name] for name in columns}
    return pl.DataFrame(carried, schema=schema, orient="row")


def dropped(waiting: pl.DataFrame, targets: Mapping[int, Move], maps: Mapping[Entity, FieldMap]) -> list[Event]:
    """Events for pending changes of fields that the new record does not have (D38)."""
    told: list[Event] = []
    for link_id, person, name, value in waiting.select("link_id", "person_id", "field", "value").iter_rows():
        move = targets[link_id]
        if name not in maps[move.entity].names:
            told.append(reports.dropped(move, person, name, value))
    return told


def hand_over(engine: Engine, schema: Schema, people: People, fates: Fates) -> tuple[pl.DataFrame, list[Event]]:
    """The changes to be carried (`OVERWRITTEN_SCHEMA`) and what is said of those that are not."""
    ends = {i: end.kept for i, end in fates.ends.items() if end.move.successor and end.record_taken}
    targets = {**{i: move for i, move in fates.moves.items() if move.successor}, **ends}
    nothing = no_rows(OVERWRITTEN_SCHEMA)
    if not targets:
        return nothing, []
    store = Links(engine.store)
    layouts = Layouts(engine.store).all()
    links = frame_of(store.by_id(sorted(targets)))
    links = links.filter(pl.col("status") != LinkStatus.SUSPENDED)  # what waits behind a filter goes nowhere
    raw = people.by_id(links["person_id"].drop_nulls().to_list())
    parts = [no_rows(PENDING)]
    for entity in Entity:
        mine = links.filter(pl.col("entity") == entity.value)
        parts.append(pending(mine, layouts, people.canonical(raw, entity), schema.map(entity)))
    waiting = pl.concat(parts)
    kept = {i: move.claim.link_id for i, move in ends.items()}
    survivors = frame_of(store.by_id(sorted(set(kept.values()))))
    carried = [nothing]
    for entity in Entity:
        mine = survivors.filter(pl.col("entity") == entity.value)
        given = handed_over(waiting, kept, mine, layouts, schema.map(entity).names)
        carried.append(
            given.with_columns(pl.lit(engine.now()).alias("at")).select(nothing.columns).cast(nothing.schema)
        )
    return pl.concat(carried), dropped(waiting, targets, schema.maps)
