"""GET on sets, rows and properties (V12-V24)."""

from __future__ import annotations

import sqlite3

from include.sandbox.dynamics.addresses import Key, find
from include.sandbox.dynamics.aggregating import aggregate
from include.sandbox.dynamics.call import JSON_TYPE, Call, not_implemented
from include.sandbox.dynamics.documents import Row, extract
from include.sandbox.dynamics.errors import (
    ServiceError,
    bad_query,
    missing_alternate_row,
    missing_row,
    unknown_segment,
)
from include.sandbox.dynamics.fetching import fetch_rows
from include.sandbox.dynamics.formatting import target_of
from include.sandbox.dynamics.operands import Sql
from include.sandbox.dynamics.paging import make_cookie, read_cookie, skip_token, with_option
from include.sandbox.dynamics.preferences import note_annotations, page_size
from include.sandbox.dynamics.query_options import Selection, parse_order, parse_selection, parse_top
from include.sandbox.dynamics.rendering import render, render_row
from include.sandbox.dynamics.schema import Column, Relationship, Table
from include.sandbox.dynamics.selecting import Query, compiler_for, visible
from include.sandbox.service import Json, Response

_COUNT = "Microsoft.Dynamics.CRM.totalrecordcount"
_COLLECTION_ONLY = ("$filter", "$orderby", "$count", "$top", "$apply", "$skiptoken", "$deltatoken")
_COUNT_EXCEEDED = "Microsoft.Dynamics.CRM.totalrecordcountlimitexceeded"


def selection_of(call: Call, table: Table) -> Selection:
    """What `$select` and `$expand` of this call ask for."""
    return parse_selection(call.schema, table, {"$select": call.option("$select"), "$expand": call.option("$expand")})


def read_set(call: Call, table: Table, related: tuple[str, Relationship] | None = None) -> Response:
    """One page of a set; `related` limits it to the children of a row (by id)."""
    call.check_options()
    if call.option("$apply") is not None:
        return aggregate(call, table, _related_conditions(table, related))
    if call.option("fetchXml") is not None:
        return fetch_rows(call, table)
    if call.option("sql") is not None:
        raise not_implemented("a query in SQL")
    selection = selection_of(call, table)
    compiler = compiler_for(call, table)
    conditions = [*visible(call, table), *_related_conditions(table, related)]
    query = Query(table, conditions, parse_order(compiler, call.option("$orderby")))
    if call.option("$filter"):
        query.conditions.append(compiler.compile(call.option("$filter") or ""))
    top = parse_top(call.option("$top"))
    size = page_size(call)
    # $top is ignored when a page size is preferred (V18).
    capped = top is not None and call.prefer.page_size is None
    limit = min(size, top) if capped and top is not None else size
    page = _resume(call, query)
    note_annotations(call)
    with call.reading() as connection:
        content: dict[str, Json] = {"@odata.context": f"{call.root}$metadata#{table.set}{selection.context}"}
        content |= _annotations(call, _counted(call, connection, query))
        entries = query.run(connection, limit + 1)
        content["value"] = render(call, connection, selection, entries[:limit])
    if len(entries) > limit and not capped:
        content["@odata.nextLink"] = _next_link(call, query, entries[limit - 1], page)
    return call.json(200, content)


def _resume(call: Call, query: Query) -> int:
    token = call.option("$skiptoken")
    if token is None:
        return 1
    page, state, tracking = read_cookie(call.cookie_secret(query.table), token)
    if tracking or not isinstance(state, list) or len(state) != len(query.order) + 1:
        raise bad_query("Invalid Skip Token: it does not belong to this query.")
    query.after = state
    return page


def _next_link(call: Call, query: Query, last: tuple[Json, ...], page: int) -> str:
    cookie = make_cookie(call.cookie_secret(query.table), page + 1, [*last[3:], last[0]], tracking=False)
    return f"{call.root}{call.raw_path}?{with_option(call.query, '$skiptoken', skip_token(cookie))}"


def _related_conditions(table: Table, related: tuple[str, Relationship] | None) -> list[Sql]:
    return [] if related is None else [Sql(f"{extract(table, related[1].column, 'r')} = ?", (related[0],))]


def _counted(call: Call, connection: sqlite3.Connection, query: Query) -> int | None:
    """Matching rows, at most one more than may be told; None when the count was not asked for."""
    wanted = (call.option("$count") or "false").strip()
    if wanted not in {"true", "false"}:
        text = f"Invalid value '{wanted}' for $count query option found. Valid values are 'true' and 'false'."
        raise bad_query(text)
    if wanted == "false":
        return None
    after, query.after = query.after, None
    found = query.count(connection, call.world.options.count_limit + 1)
    query.after = after
    return found


def _annotations(call: Call, found: int | None) -> dict[str, Json]:
    """The count and the annotations of a collection (V20, section 2.1)."""
    limit = call.world.options.count_limit
    shown: dict[str, Json] = {} if found is None else {"@odata.count": min(found, limit)}
    values = {
        _COUNT: -1 if found is None else min(found, limit),
        _COUNT_EXCEEDED: found is not None and found > limit,
        "Microsoft.Dynamics.CRM.globalmetadataversion": str(call.schema.revision),
    }
    return shown | {f"@{name}": value for name, value in values.items() if call.prefer.wants(name)}


