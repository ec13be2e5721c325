"""FetchXML in `?fetchXml=`: entity, attributes, filters, order, pages, links, aggregates (V65).

Read with the standard library's XML parser; documents with a DTD are refused before they are parsed.
Assumption: the facts name only the errors of unknown names (0x80041102, 0x80041103); the other texts are ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from xml.etree import ElementTree as ET

from include.sandbox.dynamics.aggregating import Apply, Group, Measure, answer_groups
from include.sandbox.dynamics.call import Call, not_implemented
from include.sandbox.dynamics.documents import Row, row_from
from include.sandbox.dynamics.errors import ServiceError, bad_query
from include.sandbox.dynamics.fetch_conditions import FetchCompiler, column_of, wrong
from include.sandbox.dynamics.formatting import Annotator
from include.sandbox.dynamics.operands import Operand, Sql
from include.sandbox.dynamics.paging import make_fetch_cookie, read_fetch_cookie
from include.sandbox.dynamics.preferences import note_annotations, page_size
from include.sandbox.dynamics.query_options import Selection
from include.sandbox.dynamics.rendering import row_objects
from include.sandbox.dynamics.schema import Column, Table
from include.sandbox.dynamics.selecting import Query, compiler_for, visible
from include.sandbox.service import Json, Response

_ANNOTATION = "Microsoft.Dynamics.CRM."
_AGGREGATES = {"count": "count(*)", "countcolumn": "count({})", "sum": "sum({})", "avg": "avg({})"} | {
    "min": "min({})",
    "max": "max({})",
}


@dataclass(slots=True)
class _Link:
    """A joined table: the alias in SQL and in the answer, and the columns to show under their names."""

    table: Table
    alias: str
    shown: str
    columns: list[tuple[str, Column]] = field(default_factory=list)


@dataclass(slots=True)
class _Fetch:
    """One FetchXML query, read and checked."""

    query: Query
    selection: Selection
    aliases: list[tuple[str, Column]]
    links: list[_Link]
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
    if root.get("aggregate") == "true":
        return _aggregated(call, table, root, entity)
    fetch = _Reader(call, table).read(root, entity)
    note_annotations(call)
    with call.reading() as connection:
        found = fetch.query.run(connection, fetch.limit + 1)
        counted = None
        if root.get("returntotalrecordcount") == "true":
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


def _number(element: ET.Element, name: str, usual: int) -> int:
    text = element.get(name)
    if text is None:
        return usual
    if not text.isdigit() or len(text) > 9:
        raise wrong(f"The value '{text}' of '{name}' is not a number.")
    return int(text)


class _Reader:
    """Reads one `fetch` element."""

    def __init__(self, call: Call, table: Table) -> None:
        self._call = call
        self._table = table
        self._compiler = FetchCompiler(compiler_for(call, table))
        self._tables: dict[str, tuple[Table, str]] = {}
        self._links: list[_Link] = []
        self._joins: list[Sql] = []
        self._order: list[tuple[Operand, bool]] = []

    def read(self, root: ET.Element, entity: ET.Element) -> _Fetch:
        """The query with its page."""
        selection, aliases = self._columns(entity)
        self._gather(entity, self._table, "r")
        conditions = [*visible(self._call, self._table), *self._filters(entity, self._table, "r")]
        for element in entity.findall("order"):
            self._sort(element, self._table, "r")
        query = Query(self._table, conditions, self._order)
        query.joins = Sql("".join(j.text for j in self._joins), tuple(v for j in self._joins for v in j.parameters))
        query.extra = tuple(f"{link.alias}.{name}" for link in self._links for name in ("id", "version", "doc"))
        query.distinct = root.get("distinct") == "true" and bool(self._joins)
        fetch = _Fetch(query, selection, aliases, self._links)
        self._paged(root, fetch)
        return fetch

    def _paged(self, root: ET.Element, fetch: _Fetch) -> None:
        largest = page_size(self._call)
        if root.get("top") is not None:
            if root.get("page") is not None or root.get("count") is not None:
                raise wrong("The top attribute can't be specified with paging attribute page or count.")
            fetch.limit, fetch.last = min(_number(root, "top", largest), largest), True
            return
        fetch.page = max(_number(root, "page", 1), 1)
        fetch.limit = min(_number(root, "count", largest) or largest, largest)
        cookie = root.get("paging-cookie")
        if cookie and not self._joins:
            state = read_fetch_cookie(self._call.world.storage.secret, cookie)
            if len(state) != len(self._order) + 1:
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

    def _gather(self, parent: ET.Element, table: Table, alias: str) -> None:
        """The links below an element, each joined to its parent."""
        for element in parent.findall("link-entity"):
            child = self._call.schema.tables.get(element.get("name") or "")
            if child is None:
                text = f"The entity with a name = '{element.get('name')}' was not found in the MetadataCache."
                raise ServiceError(400, "0x80041102", text)
            self._call.demand("read", child)
            kind = element.get("link-type", "inner")
            if kind not in {"inner", "outer"}:
                raise not_implemented(f"link-type '{kind}' of FetchXML")
            number = len(self._links) + 1
            link = _Link(child, f"e{number}", element.get("alias") or f"{child.name}{number}")
            self._links.append(link)
            self._compiler.named[link.shown] = (child, link.alias)
            self._join(element, link, (table, alias), outer=kind == "outer")
            self._gather(element, child, link.alias)

    def _join(self, element: ET.Element, link: _Link, parent: tuple[Table, str], *, outer: bool) -> None:
        own = self._compiler.operand(link.table, link.alias, element.get("from"))
        theirs = self._compiler.operand(*parent, element.get("to"))
        conditions = [Sql(f"{own.sql.text} = {theirs.sql.text}"), *self._filters(element, link.table, link.alias)]
        text = " AND ".join(condition.text for condition in conditions)
        word = "LEFT JOIN" if outer else "JOIN"
        parameters = tuple(value for condition in conditions for value in condition.parameters)
        self._joins.append(Sql(f' {word} "r_{link.table.name}" {link.alias} ON {text}', parameters))
        chosen = [(e.get("alias"), column_of(link.table, e.get("name"))) for e in element.findall("attribute")]
        if element.find("all-attributes") is not None:
            chosen = [(None, column) for column in link.table.exposed]
        link.columns = [(alias or column.name, column) for alias, column in chosen]
        for order in element.findall("order"):
            self._sort(order, link.table, link.alias)

    def _filters(self, element: ET.Element, table: Table, alias: str) -> list[Sql]:
        return [self._compiler.filter(part, table, alias) for part in element.findall("filter")]

    def _sort(self, element: ET.Element, table: Table, alias: str) -> None:
        operand = self._compiler.operand(table, alias, element.get("attribute"))
        self._order.append((operand, element.get("descending") in {"true", "1"}))


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
        values["fetchxmlpagingcookie"] = make_fetch_cookie(call.world.storage.secret, fetch.page + 1, state)
        values["morerecords"] = True
    return {f"@{_ANNOTATION}{n}": value for n, value in values.items() if call.prefer.wants(f"{_ANNOTATION}{n}")}


def _aggregated(call: Call, table: Table, root: ET.Element, entity: ET.Element) -> Response:
    """`aggregate="true"`: groups and measures of one table."""
    if entity.find("link-entity") is not None:
        raise not_implemented("an aggregate over link-entity in FetchXML")
    compiler = FetchCompiler(compiler_for(call, table))
    wanted = Apply()
    for element in entity.findall("attribute"):
        column, alias = column_of(table, element.get("name")), element.get("alias") or ""
        operand, shown = compiler.operand(table, "r", column.name), compiler.shown(table, "r", column)
        function = _AGGREGATES.get(element.get("aggregate") or "")
        if not alias or (function is None and element.get("groupby") != "true"):
            raise wrong("Attributes of an aggregate need an alias, and an aggregate or groupby.")
        if element.get("dategrouping") is not None:
            raise not_implemented("dategrouping in FetchXML")
        if function is None:
            wanted.groups.append(Group(alias, column, True, operand.sql, Sql(f"min({shown.text})")))
        elif element.get("distinct") == "true":
            wanted.measures.append(Measure(alias, Sql(f"count(DISTINCT {operand.sql.text})")))
        else:
            kind = None if element.get("aggregate") in {"count", "countcolumn"} else column
            wanted.measures.append(Measure(alias, Sql(function.format(shown.text)), kind))
    wanted.conditions = [*visible(call, table), *(compiler.filter(e, table, "r") for e in entity.findall("filter"))]
    order = [(e.get("alias") or "", e.get("descending") in {"true", "1"}) for e in entity.findall("order")]
    limit = min(_number(root, "top", page_size(call)), call.world.options.page_size)
    return answer_groups(call, table, wanted, order, limit, paged=False)
