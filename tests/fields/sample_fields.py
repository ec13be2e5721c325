"""One field of every type, as both systems would describe it, and strategies for its values."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

import hypothesis.strategies as st
import pyarrow as pa
from hypothesis import settings

from include.leadsync.fields import Wire
from include.leadsync.model import (
    DynamicsAttribute,
    Entity,
    FieldMap,
    FieldRule,
    FieldType,
    MarketoField,
    Option,
    SyncField,
)

Value = TypeVar("Value")
brief = settings(max_examples=12, deadline=None, database=None)
briefest = settings(brief, max_examples=5)
"""For property tests of `many` values at a time: no stopwatch on a shared machine, nothing kept."""


def many(each: st.SearchStrategy[Value]) -> st.SearchStrategy[list[Value]]:
    """A column of one value to forty, every length alike: few and many values are read in different ways.

    An example costs as much as some ten values do, so few examples of many values prove more.
    """
    return st.integers(1, 40).flatmap(lambda length: st.lists(each, min_size=length, max_size=length))


def few_and_many(values: list[Value]) -> list[list[Value]]:
    """The values as they are, and so often in a row that they are read as a long column."""
    return [values, values * (40 // len(values) + 1)]


RATING = (Option(1, "Hot"), Option(2, "Warm", ("lukewarm",)), Option(3, "Cold"))
AWKWARD = (
    Option(1, "2"),
    Option(2, "1"),
    Option(10, "Straße"),
    Option(20, " spaced "),
    Option(30, ""),
    Option(40, "新規"),
    Option(-5, "Below zero"),
)

ARROW = {"text": pa.string(), "integer": pa.int64(), "number": pa.decimal128(38, 10), "boolean": pa.bool_()}


def make_field(
    kind: FieldType,
    marketo_type: str,
    dynamics_type: str,
    name: str = "sample",
    aliases: Mapping[str, tuple[str, ...]] | None = None,
    **attribute: Any,
) -> SyncField:
    rule = FieldRule(Entity.LEAD, name, f"new_{name.lower()}", kind, aliases=aliases or {})
    here = DynamicsAttribute(Entity.LEAD, rule.dynamics, dynamics_type, name, **attribute)
    return SyncField(rule, MarketoField(1, name, name, marketo_type), here)


def map_of(*fields: SyncField) -> FieldMap:
    return FieldMap(Entity.LEAD, fields)


FIELDS: dict[str, SyncField] = {
    "string": make_field(FieldType.STRING, "string", "String"),
    "email": make_field(FieldType.EMAIL, "email", "String", format="Email"),
    "phone": make_field(FieldType.PHONE, "phone", "String"),
    "url": make_field(FieldType.URL, "url", "String"),
    "text": make_field(FieldType.TEXT, "text", "Memo"),
    "integer": make_field(FieldType.INTEGER, "integer", "Integer"),
    "long integer": make_field(FieldType.INTEGER, "score", "BigInt"),
    "integer as text": make_field(FieldType.INTEGER, "string", "Integer"),
    "integer as percent": make_field(FieldType.INTEGER, "percent", "Integer"),
    "decimal": make_field(FieldType.DECIMAL, "float", "Decimal", precision=4),
    "decimal as text": make_field(FieldType.DECIMAL, "string", "Decimal", precision=10),
    "double": make_field(FieldType.DECIMAL, "percent", "Double", precision=5),
    "money": make_field(FieldType.MONEY, "currency", "Money", precision=2),
    "boolean": make_field(FieldType.BOOLEAN, "boolean", "Boolean"),
    "date": make_field(FieldType.DATE, "date", "DateTime", date_behavior="DateOnly", format="DateOnly"),
    "date kept as local time": make_field(
        FieldType.DATE, "date", "DateTime", date_behavior="UserLocal", format="DateOnly"
    ),
    "datetime": make_field(FieldType.DATETIME, "datetime", "DateTime", date_behavior="UserLocal"),
    "choice": make_field(FieldType.CHOICE, "string", "Picklist", options=RATING),
    "awkward choice": make_field(FieldType.CHOICE, "string", "Picklist", options=AWKWARD),
    "multi-choice": make_field(FieldType.MULTI_CHOICE, "string", "MultiSelectPicklist", options=RATING),
    "awkward multi-choice": make_field(FieldType.MULTI_CHOICE, "string", "MultiSelectPicklist", options=AWKWARD),
}

_texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)


def _plain(number: Decimal) -> str:
    text = format(number, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in {"-0", ""} else text


def _decimals(places: int) -> st.SearchStrategy[str]:
    limit = Decimal(10) ** 15
    return st.decimals(-limit, limit, places=places, allow_nan=False).map(_plain)


def _choices(options: tuple[Option, ...]) -> st.SearchStrategy[str]:
    return st.sampled_from([option.label or str(option.value) for option in options])


def _multi_choices(options: tuple[Option, ...]) -> st.SearchStrategy[str]:
    return st.sets(_choices(options), min_size=1).map(lambda labels: ";".join(sorted(labels)))


CANONICAL: dict[str, st.SearchStrategy[str]] = {
    **dict.fromkeys(("string", "email", "phone", "url", "text"), _texts),
    "integer": st.integers(-(2**31), 2**31 - 1).map(str),
    "long integer": st.integers(-(2**63), 2**63 - 1).map(str),
    "integer as text": st.integers(-(2**31), 2**31 - 1).map(str),
    "integer as percent": st.integers(-(2**31), 2**31 - 1).map(str),
    "decimal": _decimals(4),
    "decimal as text": _decimals(10),
    "double": _decimals(5),
    "money": _decimals(2),
    "boolean": st.sampled_from(["true", "false"]),
    "date": st.dates().map(lambda day: day.isoformat()),
    "date kept as local time": st.dates().map(lambda day: day.isoformat()),
    "datetime": st.datetimes(datetime(1, 1, 1)).map(  # noqa: DTZ001
        lambda moment: moment.replace(microsecond=0).isoformat() + "Z"
    ),
    "choice": _choices(RATING),
    "awkward choice": _choices(AWKWARD),
    "multi-choice": _multi_choices(RATING),
    "awkward multi-choice": _multi_choices(AWKWARD),
}
"""Values that are canonical by the contract, per field of `FIELDS`."""


def as_stored(value: object, wire: Wire) -> object:
    """What a service gives back for a JSON value, in the client's Arrow type."""
    if value is None or wire == "boolean":
        return value
    if wire == "integer":
        return int(str(value))
    return Decimal(str(value)) if wire == "number" else str(value)
