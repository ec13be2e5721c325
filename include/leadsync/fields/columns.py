"""Which columns to ask each system for, and as what they come (facts: marketo-api §7, dataverse-api §17)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from include.leadsync.model import Entity, FieldMap, FieldType, Shows, SyncField

Wire = Literal["text", "integer", "number", "boolean"]
"""Arrow types in a client's table: string, int64, decimal128(38, 10), bool."""

_MARKETO: dict[str, Wire] = {
    "integer": "integer",
    "score": "integer",
    "percent": "number",
    "float": "number",
    "currency": "number",
    "boolean": "boolean",
}
_DYNAMICS: dict[str, Wire] = {
    "Integer": "integer",
    "BigInt": "integer",
    "Picklist": "integer",
    "State": "integer",
    "Status": "integer",
    "Decimal": "number",
    "Double": "number",
    "Money": "number",
    "Boolean": "boolean",
}


def marketo_wire(data_type: str) -> Wire:
    """Arrow type for a Marketo dataType; everything that is no number or boolean is text."""
    return _MARKETO.get(data_type, "text")


def dynamics_wire(attribute_type: str) -> Wire:
    """Arrow type for a Dynamics attribute type; lookups and multi-choices come as text."""
    return _DYNAMICS.get(attribute_type, "text")


def marketo_columns(maps: Mapping[Entity, FieldMap] | Iterable[FieldMap]) -> dict[str, Wire]:
    """REST name → wire type of every field of any of the maps, for `MarketoClient.persons`."""
    each = maps.values() if isinstance(maps, Mapping) else maps
    return {field.name: marketo_wire(field.marketo.type) for field_map in each for field in field_map.fields}


def dynamics_columns(field_map: FieldMap) -> dict[str, Wire]:
    """Attribute as read (lookups `_x_value`, V14) → wire type, for `DynamicsClient.track` and `rows`.

    `_x_value@email` beside it asks for the e-mail address of the owner.
    """
    read = {field.column: dynamics_wire(field.dynamics.type) for field in field_map.fields}
    emails = [field for field in field_map.fields if field.rule.shows is Shows.EMAIL]
    return {**read, **{display_column(field): "text" for field in emails}}


def display_column(field: SyncField) -> str:
    """Where the client puts what a field shows; of a lookup its name, the formatted value of its column (V14, D56)."""
    if field.rule.type is not FieldType.LOOKUP or field.rule.shows is Shows.ID:
        return field.column
    return f"{field.column}@{field.rule.shows.value}"
