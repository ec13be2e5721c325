"""Literals of queries in the comparable form of the column they meet (section 3.4)."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping

from odata_query import ast

from include.sandbox.dynamics.collation import fold
from include.sandbox.dynamics.errors import ServiceError
from include.sandbox.dynamics.schema import Column
from include.sandbox.dynamics.values import format_moment, parse_moment
from include.sandbox.service import Json

_LONGEST_INTEGER = 18  # digits that SQLite's integers hold for sure
NUMBERS = frozenset({"Edm.Int32", "Edm.Int64", "Edm.Decimal", "Edm.Double"})


def fitted_literal(column: Column, edm: str | None, value: Json) -> Json:
    """A literal in the comparable form of a column, or None when the types clash."""
    kind = family(column.edm)
    if kind == "time" and edm in {"Edm.DateTimeOffset", "Edm.Date"}:
        return value[:10] if column.is_date else (f"{value}T00:00:00Z" if edm == "Edm.Date" else value)
    if kind != family(edm):
        return None
    return fold(value) if kind == "text" else value


def _number(text: str) -> float | int:
    """A number; beyond 64 bits the nearest float, which compares alike."""
    if "." in text or len(text.strip()) > _LONGEST_INTEGER:
        return float(text)
    return int(text)


def text_literal(column: Column, text: str) -> Json:
    """A value of a query function (always text) in the comparable form of a column; raises 400."""
    kind = family(column.edm)
    try:
        if kind == "number":
            return _number(text)
        if kind == "time":
            moment = parse_moment(text)
            return f"{moment:%Y-%m-%d}" if column.is_date else format_moment(moment)
        if kind == "Edm.Boolean":
            return int(text.lower() in {"1", "true"})
        if kind == "Edm.Guid":
            return str(uuid.UUID(text))
    except ValueError:
        raise ServiceError(400, "0x80040203", f"The value '{text}' does not fit '{column.name}'.") from None
    return fold(text)


def family(edm: str | None) -> str | None:
    """Types that may be compared with each other have one family."""
    if edm in NUMBERS:
        return "number"
    if edm in {"Edm.DateTimeOffset", "Edm.Date"}:
        return "time"
    return "text" if edm in {"Edm.String", "Edm.Binary"} else edm


LITERALS: Mapping[type, tuple[str | None, Callable[[Json], Json]]] = {
    ast.Null: (None, lambda _: None),
    ast.String: ("Edm.String", lambda node: node.val),
    ast.Integer: ("Edm.Int32", lambda node: _number(node.val)),
    ast.Float: ("Edm.Decimal", lambda node: float(node.val)),
    ast.Boolean: ("Edm.Boolean", lambda node: int(node.py_val)),
    ast.GUID: ("Edm.Guid", lambda node: node.val.lower()),
    ast.Date: ("Edm.Date", lambda node: node.val),
    ast.DateTime: ("Edm.DateTimeOffset", lambda node: format_moment(parse_moment(node.val))),
}
