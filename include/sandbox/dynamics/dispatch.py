"""From method and path to the function that answers (section 3.1)."""

from __future__ import annotations

from include.sandbox.dynamics.actions import BOUND_ACTIONS, UNBOUND_ACTIONS
from include.sandbox.dynamics.addresses import Key, Segment, find, parse_key, parse_path, references_lookup
from include.sandbox.dynamics.bulk import BULK_ACTIONS, bulk
from include.sandbox.dynamics.call import Call
from include.sandbox.dynamics.csdl import metadata_document
from include.sandbox.dynamics.errors import ServiceError, method_not_allowed, no_route, unknown_segment
from include.sandbox.dynamics.functions import FUNCTIONS, call_function, parameters_of, service_document
from include.sandbox.dynamics.metadata_endpoints import METADATA_ROOTS, metadata
from include.sandbox.dynamics.parameters import NAMESPACE
from include.sandbox.dynamics.privileges import BOUND_FUNCTIONS
from include.sandbox.dynamics.reading import (
    check_child,
    count_set,
    missing,
    read_property,
    read_references,
    read_row,
    read_set,
    related_to,
)
from include.sandbox.dynamics.row_endpoints import (
    create_related,
    create_row,
    delete_row,
    patch_row,
    write_property,
    write_reference,
)
from include.sandbox.dynamics.schema import Table
from include.sandbox.dynamics.tracking import count_changes, is_tracked, read_tracked
from include.sandbox.service import Response


def dispatch(call: Call) -> Response:
    """Answer one call below the service root, `Preference-Applied` included (V10)."""
    response = _route(call, parse_path(call.path))
    if call.prefer.applied:
        response.headers.append(("Preference-Applied", ", ".join(call.prefer.applied)))
    return response


def _route(call: Call, segments: list[Segment]) -> Response:
    if not segments:
        _only(call, "GET")
        return service_document(call)
    first = segments[0]
    if first.name == "$metadata":
        _only(call, "GET")
        return metadata_document(call)
    if first.name in METADATA_ROOTS:
        return metadata(call, segments)
    if len(segments) == 1 and first.name in {*FUNCTIONS, *UNBOUND_ACTIONS}:
        return _operation(call, first)
    if first.name.startswith("$") and call.in_batch:
        references_lookup({}, first.name)
    table = call.schema.by_set.get(first.name)
    if table is None:
        raise unknown_segment(first.name)
    if first.key is None:
        return _set(call, table, segments[1:])
    return _row(call, table, first.key, segments[1:])


def _operation(call: Call, segment: Segment) -> Response:
    """A function (GET) or an unbound action (POST)."""
    if call.method != ("GET" if segment.name in FUNCTIONS else "POST"):
        raise no_route(f"{call.root}{call.path}")
    if segment.name in UNBOUND_ACTIONS:
        return UNBOUND_ACTIONS[segment.name](call)
    return call_function(call, segment.name, segment.key)


def _only(call: Call, *methods: str) -> None:
    if call.method not in methods:
        raise method_not_allowed(call.method, *methods)


def _set(call: Call, table: Table, rest: list[Segment]) -> Response:
    if not rest:
        _only(call, "GET", "POST")
        if call.method == "POST":
            return create_row(call, table)
        return read_tracked(call, table) if is_tracked(call) else read_set(call, table)
    name = rest[0].name
    if name == "$count" and len(rest) == 1:
        _only(call, "GET")
        return count_changes(call, table) if call.option("$deltatoken") is not None else count_set(call, table)
    action = name.removeprefix(NAMESPACE)
    if name.startswith(NAMESPACE) and action in BULK_ACTIONS and len(rest) == 1:
        _only(call, "POST")
        return bulk(call, table, action)
    raise unknown_segment(name)


def _row(call: Call, table: Table, key_text: str, rest: list[Segment]) -> Response:
    key = parse_key(table, key_text)
    if not rest:
        handlers = {"GET": read_row, "PATCH": patch_row, "DELETE": delete_row}
        if call.method not in handlers:
            raise method_not_allowed(call.method, *handlers)
        return handlers[call.method](call, table, key)
    name = rest[0].name
    function = BOUND_FUNCTIONS.get((table.name, name))
    if function is not None and len(rest) == 1:
        _only(call, "GET")
        return function(call, table, key, parameters_of(call, rest[0].key))
    action = BOUND_ACTIONS.get((table.name, name))
    if action is not None and len(rest) == 1:
        _only(call, "POST")
        return action(call, table, key)
    return _below(call, table, key_text, rest)


def _below(call: Call, table: Table, key_text: str, rest: list[Segment]) -> Response:
    """Properties, references and related rows of a row."""
    key, name = parse_key(table, key_text), rest[0].name
    if len(rest) == 2 and rest[1].name == "$ref":
        return _reference(call, table, key_text, rest[0])
    if name in call.schema.collections(table.name) and (rest[0].key is not None or rest[1:] == [Segment("$count")]):
        return _child(call, table, key, rest)
    if len(rest) == 2 and rest[1].name == "$value":
        _only(call, "GET")
        return read_property(call, table, key, name, raw=True)
    if len(rest) > 1:
        return _deeper(call, table, key_text, rest)
    return _property(call, table, key, name)


def _property(call: Call, table: Table, key: Key, name: str) -> Response:
    """A property of a row, what its lookup points to, or a collection of rows that point to it."""
    if call.method == "GET":
        return read_property(call, table, key, name, raw=False)
    if name in call.schema.collections(table.name):
        _only(call, "GET", "POST")
        return create_related(call, table, key, name)
    if name not in table.by_wire and name not in table.navigation:
        raise unknown_segment(name)
    _only(call, "GET", "PUT", "DELETE")
    return write_property(call, table, key, name)


def _child(call: Call, table: Table, key: Key, rest: list[Segment]) -> Response:
    """The size of a related collection, or one row of it."""
    child, related = related_to(call, table, key, rest[0].name)
    if rest[0].key is None:
        _only(call, "GET")
        return count_set(call, child, related)
    check_child(call, child, parse_key(child, rest[0].key), related)
    return _row(call, child, rest[0].key, rest[1:])


def _reference(call: Call, table: Table, key_text: str, segment: Segment) -> Response:
    key = parse_key(table, key_text)
    if call.method == "GET":
        return read_references(call, table, key, segment.name)
    # A single-valued property is set by PUT, a collection is added to by POST (section 7).
    _only(call, "GET", "POST" if segment.name in call.schema.collections(table.name) else "PUT", "DELETE")
    return write_reference(call, table, key, segment.name, segment.key)


def _deeper(call: Call, table: Table, key_text: str, rest: list[Segment]) -> Response:
    """Follow one single-valued navigation property, then go on from that row."""
    if rest[0].name not in table.navigation:
        raise unknown_segment(rest[0].name)
    column, target = table.navigation[rest[0].name]
    key = parse_key(table, key_text)
    with call.reading() as connection:
        row = find(connection, table, key)
    if row is None:
        raise missing(table, key)
    value = row.get(column.name)
    if value is None or target not in call.schema.tables:
        raise ServiceError(404, "0x80060888", f"Resource not found for the segment '{rest[1].name}'.")
    return _row(call, call.schema.tables[target], value, rest[1:])
