"""CRM records of persons who were deleted in Marketo: closed or deleted, where the configuration wants that (D53).

Off by default, and then only what a list of conditions names, a few in a cycle, after a dry run. When there are more
than that, none is touched: many deletions at once are more often an accident than a wish.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from include.leadsync.context import Engine
from include.leadsync.errors import ConfigurationInvalid
from include.leadsync.extract.identity import OPEN, STATE
from include.leadsync.fields.columns import dynamics_columns
from include.leadsync.fields.conditions import (
    Condition,
    canonical_value,
    column_of,
    condition_mistakes,
    fulfilled,
)
from include.leadsync.link import reports
from include.leadsync.model import Entity, FieldMap, LinkStatus, System
from include.leadsync.no_rows import no_rows
from include.leadsync.schema import Schema
from include.leadsync.settings.filters import RecordCondition
from include.leadsync.state import Links

UNWANTED_SCHEMA = {"link_id": pl.Int64, "entity": pl.String, "crm_id": pl.String, "action": pl.String}


def unwanted_records(
    engine: Engine, schema: Schema, deleted: pl.DataFrame
) -> tuple[pl.DataFrame, list[dict[str, object]]]:
    """Records to be closed or deleted (`UNWANTED_SCHEMA`), and what is said instead where none is.

    `deleted`: events of deleted persons. Raises `ConfigurationInvalid` for conditions that make no sense.
    """
    settings = engine.settings.lifecycle.delete_in_dynamics
    nothing = no_rows(UNWANTED_SCHEMA)
    if settings.action == "no":
        return nothing, []
    allowed = {entity: _conditions(engine, schema, entity) for entity in Entity}
    gone = deleted.filter((pl.col("kind") == "person_deleted") & pl.col("crm_id").is_not_null())
    links = Links(engine.store).by_id(gone["link_id"].to_list()).to_pylist() if gone.height else []
    found: list[tuple[int, str, str, str]] = []
    for entity in Entity:
        ids = {
            row["crm_id"]: row["link_id"]
            for row in links
            if row["entity"] == entity and row["status"] == LinkStatus.ACTIVE
        }
        fit = _that_fit(engine, entity, sorted(ids), allowed[entity], closing=settings.action == "deactivate")
        found += [(ids[crm_id], entity.value, crm_id, settings.action) for crm_id in sorted(fit)]
    if len(found) > settings.at_most:
        return nothing, [reports.too_many(settings.action, len(found), settings.at_most)]
    if settings.dry_run:
        return nothing, [reports.would_end(entity, crm_id, action) for _, entity, crm_id, action in found]
    return pl.DataFrame(found, schema=UNWANTED_SCHEMA, orient="row"), []


@dataclass(frozen=True)
class SecondLook:
    """Records that were to be closed or deleted: those that still are, with their version; those that are already."""

    due: dict[str, str]
    done: set[str]


def second_look(engine: Engine, schema: Schema, entity: Entity, ids: list[str], action: str) -> SecondLook:
    """What has become of records since they were planned. Raises as the client and `unwanted_records`."""
    settings = engine.settings.lifecycle.delete_in_dynamics
    raw = engine.dynamics.rows(entity, ids, {STATE: "integer"})
    states = dict(zip(raw["id"].to_pylist(), raw[STATE].to_pylist(), strict=True))
    closing = action == "deactivate"
    done = {each for each in ids if (states.get(each, OPEN) != OPEN if closing else each not in states)}
    if settings.action != action or settings.dry_run:
        return SecondLook({}, done)
    taken = set(Links(engine.store).by_crm(ids)["crm_id"].to_pylist())
    free = sorted(set(ids) - taken - done)
    return SecondLook(_that_fit(engine, entity, free, _conditions(engine, schema, entity), closing=closing), done)


def _that_fit(
    engine: Engine, entity: Entity, ids: list[str], conditions: tuple[Condition, ...] | None, *, closing: bool
) -> dict[str, str]:
    """Those of the records that exist and meet all conditions as they are now, with their version."""
    if conditions is None or not ids:
        return {}
    columns = dynamics_columns(FieldMap(entity, tuple(condition.field for condition in conditions)))
    raw = engine.dynamics.rows(entity, ids, {**columns, STATE: "integer"})
    frame = pl.DataFrame({name: raw[name].to_pylist() for name in ("id", "etag", STATE)})
    frame = frame.filter(fulfilled(raw, conditions, System.DYNAMICS))
    return dict(frame.filter((pl.col(STATE) == OPEN) | (not closing)).select("id", "etag").iter_rows())


def _conditions(engine: Engine, schema: Schema, entity: Entity) -> tuple[Condition, ...] | None:
    entries = engine.settings.lifecycle.delete_in_dynamics.allow.of(entity)
    if entries is None:
        return None
    return tuple(_condition(engine, schema, entity, number, entry) for number, entry in enumerate(entries))


def _condition(engine: Engine, schema: Schema, entity: Entity, number: int, entry: RecordCondition) -> Condition:
    attribute = next((a for a in schema.dynamics[entity] if a.name == entry.column and a.readable), None)
    field = column_of(entity, attribute) if attribute else None
    texts = [str(value).lower() if isinstance(value, bool) else str(value) for value in entry.values]
    mistakes = [("column", f"no column {entry.column} that can be compared", "a logical name")]
    if field is not None:
        mistakes = condition_mistakes(field, entry.operator, texts)
    key = ("lifecycle", "delete_in_dynamics", "allow", entity.value, str(number))
    if field is None or mistakes:
        problem = engine.settings.problem
        raise ConfigurationInvalid([problem((*key, name), found, expected) for name, found, expected in mistakes])
    values = tuple(value for text in texts if (value := canonical_value(field, text)) is not None)
    return Condition(field, entry.operator, values)
