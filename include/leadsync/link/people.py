"""Persons as the link step needs them: canonical values of one entity's map plus system fields."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache

import polars as pl
import pyarrow as pa

from include.leadsync.context import Engine
from include.leadsync.fields import Wire, canonical_persons
from include.leadsync.link.frames import SYSTEM, empty_side
from include.leadsync.link.named import named_records
from include.leadsync.model import Entity
from include.leadsync.no_rows import frame_of, no_rows
from include.leadsync.schema import Schema

_PARTITION = "leadPartitionId"


@lru_cache(maxsize=16)
def _nobody(names: tuple[str, ...]) -> pl.DataFrame:
    beside = {"sys_email": pl.String, "sys_partition": pl.Int64, "sys_allowed": pl.Boolean}
    return empty_side(names, pl.Int64).select("id", *names, *SYSTEM).hstack(no_rows(beside))


class People:
    """Reads and canonicalises Marketo persons for the link step."""

    def __init__(self, engine: Engine, schema: Schema) -> None:
        self._engine, self._schema = engine, schema
        self._names = engine.settings.marketo.system_fields
        self.settings = engine.settings.creation
        self.placing = any(one.used for one in schema.partitions.values())
        self._partition_ids: dict[str, int] | None = None

    @cached_property
    def columns(self) -> dict[str, Wire]:
        """What is read of a person."""
        wanted: dict[str, Wire] = {
            **self._schema.person_columns(),
            self._names.id: "text",
            self._names.type: "text",
            self._names.is_deleted: "boolean",
            self._names.merged_into: "text",
            "email": "text",
            **({_PARTITION: "integer"} if self.placing else {}),
        }
        known = {field.name for field in self._schema.marketo}
        return {name: wire for name, wire in wanted.items() if name in known}

    def canonical(self, raw: pa.Table, entity: Entity) -> pl.DataFrame:
        """`id`, one column per field of the entity, and the `sys_` columns.

        `sys_id`, `sys_type`, `sys_deleted`, `sys_merged`, `sys_email` (lower case), `sys_allowed` (the filter on
        persons), `sys_partition` (id of the partition; null unless partitions are configured).
        """
        if raw.num_rows == 0:
            return self.nobody(entity)
        field_map = self._schema.map(entity)
        frame = frame_of(canonical_persons(raw, field_map))
        texts = {
            "sys_id": (self._names.id, pl.String),
            "sys_type": (self._names.type, pl.String),
            "sys_deleted": (self._names.is_deleted, pl.Boolean),
            "sys_merged": (self._names.merged_into, pl.String),
            "sys_email": ("email", pl.String),
            "sys_partition": (_PARTITION, pl.Int64),
        }
        system = []
        for alias, (name, dtype) in texts.items():
            has = name in raw.column_names
            values = raw[name] if has else [None] * raw.num_rows
            system.append(pl.Series(alias, values, dtype=dtype))
        system.append(self._schema.filters[entity].allows_persons(raw).alias("sys_allowed"))
        return (
            frame.select("id", *field_map.names)
            .with_columns(system)
            .with_columns(pl.col("sys_id").str.to_lowercase(), pl.col("sys_email").str.to_lowercase())
        )

    def nobody(self, entity: Entity) -> pl.DataFrame:
        """No person at all, in the shape of `canonical`."""
        return _nobody(self._schema.map(entity).names)

    def by_microsoft_id(self, crm_ids: Sequence[str]) -> pa.Table | None:
        """Persons that carry one of these CRM ids (D11); None when the instance has no such field."""
        if not crm_ids or self._names.id not in self.columns:
            return None
        return self._engine.marketo.persons(self._names.id, crm_ids, self.columns)

    def named_records(self, persons: pl.DataFrame) -> dict[int, frozenset[str]]:
        """`named.named_records` of canonical persons."""
        return named_records(self._engine, persons)

    def by_id(self, ids: Sequence[int]) -> pa.Table:
        """Persons by their ids."""
        return self._engine.marketo.persons("id", [str(person) for person in ids], self.columns)

    def partition_ids(self) -> dict[str, int]:
        """Name → id of the partitions, asked for once."""
        if self._partition_ids is None:
            self._partition_ids = self._engine.marketo.partition_ids()
        return self._partition_ids

    def by_email(self, emails: Sequence[str]) -> pa.Table | None:
        """Persons with one of these e-mail addresses, linked or not."""
        return self._engine.marketo.persons("email", emails, self.columns) if emails else None