def count_set(call: Call, table: Table, related: tuple[str, Relationship] | None = None) -> Response:
    """`/$count`: text, capped (V20)."""
    call.check_options()
    compiler = compiler_for(call, table)
    query = Query(table, [*visible(call, table), *_related_conditions(table, related)])
    if call.option("$filter"):
        query.conditions.append(compiler.compile(call.option("$filter") or ""))
    with call.reading() as connection:
        return count_answer(call, query.count(connection, call.world.options.count_limit))


def count_answer(call: Call, number: int) -> Response:
    """A number as plain text."""
    mark = b"\xef\xbb\xbf" if call.world.options.count_mark else b""
    return Response(200, mark + str(number).encode(), [("Content-Type", "text/plain")])


def find_readable(call: Call, connection: sqlite3.Connection, table: Table, key: Key) -> Row:
    """The row of a key; raises 404 without one, 403 when the caller may not see it."""
    depth = call.demand("read", table)
    row = find(connection, table, key)
    if row is None:
        raise missing(table, key)
    if depth != "organization" and row.values.get("ownerid") not in {None, call.caller.user}:
        raise ServiceError(403, "0x80048306", f"The caller has no access to {table.name} With Id = {row.id}")
    return row


def missing(table: Table, key: Key) -> ServiceError:
    """404 in the words of the kind of key."""
    return missing_row(table.name, key.guid) if key.guid is not None else missing_alternate_row(table.name)


def read_row(call: Call, table: Table, key: Key) -> Response:
    """One row, with an etag; 304 when the caller has this version (V23)."""
    call.check_options()
    if any(call.option(name) is not None for name in _COLLECTION_ONLY):
        raise bad_query(
            "The requested resource is not a collection. Query options $filter, $orderby, $count, $skip, and $top can "
            "be applied only on collections."
        )
    selection = selection_of(call, table)
    with call.reading() as connection:
        row = find_readable(call, connection, table, key)
        etag = f'W/"{row.version}"'
        # Not effective with $expand or annotations (section 3.6).
        if call.headers.get("if-none-match") == etag and not selection.expands and not call.prefer.annotations:
            return Response(304, b"", [("ETag", etag)])
        note_annotations(call)
        return row_answer(call, connection, 200, row, selection)


def row_answer(call: Call, connection: sqlite3.Connection, status: int, row: Row, selection: Selection) -> Response:
    """A single row as an answer."""
    context = f"{call.root}$metadata#{row.table.set}{selection.context}/$entity"
    content = {"@odata.context": context, **render_row(call, connection, selection, row)}
    return call.json(status, content, [("ETag", f'W/"{row.version}"')])


def read_property(call: Call, table: Table, key: Key, name: str, *, raw: bool) -> Response:
    """`leads(id)/lastname`, `/$value`, or the row behind a navigation property (V24)."""
    call.check_options()
    with call.reading() as connection:
        row = find_readable(call, connection, table, key)
    relationship = call.schema.collections(table.name).get(name)
    if relationship is not None:
        return read_set(call, call.schema.tables[relationship.child], (row.id, relationship))
    if name in table.navigation:
        return _related(call, row, table.navigation[name][0])
    column = table.by_wire.get(name)
    if column is None:
        raise unknown_segment(name)
    value = row.get(column.name)
    if value is None:
        return Response(204)
    if raw:
        return Response(200, _text(value).encode(), [("Content-Type", "text/plain")])
    context = f"{call.root}$metadata#{table.set}({row.id})/{name}"
    return call.json(200, {"@odata.context": context, "value": value})


def related_to(call: Call, table: Table, key: Key, name: str) -> tuple[Table, tuple[str, Relationship]]:
    """The table of a collection-valued navigation property and what limits it to one parent; raises 404."""
    relationship = call.schema.collections(table.name).get(name)
    if relationship is None:
        raise unknown_segment(name)
    with call.reading() as connection:
        row = find_readable(call, connection, table, key)
    return call.schema.tables[relationship.child], (row.id, relationship)


def check_child(call: Call, table: Table, key: Key, related: tuple[str, Relationship]) -> None:
    """Raises 404 unless the row of a key belongs to the parent it was addressed by."""
    with call.reading() as connection:
        row = find_readable(call, connection, table, key)
    if row.values.get(related[1].column) != related[0]:
        raise missing(table, key)


def _related(call: Call, row: Row, column: Column) -> Response:
    target, value = call.schema.tables.get(target_of(row, column)), row.get(column.name)
    if value is None or target is None:
        return Response(204)
    return read_row(call, target, Key(value))


def _text(value: Json) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def read_references(call: Call, table: Table, key: Key, name: str) -> Response:
    """`.../$ref`: addresses of related rows (section 3.1)."""
    with call.reading() as connection:
        row = find_readable(call, connection, table, key)
        if name in table.navigation:
            column = table.navigation[name][0]
            target, value = call.schema.tables.get(target_of(row, column)), row.get(column.name)
            if value is None or target is None:
                return Response(204)
            content = {"@odata.context": f"{call.root}$metadata#$ref", "@odata.id": call.address(target, value)}
            return Response(200, call.json(200, content).body, [("Content-Type", JSON_TYPE)])
        relationship = call.schema.collections(table.name).get(name)
        if relationship is None:
            raise unknown_segment(name)
        child = call.schema.tables[relationship.child]
        condition = Sql(f"{extract(child, relationship.column, 'r')} = ?", (row.id,))
        found = Query(child, [condition, *visible(call, child)]).run(connection, call.world.options.page_size)
    addresses = [{"@odata.id": call.address(child, entry[0])} for entry in found]
    return call.json(200, {"@odata.context": f"{call.root}$metadata#Collection($ref)", "value": addresses})
