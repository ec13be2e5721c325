"""GET on sets, rows and properties (V12-V24)."""

from __future__ import annotations

import sqlite3

from include.sandbox.dynamics.addresses import Key, find
from include.sandbox.dynamics.call import JSON_TYPE, Call, not_implemented
from include.sandbox.dynamics.documents import Row, extract
from include.sandbox.dynamics.errors import (
    ServiceError,
    bad_query,
    missing_alternate_row,
    missing_row,
    unknown_segment,
)
from include.sandbox.dynamics.filters import Sql
from include.sandbox.dynamics.formatting import target_of
from include.sandbox.dynamics.paging import make_cookie, read_cookie, with_option
from include.sandbox.dynamics.query_options import Selection, parse_order, parse_selection, parse_top
from include.sandbox.dynamics.schema import Column, Relationship, Table
from include.sandbox.dynamics.selecting import Query, compiler_for, render, render_rows, visible
from include.sandbox.service import Json, Response

_COUNT = "Microsoft.Dynamics.CRM.totalrecordcount"
_COUNT_EXCEEDED = "Microsoft.Dynamics.CRM.totalrecordcountlimitexceeded"


def page_size(call: Call) -> int:
    """Rows on a page: what was preferred, at most the service's own size (V19)."""
    largest = call.world.options.page_size
    preferred = call.prefer.page_size
    if preferred is None:
        return largest
    call.prefer.applied.append(f"odata.maxpagesize={preferred}")
    return min(preferred, largest)


def selection_of(call: Call, table: Table) -> Selection:
    """What `$select` and `$expand` of this call ask for."""
    return parse_selection(call.schema, table, {"$select": call.option("$select"), "$expand": call.option("$expand")})


def note_annotations(call: Call) -> None:
    """Say that asked-for annotations are given (V10)."""
    if call.prefer.annotations:
        call.prefer.applied.append(f'odata.include-annotations="{",".join(sorted(call.prefer.annotations))}"')


def read_set(call: Call, table: Table, related: tuple[str, Relationship] | None = None) -> Response:
    """One page of a set; `related` limits it to the children of a row (by id)."""
    call.check_options()
    for name in ("$apply", "fetchXml"):
        if call.option(name) is not None:
            raise not_implemented(name)
    selection = selection_of(call, table)
    compiler = compiler_for(call, table)
    query = Query(table, visible(call, table), parse_order(compiler, call.option("$orderby")))
    if related is not None:
        query.conditions.append(Sql(f"{extract(table, related[1].column, 'r')} = ?", (related[0],)))
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
        if call.option("$count") == "true":
            content |= _counts(call, connection, query)
        elif call.prefer.wants(_COUNT):
            content |= {f"@{_COUNT}": -1, f"@{_COUNT_EXCEEDED}": False}
        entries = query.run(connection, limit + 1)
        content["value"] = render(call, connection, selection, entries[:limit])
    if len(entries) > limit and not capped:
        content["@odata.nextLink"] = _next_link(call, entries[limit - 1], page)
    return call.json(200, content)


def _resume(call: Call, query: Query) -> int:
    token = call.option("$skiptoken")
    if token is None:
        return 1
    page, state, tracking = read_cookie(call.world.storage.secret, token)
    if tracking or not isinstance(state, list) or len(state) != len(query.order) + 1:
        raise bad_query("Invalid Skip Token: it does not belong to this query.")
    query.after = state
    return page


def _next_link(call: Call, last: tuple[Json, ...], page: int) -> str:
    cookie = make_cookie(call.world.storage.secret, page + 1, [*last[3:], last[0]], tracking=False)
    return f"{call.root}{call.raw_path}?{with_option(call.query, '$skiptoken', cookie)}"


def _counts(call: Call, connection: sqlite3.Connection, query: Query) -> dict[str, Json]:
    limit = call.world.options.count_limit
    after, query.after = query.after, None
    found = query.count(connection, limit + 1)
    query.after = after
    counts: dict[str, Json] = {"@odata.count": min(found, limit)}
    if call.prefer.wants(_COUNT):
        counts |= {f"@{_COUNT}": min(found, limit), f"@{_COUNT_EXCEEDED}": found > limit}
    return counts


def count_set(call: Call, table: Table) -> Response:
    """`/$count`: text, capped (V20)."""
    call.check_options()
    compiler = compiler_for(call, table)
    query = Query(table, visible(call, table))
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
    content = {"@odata.context": context, **render_rows(call, connection, selection, [row])[0]}
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


def _related(call: Call, row: Row, column: Column) -> Response:
    target, value = call.schema.tables.get(target_of(row, column)), row.values.get(column.name)
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
            target, value = call.schema.tables.get(target_of(row, column)), row.values.get(column.name)
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
