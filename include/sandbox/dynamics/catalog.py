"""The out-of-the-box org: tables, columns and relationships read from `data/`."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from functools import cache
from pathlib import Path

from include.sandbox.dynamics.schema import Column, Option, Relationship
from include.sandbox.service import Json

_GLOBAL_CHOICES = frozenset({"budgetstatus", "initialcommunication", "need", "purchaseprocess", "purchasetimeframe"})
_DATA = Path(__file__).parent / "data"


@cache
def columns() -> dict[str, dict[str, Column]]:
    """Columns per table, in the order of the file."""
    found: dict[str, dict[str, Column]] = {}
    with (_DATA / "attributes.csv").open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            column = _column(line)
            found.setdefault(column.table, {})[column.name] = column
    return found


@cache
def tables() -> list[Mapping[str, Json]]:
    """Name, set, key, ... of each table."""
    return list(_structure()["tables"])


@cache
def relationships() -> list[Relationship]:
    """One-to-many relationships with their cascade rules."""
    return [Relationship(**entry) for entry in _structure()["relationships"]]


@cache
def seed() -> Mapping[str, Json]:
    """Organisation, applications and first rows."""
    content: Mapping[str, Json] = json.loads((_DATA / "seed.json").read_text(encoding="utf-8"), parse_float=Decimal)
    return content


@cache
def lead_mappings() -> Mapping[str, Mapping[str, str]]:
    """Lead column -> column of the row that QualifyLead makes, per table (section 15.1).

    Assumption: the out-of-the-box mappings are those that section 15.1 sums up. The lead source is left
    out because its numbers mean something else on a contact (section 14.2).
    """
    content: Mapping[str, Mapping[str, str]] = json.loads((_DATA / "lead_mappings.json").read_text(encoding="utf-8"))
    return content


@cache
def _structure() -> Mapping[str, Json]:
    content: Mapping[str, Json] = json.loads((_DATA / "tables.json").read_text(encoding="utf-8"))
    return content


@cache
def implied(table: str) -> Mapping[str, Json]:
    """Out-of-the-box numbers and truths of a table, which stored rows leave out; later changes of a default count not.

    The kind of an activity is stored: it tells the rows of `activitypointer` apart.
    """
    defaults = {name: default_of(column) for name, column in columns()[table].items()}
    return {name: value for name, value in defaults.items() if isinstance(value, int)}


def default_of(column: Column) -> Json:
    """What a yes/no or choice column (or the kind of an activity) gets on create, or None."""
    if column.type == "EntityName":
        return column.default
    if column.type == "Boolean":
        return (column.default or "false") == "true"
    return int(column.default) if column.type == "Picklist" and column.default is not None else None


def parse_options(entries: Json) -> tuple[Option, ...]:
    """Options from their JSON form (`value`, `label`, `state`, `default_status`, `labels`: LCID to text)."""
    return tuple(Option(**{**entry, "labels": parse_labels(entry.get("labels"))}) for entry in entries or ())


def parse_labels(labels: Json) -> tuple[tuple[int, str], ...]:
    """Texts by LCID from their JSON form."""
    return tuple((int(language), str(text)) for language, text in (labels or {}).items())


def _column(line: Mapping[str, str]) -> Column:
    navigation = tuple(
        (name, target) for name, _, target in (part.partition("->") for part in line["nav_property"].split("|")) if name
    )
    column = Column(
        table=line["entity"],
        name=line["logical_name"],
        schema_name=line["schema_name"],
        type=line["type"],
        format=line["format"] or None,
        max_length=int(line["max_length"]) if line["max_length"] else None,
        minimum=Decimal(line["min"]) if line["min"] else None,
        maximum=Decimal(line["max"]) if line["max"] else None,
        precision=int(line["precision"]) if line["precision"] else None,
        required=line["required_level"],
        create=line["valid_create"] == "true",
        update=line["valid_update"] == "true",
        read=line["valid_read"] == "true",
        targets=tuple(line["targets"].split("|")) if line["targets"] else (),
        navigation=navigation,
        behaviour=line["datetime_behavior"] or None,
        default=line["default_value"] or None,
        attribute_of=line["attribute_of"] or None,
        options=parse_options(json.loads(line["options"]) if line["options"] else None),
        label=line["description"],
    )
    return _mended(column)


def _mended(column: Column) -> Column:
    # Assumption: Integer columns without limits in the sources have the limits of the type.
    if column.type == "Integer" and column.maximum is None:
        return replace(column, minimum=Decimal(-(2**31)), maximum=Decimal(2**31 - 1))
    # The vendor's lead and opportunity references name these choices as global.
    if column.name in _GLOBAL_CHOICES and column.type == "Picklist":
        return replace(column, global_options=column.name)
    return column
