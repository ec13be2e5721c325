"""Columns of a table as form fields, and what was typed as a Web API body (dataverse-api.md sections 5, 7, 13)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from include.sandbox.pages.fields import YES_NO, Field
from include.sandbox.service import Json

_LOOKUPS = frozenset({"Lookup", "Customer", "Owner"})
_WHOLE = frozenset({"Integer", "BigInt", "Picklist", "State", "Status"})
_FRACTION = frozenset({"Decimal", "Double", "Money"})
_KINDS = {"Memo": "long", "Integer": "whole", "BigInt": "whole", **dict.fromkeys(_FRACTION, "number")}


def fields_of(columns: Sequence[Mapping[str, Json]], values: Mapping[str, Json]) -> list[Field]:
    """Form fields for columns, with stored values as texts. A lookup is written `table/id`."""
    return [
        Field(
            column["name"],
            _label(column),
            shown(column, values),
            _KINDS.get(column["type"], "text"),
            column["maxLength"],
            _choices(column),
        )
        for column in columns
    ]


def _label(column: Mapping[str, Json]) -> str:
    hint = f"; {'|'.join(column['targets'])}/id" if column["type"] in _LOOKUPS else ""
    return f"{column['label'] or column['name']} ({column['name']}{hint})"


def _choices(column: Mapping[str, Json]) -> Sequence[tuple[str, str]]:
    if column["type"] == "Boolean":
        return YES_NO
    return [(str(value), f"{label} ({value})") for value, label in column["options"]] if _is_choice(column) else ()


def _is_choice(column: Mapping[str, Json]) -> bool:
    return bool(column["options"]) and column["type"] in _WHOLE


def shown(column: Mapping[str, Json], values: Mapping[str, Json]) -> str:
    """A stored value as a form shows it."""
    value = values.get(column["name"])
    if value is None:
        return ""
    if column["type"] in _LOOKUPS:
        target = values.get(f"{column['name']}type") or next(iter(column["targets"]), "")
        return f"{target}/{value}"
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def web_api_body(described: Mapping[str, Json], typed: Mapping[str, str]) -> dict[str, Json]:
    """The members of a PATCH or POST. What is no number stays text, for the service to refuse."""
    columns = {one["name"]: one for one in described["columns"]}
    body: dict[str, Json] = {}
    for name, text in typed.items():
        column = columns.get(name)
        if column is not None and column["type"] in _LOOKUPS and column["navigation"]:
            body |= _binding(column, described["sets"], text.strip())
        else:
            body[name] = None if text == "" else _typed(column, text)
    return body


def _binding(column: Mapping[str, Json], sets: Mapping[str, str], text: str) -> dict[str, Json]:
    navigation = column["navigation"]
    target, _, row_id = text.rpartition("/")
    target = target or next(iter(column["targets"]), "")
    prop = navigation.get(target) or next(iter(navigation.values()))
    return {f"{prop}@odata.bind": f"/{sets.get(target, target)}({row_id})" if text else None}


def _typed(column: Mapping[str, Json] | None, text: str) -> Json:
    kind = "" if column is None else column["type"]
    try:
        if kind == "Boolean":
            return {"true": True, "false": False}.get(text, text)
        if kind in _WHOLE:
            return int(text)
        return float(text) if kind in _FRACTION else text
    except ValueError:
        return text
