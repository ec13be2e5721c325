"""Which types of either system a field type can hold; docs/configuration.md shows the same matrix.

A pair is allowed only where a value written and read back is the same canonical value. Numbers may
live in a Marketo string field (as plain digits); a date never lives in a date-time (D63).
"""

from __future__ import annotations

from include.leadsync.model import DynamicsAttribute, FieldType

LOOKUPS = frozenset({"Lookup", "Customer", "Owner"})
STATES = frozenset({"State", "Status"})

_TEXTS = frozenset({"string", "text", "textarea"})

MARKETO_TYPES: dict[FieldType, frozenset[str]] = {
    FieldType.STRING: _TEXTS | {"phone", "url"},
    FieldType.EMAIL: frozenset({"email", "string"}),
    FieldType.PHONE: frozenset({"phone", "string"}),
    FieldType.URL: frozenset({"url", "string"}),
    FieldType.TEXT: _TEXTS,
    FieldType.INTEGER: frozenset({"integer", "score", "percent", "string"}),
    FieldType.DECIMAL: frozenset({"float", "percent", "currency", "string"}),
    FieldType.MONEY: frozenset({"currency", "float", "string"}),
    FieldType.BOOLEAN: frozenset({"boolean"}),
    FieldType.DATE: frozenset({"date", "string"}),
    FieldType.DATETIME: frozenset({"datetime", "string"}),
    FieldType.CHOICE: _TEXTS,
    FieldType.MULTI_CHOICE: _TEXTS,
    FieldType.LOOKUP: _TEXTS,
}
"""Field type → Marketo dataTypes (facts: marketo-api §7)."""

DYNAMICS_TYPES: dict[FieldType, frozenset[str]] = {
    FieldType.STRING: frozenset({"String", "Memo", "Uniqueidentifier"}),
    FieldType.EMAIL: frozenset({"String"}),
    FieldType.PHONE: frozenset({"String"}),
    FieldType.URL: frozenset({"String"}),
    FieldType.TEXT: frozenset({"Memo", "String"}),
    FieldType.INTEGER: frozenset({"Integer", "BigInt"}),
    FieldType.DECIMAL: frozenset({"Decimal", "Double"}),
    FieldType.MONEY: frozenset({"Money"}),
    FieldType.BOOLEAN: frozenset({"Boolean"}),
    FieldType.DATE: frozenset({"DateTime"}),
    FieldType.DATETIME: frozenset({"DateTime"}),
    FieldType.CHOICE: frozenset({"Picklist", *STATES}),
    FieldType.MULTI_CHOICE: frozenset({"MultiSelectPicklist"}),
    FieldType.LOOKUP: LOOKUPS,
}
"""Field type → Dynamics attribute types (facts: dataverse-api §13, §17)."""

CREATED_AS: dict[FieldType, str] = {
    FieldType.STRING: "string",
    FieldType.EMAIL: "email",
    FieldType.PHONE: "phone",
    FieldType.URL: "url",
    FieldType.INTEGER: "integer",
    FieldType.DECIMAL: "float",
    FieldType.MONEY: "currency",
    FieldType.BOOLEAN: "boolean",
    FieldType.DATE: "date",
    FieldType.DATETIME: "datetime",
    FieldType.CHOICE: "string",
    FieldType.MULTI_CHOICE: "string",
    FieldType.LOOKUP: "string",
}
"""Marketo dataType of the field that `setup` creates; text areas cannot be created (marketo-api §4.3)."""


def fits_dynamics(kind: FieldType, attribute: DynamicsAttribute) -> bool:
    """Whether the Dynamics column holds values of the type, its date behaviour included (D63)."""
    if attribute.type not in DYNAMICS_TYPES[kind]:
        return False
    if kind is FieldType.DATE:
        return "DateOnly" in (attribute.date_behavior, attribute.format)
    return kind is not FieldType.DATETIME or attribute.date_behavior != "DateOnly"


def types_for(attribute: DynamicsAttribute) -> tuple[str, ...]:
    """The field types a Dynamics column can be mapped with, for messages."""
    return tuple(kind.value for kind in FieldType if fits_dynamics(kind, attribute))
