"""Reads that an action or function makes on behalf of its caller, through the same door as a GET."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import quote

from include.sandbox.dynamics.call import Call
from include.sandbox.dynamics.reading import read_set
from include.sandbox.dynamics.schema import Column, Table
from include.sandbox.service import Json


def rows_where(
    call: Call, table: Table, condition: str, select: str | None = None, top: int | None = None
) -> list[Json]:
    """Rows of one page that the caller may see and that match an OData condition."""
    options = {"$filter": condition, "$select": select, "$top": None if top is None else str(top)}
    query = "&".join(f"{name}={quote(value)}" for name, value in options.items() if value)
    # Annotations are kept, a page size of the outer request is not.
    annotations = call.headers.get("prefer", "") if "include-annotations" in call.headers.get("prefer", "") else ""
    headers: Mapping[str, str] = {"prefer": annotations}
    inner = replace(call, method="GET", path=table.set, raw_path=table.set, query=query, headers=headers, body=b"")
    return list(json.loads(read_set(inner, table).body)["value"])


def literal(column: Column, value: Json) -> str:
    """A value as a condition spells it."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if column.edm == "Edm.String":
        return "'" + str(value).replace("'", "''") + "'"
    return str(value)
