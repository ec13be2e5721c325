"""What a bulk extract of persons contains (facts/marketo-api.md 9.2, 9.4; M68, M69)."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence

from include.sandbox.marketo.extract_queue import DELIMITERS
from include.sandbox.marketo.instance import Instance
from include.sandbox.marketo.people import COLUMNS, Projection, person_of
from include.sandbox.marketo.values import parse_moment, shown
from include.sandbox.marketo.wire import Refusal
from include.sandbox.service import Json

LONGEST = 31 * 86_400
SMART = ("smartListId", "smartListName")
FILTERS = ("createdAt", "updatedAt", "staticListId", "staticListName", *SMART)


class LeadExtract:
    """The kind `leads`."""

    name = "leads"

    def __init__(self, instance: Instance) -> None:
        """Keep the instance."""
        self._at = instance

    def check(self, body: Mapping[str, Json]) -> dict[str, Json]:
        """The request as stored: format, fields, columnHeaderNames, filter; or why it is refused (M68)."""
        fields = body.get("fields")
        if not isinstance(fields, list) or not fields:
            raise Refusal("1003", "fields not specified")
        unknown = [shown(name) for name in fields if not isinstance(name, str) or self._at.catalog.get(name) is None]
        if unknown:
            raise Refusal("1003", f"Invalid fields [{', '.join(unknown)}]")
        layout = shown(body.get("format") or "CSV").upper()
        if layout not in DELIMITERS:
            raise Refusal("1003", f"Invalid value '{layout}' for format")
        headers = body.get("columnHeaderNames")
        return {
            "format": layout, "fields": fields, "filter": self._filter(body.get("filter")),
            "columnHeaderNames": headers if isinstance(headers, dict) else {},
        }  # fmt: skip

    def _filter(self, sent: Json) -> dict[str, Json]:
        if not isinstance(sent, dict) or len(sent) != 1 or next(iter(sent)) not in FILTERS:
            raise Refusal("1003", f"Exactly one filter of {', '.join(FILTERS)} must be specified")
        ((name, value),) = sent.items()
        if name in SMART or (name == "updatedAt" and not self._at.options.extract_updated_at):
            # The sandbox has no smart lists: it is a subscription without that feature.
            raise Refusal("1035", f"Unsupported filter type for target subscription: {name}")
        if name in {"createdAt", "updatedAt"}:
            return {name: _range(value)}
        return {"staticListId": self._list_id(name, value)}

    def _list_id(self, name: str, value: Json) -> int:
        column = "id" if name == "staticListId" else "name"
        with self._at.database.read() as connection:
            found = self._at.lists.find(connection, f"{column} = ?", (shown(value),), 1)
        if not found:
            raise Refusal("1013", "Object not found")
        return found[0].id

    def header(self, request: Mapping[str, Json]) -> list[str]:
        """REST names, or the names asked for."""
        return [str(request["columnHeaderNames"].get(name, name)) for name in request["fields"]]

    def rows(self, connection: sqlite3.Connection, request: Mapping[str, Json]) -> Iterator[Sequence[str]]:
        """One row a person, as the database holds it: a boolean never set is null here."""
        projection = Projection(self._at.catalog, request["fields"], unset=None)
        condition, arguments = _condition(request["filter"])
        sql = f"SELECT {COLUMNS} FROM person WHERE {condition}"  # noqa: S608
        for row in connection.execute(sql, arguments):
            record = projection.record(person_of(row))
            yield [_cell(record[name]) for name in request["fields"]]


def _range(value: Json) -> list[int]:
    """Both ends in seconds. Assumption: both must be given; a bare date means its midnight UTC."""
    ends = [value.get(end) for end in ("startAt", "endAt")] if isinstance(value, dict) else []
    moments = [parse_moment(end) if isinstance(end, str) else None for end in ends]
    if not moments or moments[0] is None or moments[1] is None:
        raise Refusal("1003", "startAt and endAt must be valid datetimes")
    start, end = (int(moment.timestamp()) for moment in (moments[0], moments[1]))
    if start > end:
        raise Refusal("1003", "startAt is after endAt")
    if end - start > LONGEST:
        raise Refusal("1003", "The date range exceeds 31 days")
    return [start, end]


def _condition(chosen: Mapping[str, Json]) -> tuple[str, list[Json]]:
    ((name, value),) = chosen.items()
    if name == "staticListId":
        return "id IN (SELECT person_id FROM member WHERE list_id = ?)", [value]
    column = "created" if name == "createdAt" else "touched"
    return f"{column} BETWEEN ? AND ?", list(value)


def _cell(value: Json) -> str:
    if type(value) is str:
        return value
    return "null" if value is None else shown(value)
