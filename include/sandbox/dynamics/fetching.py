"""FetchXML in `?fetchXml=`: entity, attributes, filters, order, pages, links, aggregates (V65).

Read with the standard library's XML parser; documents with a DTD are refused before they are parsed.
Assumption: the facts name only the errors of unknown names (0x80041102, 0x80041103); the other texts are ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from include.sandbox.dynamics.call import Call
from include.sandbox.dynamics.documents import Row, row_from
from include.sandbox.dynamics.errors import bad_query
from include.sandbox.dynamics.fetch_aggregating import aggregate_rows, distinct_rows, names_values
from include.sandbox.dynamics.fetch_conditions import column_of, wrong
from include.sandbox.dynamics.fetch_links import Link, Links, is_true, number_of
from include.sandbox.dynamics.formatting import Annotator
from include.sandbox.dynamics.paging import make_fetch_cookie, read_fetch_cookie
from include.sandbox.dynamics.preferences import note_annotations, page_size
from include.sandbox.dynamics.query_options import Selection
from include.sandbox.dynamics.rendering import row_objects
from include.sandbox.dynamics.schema import Column, Table
from include.sandbox.dynamics.selecting import Query, visible
from include.sandbox.service import Json, Response

_ANNOTATION = "Microsoft.Dynamics.CRM."


@dataclass(slots=True)
class _Fetch:
    """One FetchXML query, read and checked."""

    query: Query
    selection: Selection
    aliases: list[tuple[str, Column]]
    links: list[Link]
    page: int = 1
    skipped: int = 0
    limit: int = 0
    last: bool = False


def fetch_rows(call: Call, table: Table) -> Response:
    """Answer `?fetchXml=`; no OData option may stand beside it (section 3.4)."""
    if any(name.startswith("$") for name, _ in call.parameters):
        raise bad_query("Query options are not supported beside fetchXml.")
    root = _parse(call.option("fetchXml") or "")
    entity = root.find("entity")
    if entity is None or entity.get("name") != table.name:
        raise wrong(f"The entity of the FetchXML is not '{table.name}', the one of the set '{table.set}'.")
    if is_true(root.get("aggregate")):
        return aggregate_rows(call, table, root, entity)
    if is_true(root.get("distinct")) and names_values(table, entity):
        return distinct_rows(call, table, root, entity)
    fetch = _Reader(call, table).read(root, entity)
    note_annotations(call)
    with call.reading() as connection:
        found = fetch.query.run(connection, fetch.limit + 1)
        counted = None
        if is_true(root.get("returntotalrecordcount")):
            counted = fetch.query.count(connection, call.world.options.count_limit + 1)
        rows = [row_from(table, *entry[:3]) for entry in found[: fetch.limit]]
        annotator = Annotator(call.schema, call.prefer)
        shown = row_objects(annotator, connection, fetch.selection.columns, rows, etags=True)
        annotator.prepare(connection, rows, [column for _, column in fetch.aliases])
        # Unlike OData queries, FetchXML leaves properties without a value out (vendor page use-fetchxml-web-api).
        shown = [{name: value for name, value in content.items() if value is not None} for content in shown]
        for row, content in zip(rows, shown, strict=True):
            _add(annotator, content, row, "", fetch.aliases)
        for number, link in enumerate(fetch.links):
            start = 3 + len(fetch.query.order) + 3 * number
            parts = [entry[start : start + 3] for entry in found[: fetch.limit]]
            joined = [row_from(link.table, *part) if part[0] is not None else None for part in parts]
            annotator.prepare(connection, [row for row in joined if row is not None], [c for _, c in link.columns])
            for other, content in zip(joined, shown, strict=True):
                if other is not None:
                    _add(annotator, content, other, f"{link.shown}.", link.columns)
    more = len(found) > fetch.limit and not fetch.last
    content = {"@odata.context": f"{call.root}$metadata#{table.set}{fetch.selection.context}"}
    content |= _annotations(call, fetch, counted, found[: fetch.limit] if more else [])
    return call.json(200, content | {"value": shown})


def _parse(text: str) -> ET.Element:
    if "<!DOCTYPE" in text.upper():
        raise wrong("A document type definition is not allowed in FetchXML.")
    try:
        root = ET.fromstring(text)  # noqa: S314 - no DTD gets here, so nothing expands
    except ET.ParseError as error:
        raise wrong(f"Invalid XML: {error}") from error
    if root.tag != "fetch":
        raise wrong("The root of FetchXML is 'fetch'.")
    return root


class _Reader:
    """Reads one `fetch` element."""

    def __init__(self, call: Call, table: Table) -> None:
        self._call = call
        self._table = table
        self._links = Links(call, table)

    def read(self, root: ET.Element, entity: ET.Element) -> _Fetch:
        """The query with its page."""
        links = self._links
        selection, aliases = self._columns(entity)
        links.gather(entity, self._table, "r")
        conditions = [*visible(self._call, self._table), *links.filters(entity, self._table, "r")]
        for element in entity.findall("order"):
            links.sort(element, self._table, "r")
        links.show()
        query = Query(self._table, conditions, links.order)
        query.joins = links.joins
        query.extra = tuple(f"{link.alias}.{name}" for link in links.found for name in ("id", "version", "doc"))
        query.distinct = is_true(root.get("distinct")) and bool(links.found)
        fetch = _Fetch(query, selection, aliases, links.found)
        self._paged(root, fetch)
        return fetch

    def _paged(self, root: ET.Element, fetch: _Fetch) -> None:
        largest = page_size(self._call)
        if root.get("top") is not None:
            if root.get("page") is not None or root.get("count") is not None:
                raise wrong("The top attribute can't be specified with paging attribute page or count.")
            fetch.limit, fetch.last = min(number_of(root, "top", largest), largest), True
            return
        fetch.page = max(number_of(root, "page", 1), 1)
        fetch.limit = min(number_of(root, "count", largest) or largest, largest)
        cookie = root.get("paging-cookie")
        if cookie and not self._links.found:
            state = read_fetch_cookie(self._call.cookie_secret(self._table), cookie)
            if len(state) != len(self._links.order) + 1:
                raise bad_query("Invalid Skip Token: it does not belong to this query.")
            fetch.query.after = state
        else:
            fetch.query.skipped = (fetch.page - 1) * fetch.limit

    def _columns(self, entity: ET.Element) -> tuple[Selection, list[tuple[str, Column]]]:
        table = self._table
        elements = entity.findall("attribute")
        if not elements or entity.find("all-attributes") is not None:
            return Selection(table, list(table.exposed), []), []
        named = [(element.get("alias"), column_of(table, element.get("name"))) for element in elements]
        plain = {column.name: column for alias, column in named if alias is None}
        plain.setdefault(table.key, table.columns[table.key])
        columns = list(plain.values())
        return Selection(table, columns, [c.wire for c in columns]), [(a, c) for a, c in named if a is not None]


def _add(
    annotator: Annotator, content: dict[str, Json], row: Row, prefix: str, columns: Sequence[tuple[str, Column]]
) -> None:
    """Values under the names that FetchXML gives them; nulls are left out."""
    for name, column in columns:
        value = row.get(column.name)
        if value is not None:
            content |= annotator.named(column, row, f"{prefix}{name}")
            content[f"{prefix}{name}"] = value


def _annotations(call: Call, fetch: _Fetch, counted: int | None, page: Sequence[tuple[Json, ...]]) -> dict[str, Json]:
    limit = call.world.options.count_limit
    values: dict[str, Json] = {
        "totalrecordcount": -1 if counted is None else min(counted, limit),
        "totalrecordcountlimitexceeded": counted is not None and counted > limit,
        "globalmetadataversion": str(call.schema.revision),
    }
    if page:
        state = [*page[-1][3 : 3 + len(fetch.query.order)], page[-1][0]]
        values["fetchxmlpagingcookie"] = make_fetch_cookie(call.cookie_secret(fetch.query.table), fetch.page + 1, state)
        values["morerecords"] = True
    return {f"@{_ANNOTATION}{n}": value for n, value in values.items() if call.prefer.wants(f"{_ANNOTATION}{n}")}
