"""What a bulk extract of persons contains (facts/marketo-api.md 9.2, 9.4; M68, M69)."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence

from include.sandbox.marketo import extract_smart_lists
from include.sandbox.marketo.extract_request import cell, date_range, layout, unknown_fields
from include.sandbox.marketo.instance import Instance
from include.sandbox.marketo.people import COLUMNS, Projection, person_of
from include.sandbox.marketo.values import shown
from include.sandbox.marketo.wire import Refusal
from include.sandbox.service import Json

SMART = {"smartListId": "id", "smartListName": "name"}
STATIC = {"staticListId": "id", "staticListName": "name"}
DATES = {"createdAt": "created", "updatedAt": "touched"}
"""The filter updatedAt goes by the latest change of any field, not by the visible updatedAt."""
FILTERS = (*DATES, *STATIC, *SMART)


class LeadExtract:
    """The kind `leads`."""

    name = "leads"

    def __init__(self, instance: Instance) -> None:
        """Keep the instance."""
        self._at = instance
        with instance.database.write() as connection:
            connection.execute(extract_smart_lists.SCHEMA)

    def check(self, body: Mapping[str, Json]) -> dict[str, Json]:
        """The request as stored: format, columnHeaderNames, fields, filter; or why it is refused (M68)."""
        fields = body.get("fields")
        if not isinstance(fields, list) or not fields:
            raise Refusal("1003", "fields not specified")
        if unknown := [name for name in fields if not isinstance(name, str) or self._at.catalog.get(name) is None]:
            raise unknown_fields(unknown)
        return {**layout(body), "fields": fields, "filter": self._filter(body.get("filter"))}

    def _filter(self, sent: Json) -> dict[str, Json]:
        if not isinstance(sent, dict) or len(sent) != 1 or next(iter(sent)) not in FILTERS:
            raise Refusal("1003", f"Exactly one filter of {', '.join(FILTERS)} must be specified")
        ((name, value),) = sent.items()
        if (name in SMART or name == "updatedAt") and not self._at.options.extract_updated_at:
            raise Refusal("1035", f"Unsupported filter type for target subscription: {name}")
        if name in DATES:
            return {name: date_range(value)}
        if name in STATIC:
            return {"staticListId": self._static_list(STATIC[name], value)}
        return {"smartListId": self._smart_list(SMART[name], value)}

    def _static_list(self, column: str, value: Json) -> int:
        with self._at.database.read() as connection:
            found = self._at.lists.find(connection, f"{column} = ?", (shown(value),), 1)
        if not found:
            raise Refusal("1013", "Object not found")
        return found[0].id

    def _smart_list(self, column: str, value: Json) -> int:
        with self._at.database.read() as connection:
            found = extract_smart_lists.find(connection, column, shown(value))
        if found is None:
            raise Refusal("1013", "Object not found")
        return found

    def rows(self, connection: sqlite3.Connection, request: Mapping[str, Json]) -> Iterator[Sequence[str]]:
        """One row a person, as the database holds it: a boolean never set is null here."""
        projection = Projection(self._at.catalog, request["fields"], unset=None)
        condition, arguments = _condition(connection, request["filter"])
        sql = f"SELECT {COLUMNS} FROM person WHERE {condition}"  # noqa: S608
        for row in connection.execute(sql, arguments):
            record = projection.record(person_of(row))
            yield [cell(record[name]) for name in request["fields"]]


def _condition(connection: sqlite3.Connection, chosen: Mapping[str, Json]) -> tuple[str, list[Json]]:
    ((name, value),) = chosen.items()
    if name == "staticListId":
        return "id IN (SELECT person_id FROM member WHERE list_id = ?)", [value]
    if name == "smartListId":
        return extract_smart_lists.condition(connection, value)
    return f"{DATES[name]} BETWEEN ? AND ?", list(value)
