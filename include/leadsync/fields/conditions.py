"""Conditions on columns and fields: small, safe, vectorised, the same on both sides (D73).

A condition is a name, an operator and values; it is evaluated on canonical texts, so that a label, a
number or a date means the same whichever system it comes from. Texts are compared without case, as
both systems' own filters do. An empty value fulfils `not_one_of` and `empty`, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import polars as pl
import pyarrow as pa

from include.leadsync.fields.canonical import canonical_persons, canonical_rows
from include.leadsync.fields.choices import SEPARATOR, label_of
from include.leadsync.fields.compatibility import types_for
from include.leadsync.fields.operators import ONE_VALUE, Operator
from include.leadsync.fields.spelling import spell
from include.leadsync.model import (
    DynamicsAttribute,
    Entity,
    FieldMap,
    FieldRule,
    FieldType,
    Flow,
    MarketoField,
    SyncField,
    System,
)

_TEXT_ONLY = frozenset({Operator.CONTAINS, Operator.STARTS_WITH})
_NUMBERS = frozenset({FieldType.INTEGER, FieldType.DECIMAL, FieldType.MONEY})
_ORDERED = _NUMBERS | {FieldType.DATE, FieldType.DATETIME}
_FIXED = _ORDERED | {FieldType.BOOLEAN, FieldType.CHOICE, FieldType.MULTI_CHOICE}

_PERSON_TYPES = {
    "boolean": FieldType.BOOLEAN,
    "integer": FieldType.INTEGER,
    "score": FieldType.INTEGER,
    "float": FieldType.DECIMAL,
    "percent": FieldType.DECIMAL,
    "currency": FieldType.DECIMAL,
    "date": FieldType.DATE,
    "datetime": FieldType.DATETIME,
}


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition, ready to be evaluated; `values` are canonical."""

    field: SyncField
    operator: Operator
    values: tuple[str, ...] = ()


def column_of(entity: Entity, attribute: DynamicsAttribute) -> SyncField | None:
    """A Dynamics column as something to compare; None when columns of its type cannot be synced."""
    kinds = types_for(attribute)
    if not kinds:
        return None
    rule = FieldRule(entity, f"?{attribute.name}", attribute.name, FieldType(kinds[0]), Flow.INBOUND)
    return SyncField(rule, MarketoField(0, rule.name, attribute.label, "string"), attribute)


def field_of(entity: Entity, field: MarketoField) -> SyncField:
    """A Marketo field that is not in the map as something to compare."""
    rule = FieldRule(entity, field.name, field.name, _PERSON_TYPES.get(field.type, FieldType.STRING), Flow.OUTBOUND)
    return SyncField(rule, field, DynamicsAttribute(entity, field.name, "", field.label))


def condition_mistakes(field: SyncField, operator: Operator, values: Sequence[str]) -> list[tuple[str, str, str]]:
    """What is wrong with a condition on this field: (key, found, expected)."""
    kind = field.rule.type
    if operator in _TEXT_ONLY and kind in _FIXED:
        return [("operator", f"{operator.value} on a {kind.value} column", "one_of, not_one_of, empty or not_empty")]
    if operator in ONE_VALUE and kind not in _ORDERED:
        return [("operator", f"{operator.value} on a {kind.value} column", "a column of numbers or dates")]
    return [
        ("values", repr(text), expected)
        for text in values
        if (expected := _expected(field, canonical_value(field, text))) is not None
    ]


def _expected(field: SyncField, value: str | None) -> str | None:
    """What a value should look like, if it is none of the column's type."""
    kind = field.rule.type
    if value is None:
        return "a value; for empty ones use the operator empty"
    if kind in {FieldType.CHOICE, FieldType.MULTI_CHOICE}:
        labels = [label_of(option) for option in field.dynamics.options]
        return None if value in labels or not labels else f"one of: {', '.join(labels)}"
    expected, fits = _SHAPES.get(kind, ("", None))
    return None if fits is None or fits(value) else expected


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


_SHAPES: dict[FieldType, tuple[str, Callable[[str], bool]]] = {
    **dict.fromkeys(_NUMBERS, ("a number", _is_number)),
    FieldType.BOOLEAN: ("true or false", lambda text: text in {"true", "false"}),
    FieldType.DATE: ("a date: 2026-01-31", lambda text: len(text) == 10 and text[:4].isdigit()),
    FieldType.DATETIME: ("a date and time: 2026-01-31T08:00:00Z", lambda text: text.endswith("Z")),
}


def canonical_value(field: SyncField, text: str) -> str | None:
    """A value of the configuration as the column's values are spelled."""
    return spell(field, text)


def fulfilled(raw: pa.Table, conditions: Sequence[Condition], system: System) -> pl.Series:
    """Whether each record fulfils all conditions; records as read, see `fields.columns`."""
    met = pl.Series("met", [True], dtype=pl.Boolean).new_from_index(0, raw.num_rows)
    for condition in conditions:
        field = condition.field
        read = canonical_rows if system is System.DYNAMICS else canonical_persons
        table = read(raw, FieldMap(field.rule.entity, (field,)))
        met = met & holds(pl.Series(field.name, table.column(field.name)).cast(pl.String), condition)
    return met


def holds(values: pl.Series, condition: Condition) -> pl.Series:
    """The condition on a column of canonical texts."""
    compare = _COMPARE[condition.operator]
    return compare(values, condition).fill_null(value=False)


def _one_of(values: pl.Series, condition: Condition) -> pl.Series:
    wanted = [value.lower() for value in condition.values]
    lowered = values.str.to_lowercase()
    if condition.field.rule.type is FieldType.MULTI_CHOICE:
        parts = lowered.str.split(SEPARATOR).list.eval(pl.element().is_in(wanted))
        return parts.list.any()
    return lowered.is_in(wanted)


def _any_text(test: Callable[[pl.Series, str], pl.Series]) -> Callable[[pl.Series, Condition], pl.Series]:
    def compare(values: pl.Series, condition: Condition) -> pl.Series:
        lowered = values.str.to_lowercase()
        met = pl.Series([False], dtype=pl.Boolean).new_from_index(0, len(values))
        for value in condition.values:
            met = met | test(lowered, value.lower()).fill_null(value=False)
        return met

    return compare


def _ordered(values: pl.Series, condition: Condition) -> tuple[pl.Series, float | str]:
    """Numbers as numbers; canonical dates sort as texts."""
    bound = condition.values[0]
    if condition.field.rule.type in _NUMBERS:
        return values.cast(pl.Float64, strict=False), float(bound)
    return values, bound


def _at_least(values: pl.Series, condition: Condition) -> pl.Series:
    comparable, bound = _ordered(values, condition)
    return comparable >= bound


def _at_most(values: pl.Series, condition: Condition) -> pl.Series:
    comparable, bound = _ordered(values, condition)
    return comparable <= bound


_COMPARE: dict[Operator, Callable[[pl.Series, Condition], pl.Series]] = {
    Operator.ONE_OF: _one_of,
    Operator.NOT_ONE_OF: lambda values, condition: ~_one_of(values, condition).fill_null(value=False),
    Operator.EMPTY: lambda values, _: values.is_null(),
    Operator.NOT_EMPTY: lambda values, _: values.is_not_null(),
    Operator.CONTAINS: _any_text(lambda values, text: values.str.contains(text, literal=True)),
    Operator.STARTS_WITH: _any_text(lambda values, text: values.str.starts_with(text)),
    Operator.AT_LEAST: _at_least,
    Operator.AT_MOST: _at_most,
}
