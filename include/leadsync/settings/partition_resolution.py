"""The rules of `creation.partitions` against Dynamics' columns: which partition a new person goes into (D20)."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl
import pyarrow as pa

from include.leadsync.errors import ConfigurationInvalid, Problem
from include.leadsync.fields.columns import Wire, dynamics_columns
from include.leadsync.fields.conditions import Condition, canonical_value, column_of, condition_mistakes, fulfilled
from include.leadsync.model import DynamicsAttribute, Entity, FieldMap, System
from include.leadsync.settings.filters import Plain, RecordCondition
from include.leadsync.settings.tree import Settings


@dataclass(frozen=True, slots=True)
class Partitions:
    """The rules of one entity in their order; `default` is where all others go, None: Marketo's own default."""

    entity: Entity
    rules: tuple[tuple[str, tuple[Condition, ...]], ...] = ()
    default: str | None = None

    @property
    def used(self) -> bool:
        """Whether anything is said about partitions at all."""
        return bool(self.rules) or self.default is not None

    def row_columns(self) -> dict[str, Wire]:
        """Columns of Dynamics that the rules look at."""
        fields = tuple(condition.field for _, conditions in self.rules for condition in conditions)
        return dict(dynamics_columns(FieldMap(self.entity, fields)))

    def of_rows(self, raw: pa.Table) -> pl.Series:
        """The name of the partition for each CRM record as read; null is Marketo's default. The first rule wins."""
        names = pl.Series("partition", [self.default], dtype=pl.String).new_from_index(0, raw.num_rows)
        for partition, conditions in reversed(self.rules):
            fits = fulfilled(raw, conditions, System.DYNAMICS)
            names = pl.select(pl.when(fits).then(pl.lit(partition)).otherwise(names).alias("partition")).to_series()
        return names


def resolve_partitions(
    settings: Settings, dynamics: Mapping[Entity, Sequence[DynamicsAttribute]]
) -> dict[Entity, Partitions]:
    """The rules of each entity. Raises `ConfigurationInvalid` with every condition that makes no sense."""
    problems: list[Problem] = []
    resolved: dict[Entity, Partitions] = {}
    for entity in Entity:
        attributes = {a.name: a for a in dynamics.get(entity, ()) if a.readable}
        rules = []
        for number, rule in enumerate(settings.creation.partitions):
            key = ("creation", "partitions", str(number), entity.value)
            conditions = rule.of(entity)
            if conditions is not None:
                found = [
                    _condition(settings, (*key, str(position)), entity, attributes, entry, problems)
                    for position, entry in enumerate(conditions)
                ]
                rules.append((rule.partition, tuple(one for one in found if one is not None)))
        resolved[entity] = Partitions(entity, tuple(rules), settings.creation.default_partition)
    if problems:
        raise ConfigurationInvalid(problems)
    return resolved


def _condition(
    settings: Settings,
    key: tuple[str, ...],
    entity: Entity,
    attributes: Mapping[str, DynamicsAttribute],
    entry: RecordCondition,
    problems: list[Problem],
) -> Condition | None:
    attribute = attributes.get(entry.column)
    field = column_of(entity, attribute) if attribute else None
    if field is None:
        nearest = difflib.get_close_matches(entry.column, list(attributes), n=1)
        expected = "a logical name" + (f"; did you mean {nearest[0]!r}?" if nearest else "")
        found = f"{entity.value} has no column {entry.column} that can be compared"
        problems.append(settings.problem((*key, "column"), found, expected))
        return None
    texts = [_text(value) for value in entry.values]
    mistakes = condition_mistakes(field, entry.operator, texts)
    problems += [settings.problem((*key, name), found, expected) for name, found, expected in mistakes]
    if mistakes:
        return None
    values = tuple(value for text in texts if (value := canonical_value(field, text)) is not None)
    return Condition(field, entry.operator, values)


def _text(value: Plain) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
