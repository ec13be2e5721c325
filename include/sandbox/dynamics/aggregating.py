"""`$apply`: filter, groupby and aggregate (section 3.4, V22).

The parser library has no grammar for `$apply`; the few forms that the service knows are cut at the separators
that stand outside parentheses and quotes, and conditions and paths inside them go to the library.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from include.sandbox.dynamics.call import Call
from include.sandbox.dynamics.documents import Row, extract
from include.sandbox.dynamics.errors import ServiceError, bad_query, unknown_property
from include.sandbox.dynamics.filter_text import parse_filter
from include.sandbox.dynamics.filters import FilterCompiler
from include.sandbox.dynamics.formatting import FORMATTED, Annotator, formatted_number
from include.sandbox.dynamics.operands import Operand, Sql
from include.sandbox.dynamics.paging import make_cookie, read_cookie, skip_token, with_option
from include.sandbox.dynamics.preferences import note_annotations, page_size
from include.sandbox.dynamics.query_options import parse_top, split
from include.sandbox.dynamics.schema import FRACTION, Column, Table
from include.sandbox.dynamics.selecting import Query, compiler_for, visible
from include.sandbox.service import Json, Response

_METHODS = {"sum": "sum", "min": "min", "max": "max", "average": "avg", "countdistinct": "count(DISTINCT"}
NUMERIC = FRACTION | {"Integer", "BigInt"}


@dataclass(slots=True)
class Group:
    """One column to group by: its alias in the answer, the form that is compared, the value that is shown.

    `table` and `source` are whose column it is and its alias in SQL; a group that is not `direct` gets no annotations
    but what `label` makes of its value: a path of `$apply`, a part of a date.
    """

    alias: str
    column: Column
    direct: bool
    key: Sql
    shown: Sql
    table: Table
    source: str = "r"
    label: Callable[[Json], str] | None = None


@dataclass(slots=True)
class Measure:
    """One aggregate: `column` is None for a number of rows; an average has more places than its column."""

    alias: str
    sql: Sql
    column: Column | None = None
    average: bool = False


@dataclass(slots=True)
class Apply:
    """What one `$apply`, or one aggregate of FetchXML, wants."""

    conditions: list[Sql] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    measures: list[Measure] = field(default_factory=list)
    joins: Sql = field(default_factory=lambda: Sql(""))


def aggregate(call: Call, table: Table, conditions: Sequence[Sql]) -> Response:
    """Answer `$apply` on a set; raises 400 for what the service does not aggregate."""
    compiler = compiler_for(call, table)
    wanted = _Reader(compiler).read(call.option("$apply") or "")
    wanted.conditions = [*visible(call, table), *conditions, *wanted.conditions]
    if call.option("$filter"):
        wanted.conditions.append(compiler.compile(call.option("$filter") or ""))
    top, size = parse_top(call.option("$top")), page_size(call)
    page, skipped = 1, 0
    if call.option("$skiptoken") is not None:
        page, skipped, _ = read_cookie(call.cookie_secret(table), call.option("$skiptoken") or "")
        if not isinstance(skipped, int):
            raise bad_query("Invalid Skip Token: it does not belong to this query.")
    note_annotations(call)
    limit = size if top is None else min(size, top)
    value, more = groups_of(call, table, wanted, list(_sorting(table, wanted, _order(call))), limit, skipped)
    content: dict[str, Json] = {"@odata.context": f"{call.root}$metadata#{table.set}", "value": value}
    if more and top is None:
        cookie = make_cookie(call.cookie_secret(table), page + 1, skipped + limit, tracking=False)
        query = with_option(call.query, "$skiptoken", skip_token(cookie))
        content["@odata.nextLink"] = f"{call.root}{call.raw_path}?{query}"
    return call.json(200, content)


def groups_of(
    call: Call, table: Table, wanted: Apply, order: Sequence[str], limit: int, skipped: int
) -> tuple[list[dict[str, Json]], bool]:
    """One page of groups and measures as JSON objects, and whether there are more; `order` is SQL.

    Raises 400 for more source rows than the service aggregates (0x8004E023).
    """
    text, parameters = _statement(table, wanted, order)
    with call.reading() as connection:
        most = call.world.options.aggregate_limit
        source = Query(table, list(wanted.conditions))
        source.joins = wanted.joins
        if source.count(connection, most + 1) > most:
            detail = "The maximum record limit is exceeded. Reduce the number of records."
            raise ServiceError(400, "0x8004E023", detail)
        found = connection.execute(f"{text} LIMIT ? OFFSET ?", (*parameters, limit + 1, skipped)).fetchall()
        annotator = Annotator(call.schema, call.prefer)
        rows = [_rows(wanted, entry) for entry in found[:limit]]
        for number, group in enumerate(wanted.groups):
            if group.direct:
                annotator.prepare(connection, [entry[number] for entry in rows], [group.column])
        shown = [_shown(call, annotator, wanted, *pair) for pair in zip(rows, found, strict=False)]
    return shown, len(found) > limit


class _Reader:
    """Reads the transformations of one `$apply`."""

    def __init__(self, compiler: FilterCompiler) -> None:
        self._compiler = compiler
        self._scope = {"": (compiler.table, "r")}

    def read(self, text: str) -> Apply:
        """All transformations in order."""
        wanted = Apply()
        for part in split(text, "/"):
            name, inner = _call(part.strip(), text)
            if name == "filter" and not wanted.groups and not wanted.measures:
                wanted.conditions.append(self._compiler.compile(inner))
            elif name == "groupby" and not wanted.groups:
                self._group(wanted, inner, text)
            elif name == "aggregate" and not wanted.measures:
                wanted.measures += self._measures(inner)
            else:
                raise bad_query(f"The transformation '{name}' is not supported in '{text}'.")
        if not wanted.groups and not wanted.measures:
            raise bad_query(f"The $apply expression '{text}' neither groups nor aggregates.")
        return wanted

    def _group(self, wanted: Apply, inner: str, text: str) -> None:
        parts = split(inner, ",")
        listed = parts[0].strip() if parts else ""
        if not (listed.startswith("(") and listed.endswith(")")) or len(parts) > 2:
            raise bad_query(f"Expression expected at position {len(text)} in '{text}'.")
        wanted.groups += [self._column(name.strip()) for name in split(listed[1:-1], ",")]
        for part in parts[1:]:
            name, measures = _call(part.strip(), text)
            if name != "aggregate":
                raise bad_query(f"The transformation '{name}' is not supported in '{text}'.")
            wanted.measures += self._measures(measures)

    def _operand(self, path: str) -> Operand:
        operand = self._compiler.operand(parse_filter(path, self._compiler.aliases).tree, self._scope)
        if operand.column is None:
            raise bad_query(f"'{path}' is not a property.")
        return operand

    def _column(self, path: str) -> Group:
        operand = self._operand(path)
        column = operand.column
        if column is None or column.type == "DateTime":
            # The vendor's aggregate-data page: grouping by date and time values is not supported.
            raise bad_query("Grouping by a date and time property is not supported.")
        direct = "/" not in path
        alias = column.wire if direct else f"{column.table}_{column.name}"
        shown = self._compiler.shown(path, self._scope)
        least = Sql(f"min({shown.text})", shown.parameters)
        return Group(alias, column, direct, operand.sql, least, self._compiler.table)

    def _measures(self, text: str) -> Iterator[Measure]:
        for part in split(text, ","):
            words = part.split()
            if len(words) == 3 and words[0] == "$count" and words[1] == "as":
                yield Measure(words[2], Sql("count(*)"))
            elif len(words) == 5 and words[1] == "with" and words[3] == "as":
                yield self._measure(words[0], words[2], words[4])
            else:
                raise bad_query(f"Syntax error in the aggregate expression '{part.strip()}'.")

    def _measure(self, path: str, method: str, alias: str) -> Measure:
        function = _METHODS.get(method)
        if function is None:
            raise bad_query(f"The aggregation method '{method}' is not supported.")
        operand = self._operand(path)
        column = operand.column
        if column is not None and method in {"sum", "average"} and column.type not in NUMERIC:
            raise bad_query(f"The aggregation method '{method}' does not take values of type '{column.edm}'.")
        counted = method == "countdistinct"
        sql = operand.sql if counted else self._compiler.shown(path, self._scope)
        text = f"{function} {sql.text})" if counted else f"{function}({sql.text})"
        return Measure(alias, Sql(text, sql.parameters), None if counted else column, method == "average")


def _call(part: str, text: str) -> tuple[str, str]:
    name, opened, rest = part.partition("(")
    if not opened or not rest.endswith(")"):
        raise bad_query(f"')' or operator expected at position {len(text)} in '{text}'.")
    return name.strip(), rest[:-1]


def _order(call: Call) -> list[tuple[str, bool]]:
    order = []
    for part in split(call.option("$orderby") or "", ","):
        name, _, direction = part.strip().partition(" ")
        order.append((name, direction.strip() == "desc"))
    return order


def _statement(table: Table, wanted: Apply, order: Sequence[str]) -> tuple[str, list[Json]]:
    columns = [group.shown for group in wanted.groups] + [measure.sql for measure in wanted.measures]
    companions = [(group, name) for group in wanted.groups if (name := _companion(group)) is not None]
    columns += [Sql(f"max({extract(group.table, name, group.source)})") for group, name in companions]
    listed = ", ".join(column.text for column in columns)
    where = " AND ".join(condition.text for condition in wanted.conditions)
    keys = [group.key for group in wanted.groups]
    text = f'SELECT {listed} FROM "r_{table.name}" r{wanted.joins.text}'  # noqa: S608 - own column expressions
    if where:
        text += f" WHERE {where}"
    if wanted.groups:
        text += f" GROUP BY {', '.join(key.text for key in keys)} ORDER BY {', '.join(order)}"
    pieces = (*columns, wanted.joins, *wanted.conditions, *keys)
    return text, [value for piece in pieces for value in piece.parameters]


def _companion(group: Group) -> str | None:
    """The column that tells the table of a lookup that is grouped by."""
    name = f"{group.column.name}type"
    return name if group.direct and name in group.table.columns else None


def _sorting(table: Table, wanted: Apply, order: Sequence[tuple[str, bool]]) -> Iterator[str]:
    aliases = [group.alias for group in wanted.groups]
    for name, down in order:
        if name not in aliases:
            if name in {measure.alias for measure in wanted.measures}:
                raise bad_query("The query node SingleValueOpenPropertyAccess is not supported")
            raise unknown_property(name, table.name)
        yield f"{aliases.index(name) + 1}{' DESC' if down else ''}"
    yield from (str(number + 1) for number in range(len(aliases)))


def _rows(wanted: Apply, entry: Sequence[Json]) -> list[Row]:
    """The value of each group as a row of its own, so that its label can be told."""
    rows = []
    extra = len(wanted.groups) + len(wanted.measures)
    for group, value in zip(wanted.groups, entry, strict=False):
        values = {group.column.name: exact(group.column, value)}
        companion = _companion(group)
        if companion is not None:
            values[companion] = entry[extra]
            extra += 1
        rows.append(Row(group.table, str(value) if group.table.is_key(group.column.name) else "", 0, values))
    return rows


def exact(column: Column | None, value: Json, *, average: bool = False) -> Json:
    """A value out of the database in the form that JSON shows: money and decimals to the places of their column."""
    if column is not None and column.type == "Boolean" and value is not None:
        return bool(value)
    if isinstance(value, float):
        places = column.precision if column is not None and column.type in FRACTION and not average else None
        return Decimal(repr(round(value, 9 if places is None else places)))
    return value


def _shown(
    call: Call, annotator: Annotator, wanted: Apply, rows: Sequence[Row], entry: Sequence[Json]
) -> dict[str, Json]:
    content: dict[str, Json] = {}
    for group, row in zip(wanted.groups, rows, strict=True):
        value = row.get(group.column.name)
        if group.direct and value is not None:  # groups without a value leave the member out, as in the samples
            content |= annotator.named(group.column, row, group.alias)
            content[group.alias] = value
    for measure, value in zip(wanted.measures, entry[len(wanted.groups) :], strict=False):
        number = exact(measure.column, value, average=measure.average)
        if call.prefer.wants(FORMATTED) and number is not None:
            content[f"{measure.alias}@{FORMATTED}"] = formatted_number(measure.column, number)
        content[measure.alias] = number
    for group, value in zip(wanted.groups, entry, strict=False):
        if group.direct or value is None:
            continue
        if group.label is not None and call.prefer.wants(FORMATTED):
            content[f"{group.alias}@{FORMATTED}"] = group.label(value)
        content[group.alias] = exact(group.column, value)
    return content
