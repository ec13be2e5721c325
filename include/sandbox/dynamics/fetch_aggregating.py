"""Aggregates of FetchXML: groups, parts of dates, measures, over links too (V65; vendor page aggregate-data).

Assumption: dates are grouped in UTC, weeks start on Sunday and January 1st lies in the first one, the fiscal year is
the calendar year in quarters; a fiscal period is told as year and quarter in one number (202601).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from xml.etree.ElementTree import Element

from include.sandbox.dynamics.aggregating import NUMERIC, Apply, Group, Measure, groups_of
from include.sandbox.dynamics.call import Call
from include.sandbox.dynamics.fetch_conditions import column_of, wrong
from include.sandbox.dynamics.fetch_links import Links, is_true, number_of
from include.sandbox.dynamics.operands import Sql
from include.sandbox.dynamics.preferences import note_annotations, page_size
from include.sandbox.dynamics.schema import Column, Table
from include.sandbox.dynamics.selecting import visible
from include.sandbox.service import Json, Response

_AGGREGATES = {"count": "count(*)", "countcolumn": "count({})", "sum": "sum({})", "avg": "avg({})"} | {
    "min": "min({})",
    "max": "max({})",
}
_YEAR, _MONTH = "CAST(substr({0}, 1, 4) AS INTEGER)", "CAST(substr({0}, 6, 2) AS INTEGER)"
_QUARTER = f"(({_MONTH} + 2) / 3)"
_FIRST_DAY = "CAST(strftime('%w', substr({0}, 1, 4) || '-01-01') AS INTEGER)"
_DATE_PARTS = {
    "day": "CAST(substr({0}, 9, 2) AS INTEGER)",
    "week": f"((CAST(strftime('%j', substr({{0}}, 1, 10)) AS INTEGER) - 1 + {_FIRST_DAY}) / 7 + 1)",
    "month": _MONTH,
    "quarter": _QUARTER,
    "year": _YEAR,
    "fiscal-period": f"({_YEAR} * 100 + {_QUARTER})",
    "fiscal-year": _YEAR,
}
_LABELS: Mapping[str, Callable[[Json], str]] = {
    "fiscal-period": lambda value: f"Quarter {value % 100} FY{value // 100}",
    "fiscal-year": lambda value: f"FY{value}",
}


def aggregate_rows(call: Call, table: Table, root: Element, entity: Element) -> Response:
    """Answer `aggregate="true"`; raises 400 for attributes without alias, and for what cannot be aggregated."""
    links = Links(call, table)
    links.gather(entity, table, "r")
    wanted = Apply(joins=links.joins)
    for element, source, alias in links.sources(entity, table):
        for attribute in element.findall("attribute"):
            _read(wanted, links, attribute, source, alias)
    if not wanted.groups and not wanted.measures:
        raise wrong("An aggregate needs attributes.")
    wanted.conditions = [*visible(call, table), *links.filters(entity, table, "r")]
    order = [by for element, _, _ in links.sources(entity, table) for by in _order(wanted, element)]
    order += [str(number + 1) for number in range(len(wanted.groups))]
    return _answered(call, table, root, wanted, order)


def _answered(call: Call, table: Table, root: Element, wanted: Apply, order: list[str]) -> Response:
    """The page of groups that the query asks for."""
    note_annotations(call)
    largest = page_size(call)
    limit = min(number_of(root, "top", number_of(root, "count", largest)) or largest, largest)
    skipped = 0 if root.get("top") is not None else (max(number_of(root, "page", 1), 1) - 1) * limit
    value, more = groups_of(call, table, wanted, order, limit, skipped)
    content: dict[str, Json] = {"@odata.context": f"{call.root}$metadata#{table.set}"}
    if more and root.get("top") is None and call.prefer.wants("Microsoft.Dynamics.CRM.morerecords"):
        content["@Microsoft.Dynamics.CRM.morerecords"] = True
    return call.json(200, content | {"value": value})


def names_values(table: Table, entity: Element) -> bool:
    """Whether a query shows chosen columns without the key, so that `distinct` is about values, not about rows."""
    names = [element.get("name") for element in entity.findall("attribute")]
    return bool(names) and table.key not in names and entity.find("all-attributes") is None


def distinct_rows(call: Call, table: Table, root: Element, entity: Element) -> Response:
    """Each combination of values once, without key and etag; orders name columns."""
    links = Links(call, table)
    links.gather(entity, table, "r")
    wanted = Apply(joins=links.joins)
    for element, source, alias in links.sources(entity, table):
        prefix = "" if alias == "r" else f"{next(link.shown for link in links.found if link.alias == alias)}."
        for attribute in element.findall("attribute"):
            column = column_of(source, attribute.get("name"))
            name = attribute.get("alias") or (column.name if prefix else column.wire)
            shown = links.compiler.shown(source, alias, column)
            key = links.compiler.operand(source, alias, column.name).sql
            wanted.groups.append(Group(f"{prefix}{name}", column, True, key, Sql(f"min({shown.text})"), source, alias))
    wanted.conditions = [*visible(call, table), *links.filters(entity, table, "r")]
    for element, source, alias in links.sources(entity, table):
        for entry in element.findall("order"):
            links.sort(entry, source, alias)
    keys = [group.key.text for group in wanted.groups]
    if any(operand.sql.text not in keys for operand, _ in links.order):
        raise wrong("A distinct query is ordered by the attributes that it shows.")
    order = [f"{keys.index(operand.sql.text) + 1}{' DESC' if down else ''}" for operand, down in links.order]
    order += [str(number + 1) for number in range(len(wanted.groups))]
    return _answered(call, table, root, wanted, order)


def _read(wanted: Apply, links: Links, attribute: Element, table: Table, alias: str) -> None:
    column, name = column_of(table, attribute.get("name")), attribute.get("alias") or ""
    function = attribute.get("aggregate")
    grouped = is_true(attribute.get("groupby"))
    if not name or grouped == (function is not None):
        raise wrong("Attributes of an aggregate need an alias, and either an aggregate or groupby.")
    taken = {group.alias for group in wanted.groups} | {measure.alias for measure in wanted.measures}
    if name in taken:
        raise wrong(f"The alias '{name}' is given to more than one attribute.")
    if grouped:
        wanted.groups.append(_group(links, attribute, table, column, name, alias))
    else:
        wanted.measures.append(_measure(links, attribute, table, column, name, alias))


def _group(links: Links, attribute: Element, table: Table, column: Column, name: str, alias: str) -> Group:
    part = attribute.get("dategrouping")
    operand, shown = links.compiler.operand(table, alias, column.name), links.compiler.shown(table, alias, column)
    if part is None:
        if column.type == "DateTime":
            raise wrong(f"The attribute '{column.name}' is grouped by date and needs a dategrouping.")
        return Group(name, column, True, operand.sql, Sql(f"min({shown.text})"), table, alias)
    if column.type != "DateTime" or part not in _DATE_PARTS:
        raise wrong(f"The dategrouping '{part}' of '{column.name}' is unknown, or the attribute is no date.")
    text = _DATE_PARTS[part].format(shown.text)
    key, label = Sql(f"iif({shown.text} IS NULL, NULL, {text})"), _LABELS.get(part, str)
    return Group(name, column, False, key, Sql(f"min({key.text})"), table, alias, label)


def _measure(links: Links, attribute: Element, table: Table, column: Column, name: str, alias: str) -> Measure:
    function = attribute.get("aggregate") or ""
    if function not in _AGGREGATES:
        raise wrong(f"The aggregate '{function}' is unknown.")
    if function in {"sum", "avg"} and column.type not in NUMERIC:
        raise wrong(f"The aggregate '{function}' does not take the attribute '{column.name}'.")
    operand, shown = links.compiler.operand(table, alias, column.name), links.compiler.shown(table, alias, column)
    if is_true(attribute.get("distinct")):
        return Measure(name, Sql(f"count(DISTINCT {operand.sql.text})"))
    counted = function in {"count", "countcolumn"}
    return Measure(name, Sql(_AGGREGATES[function].format(shown.text)), None if counted else column, function == "avg")


def _order(wanted: Apply, element: Element) -> list[str]:
    """SQL of the orders of one element: by alias, of a group or a measure."""
    aliases = [group.alias for group in wanted.groups] + [measure.alias for measure in wanted.measures]
    order = []
    for entry in element.findall("order"):
        name = entry.get("alias")
        if name not in aliases:
            raise wrong("An order of an aggregate names the alias of one of its attributes.")
        order.append(f"{aliases.index(name) + 1}{' DESC' if is_true(entry.get('descending')) else ''}")
    return order
