"""What a bulk extract of activities contains (facts/marketo-api.md 9.3, 9.4; M66-M69)."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from include.sandbox.marketo.extract_request import cell, date_range, integer, layout, unknown_fields
from include.sandbox.marketo.feed import ADD_TO_LIST, CHANGE_DATA_VALUE, CHANGE_SCORE, DELETE_LEAD, REMOVE_FROM_LIST
from include.sandbox.marketo.instance import Instance
from include.sandbox.marketo.values import shown
from include.sandbox.marketo.wire import Refusal, stamp
from include.sandbox.service import Json

FILTERS = frozenset({"createdAt", "activityTypeIds", "primaryAttributeValueIds", "primaryAttributeValues"})
ASSET_GROUPS = (
    frozenset({CHANGE_DATA_VALUE, CHANGE_SCORE}), frozenset({104}), frozenset({ADD_TO_LIST, REMOVE_FROM_LIST}),
    frozenset({2}),
)  # fmt: skip
"""Types that a filter by primary attribute may name together: fields, programs, static lists, forms."""
MOST_PRIMARY = 50
_Row = Sequence[Any]
_CELLS: dict[str, Callable[[_Row], str]] = {
    "marketoGUID": lambda row: str(row[0]),
    "leadId": lambda row: str(row[1]),
    "activityDate": lambda row: stamp(row[2]),
    "activityTypeId": lambda row: str(row[3]),
    "campaignId": lambda row: cell(row[4]),
    "primaryAttributeValueId": lambda row: cell(row[5]),
    "primaryAttributeValue": lambda row: cell(row[6]),
    # Stored as the file wants it: one JSON object, values typed, empty ones left out.
    "attributes": lambda row: str(row[7]),
    # Assumption: nothing fails or is skipped in the sandbox.
    "actionResult": lambda _: "succeeded",
}
DEFAULT_FIELDS = [name for name in _CELLS if name != "actionResult"]


class ActivityExtract:
    """The kind `activities`."""

    name = "activities"

    def __init__(self, instance: Instance) -> None:
        """Keep the instance."""
        self._at = instance

    def check(self, body: Mapping[str, Json]) -> dict[str, Json]:
        """The request as stored: format, columnHeaderNames, fields, filter; or why it is refused (M68)."""
        fields = body.get("fields") or DEFAULT_FIELDS
        if not isinstance(fields, list):
            raise Refusal("1003", "Invalid value for fields")
        if unknown := [name for name in fields if not isinstance(name, str) or name not in _CELLS]:
            raise unknown_fields(unknown)
        return {**layout(body), "fields": fields, "filter": _filter(body.get("filter"))}

    def rows(self, connection: sqlite3.Connection, request: Mapping[str, Json]) -> Iterator[Sequence[str]]:
        """One row an activity, in the order in which they were logged.

        Assumption: createdAt means activityDate; rows that are published late are absent until then.
        """
        chosen = request["filter"]
        start, end = chosen["createdAt"]
        conditions = ["seq > ?", "at BETWEEN ? AND ?", "(visible IS NULL OR visible <= ?)", "type <> ?"]
        arguments: list[Json] = [self._at.feed.start(connection, start).seq, start, end, self._at.now(), DELETE_LEAD]
        # "+" keeps the plan on the row order, so that nothing has to be sorted in memory.
        columns = {"activityTypeIds": "+type", "primaryAttributeValueIds": "primary_id",
                   "primaryAttributeValues": "primary_text"}  # fmt: skip
        for name, column in columns.items():
            if values := chosen.get(name):
                conditions.append(f"{column} IN ({', '.join('?' * len(values))})")
                arguments += values
        sql = (
            "SELECT seq, person, at, type, campaign, primary_id, primary_text, attributes FROM activity"  # noqa: S608
            f" WHERE {' AND '.join(conditions)} ORDER BY seq"
        )
        cells = [_CELLS[name] for name in request["fields"]]
        for row in connection.execute(sql, arguments):
            yield [one(row) for one in cells]


def _filter(sent: Json) -> dict[str, Json]:
    """The filter as stored. Codes are an assumption: those of the other filters.

    Assumption: type 37, which is not supported (9.3), is taken and finds nothing. Published programs ask for
    every type that types.json lists, this one too, and go on.
    """
    if not isinstance(sent, dict) or "createdAt" not in sent:
        raise Refusal("1003", "createdAt filter must be specified")
    if unknown := sorted(set(sent) - FILTERS):
        raise Refusal("1003", f"Unknown filters [{', '.join(unknown)}]")
    types = _integers(sent, "activityTypeIds")
    ids, values = _integers(sent, "primaryAttributeValueIds"), _list(sent, "primaryAttributeValues")
    if ids or values:
        _check_primary(types, ids, values)
    return {
        "createdAt": date_range(sent["createdAt"]), "activityTypeIds": types, "primaryAttributeValueIds": ids,
        "primaryAttributeValues": [shown(value) for value in values],
    }  # fmt: skip


def _check_primary(types: list[int], ids: list[int], values: list[Json]) -> None:
    if ids and values:
        raise Refusal("1003", "primaryAttributeValueIds and primaryAttributeValues cannot be used together")
    if max(len(ids), len(values)) > MOST_PRIMARY:
        raise Refusal("1003", f"At most {MOST_PRIMARY} primary attributes are allowed")
    if not types or not any(set(types) <= group for group in ASSET_GROUPS):
        raise Refusal("1003", "activityTypeIds must match the primary attributes")


def _list(sent: Mapping[str, Json], name: str) -> list[Json]:
    values = sent.get(name) or []
    if not isinstance(values, list):
        raise Refusal("1003", f"Invalid value for {name}")
    return values


def _integers(sent: Mapping[str, Json], name: str) -> list[int]:
    numbers = [integer(value) for value in _list(sent, name)]
    if None in numbers:
        raise Refusal("1003", f"Invalid value for {name}")
    return [number for number in numbers if number is not None]
