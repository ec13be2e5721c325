"""EntityDefinitions and its parts (section 13, V60)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

from include.sandbox.dynamics.addresses import Segment, parse_path
from include.sandbox.dynamics.call import Call
from include.sandbox.dynamics.errors import bad_query, unknown_segment
from include.sandbox.dynamics.metadata_answers import Kind, Shape, one, part_answer, shapes_answer
from include.sandbox.dynamics.metadata_relationships import all_relationships, many_to_one, one_to_many
from include.sandbox.dynamics.metadata_shapes import (
    ATTRIBUTE_CASTS,
    attribute_base,
    attribute_details,
    cast_name,
    global_choices,
    key_shapes,
    option_set,
    table_shape,
)
from include.sandbox.dynamics.metadata_writes import write_metadata
from include.sandbox.dynamics.schema import Column, Schema, Table
from include.sandbox.service import Json, Response

METADATA_ROOTS = frozenset({"EntityDefinitions", "GlobalOptionSetDefinitions", "RelationshipDefinitions"})
_PREFIX = "Microsoft.Dynamics.CRM."
_MANY_TO_MANY = "ManyToManyRelationships"
_FORBIDDEN = ("$top", "$skip", "$orderby", "$count", "$apply", "$search")
_CASTS = {
    "RelationshipDefinitions": {"OneToManyRelationshipMetadata", "ManyToManyRelationshipMetadata"},
    "GlobalOptionSetDefinitions": {"OptionSetMetadata", "BooleanOptionSetMetadata"},
}


def metadata(call: Call, segments: Sequence[Segment]) -> Response:
    """Answer a GET on the metadata collections, which are never paged, or a write."""
    if call.method != "GET":
        return _represented(call, write_metadata(call, segments))
    for name in _FORBIDDEN:
        if call.option(name) is not None:
            raise bad_query(f"The query parameter {name} is not supported for Metadata Entities.")
    call.check_options()
    root = segments[0]
    if root.name == "EntityDefinitions":
        return _definitions(call, segments)
    if root.name == "RelationshipDefinitions":
        return _named(call, segments, list(all_relationships(call.schema)), "RelationshipMetadataBase")
    return _named(call, segments, global_choices(call.schema), "OptionSetMetadataBase")


def _represented(call: Call, response: Response) -> Response:
    """The definition that a write made or changed, if it was asked for."""
    if not call.prefer.representation or call.method == "DELETE":
        return response
    made = dict(response.headers).get("OData-EntityId", "").removeprefix(call.root)
    path = made or call.path
    shown = metadata(
        replace(call, method="GET", path=path, schema=call.world.schema, query="", body=b""), parse_path(path)
    )
    call.prefer.applied.append("return=representation")
    return Response(201 if made else 200, shown.body, [*shown.headers, *response.headers])


def _named(call: Call, segments: Sequence[Segment], shapes: list[Shape], type_name: str) -> Response:
    """A collection of mixed types, whole or cast to one, with or without a key."""
    root, rest = segments[0], list(segments[1:])
    context, key = root.name, root.key
    if rest and rest[0].name.startswith(_PREFIX):
        cast = rest.pop(0)
        type_name, key = cast.name.removeprefix(_PREFIX), key or cast.key
        if type_name not in _CASTS[root.name]:
            raise unknown_segment(cast.name)
        cast_to = f"#{cast.name}"
        shapes = [{n: v for n, v in s.items() if n != "@odata.type"} for s in shapes if s["@odata.type"] == cast_to]
        context += f"/{cast.name}"
    kind = Kind(context, type_name, {})
    if rest and not key:
        raise unknown_segment(rest[0].name)
    if rest:
        return part_answer(call, one(shapes, key or ""), rest, kind)
    return shapes_answer(call, shapes, kind, key)


def _definitions(call: Call, segments: Sequence[Segment]) -> Response:
    schema = call.schema
    shapes = _table_shapes(schema)
    expansions = {
        name: _table_expansion(schema, name)
        for name in ("Attributes", "Keys", "OneToManyRelationships", "ManyToOneRelationships", _MANY_TO_MANY)
    }
    kind = Kind("EntityDefinitions", "EntityMetadata", expansions)
    root = segments[0]
    if len(segments) == 1:
        return shapes_answer(call, shapes, kind, root.key)
    if root.key is None:
        raise unknown_segment(segments[1].name)
    shape = one(shapes, root.key)
    table = schema.tables[shape["LogicalName"]]
    part = segments[1]
    if part.name == "Attributes":
        return _attributes(call, table, segments[1:])
    if part.name in expansions:
        found, type_name = expansions[part.name](shape)
        cast = segments[2:] and segments[2].name == f"{_PREFIX}{type_name}"
        if len(segments) > (3 if cast else 2):
            raise unknown_segment(segments[-1].name)
        inner = Kind(f"EntityDefinitions('{table.name}')/{part.name}", type_name, {})
        return shapes_answer(call, found, inner, part.key or (segments[2].key if cast else None))
    return part_answer(call, shape, segments[1:], kind)


@lru_cache(maxsize=16)
def _table_shapes(schema: Schema) -> list[Shape]:
    """Kept: no schema is changed in place, and nobody changes a shape."""
    return [table_shape(table) for table in schema.tables.values()]


@lru_cache(maxsize=128)
def _attribute_shapes(schema: Schema, name: str, cast_to: str | None, *, whole: bool) -> list[Shape]:
    """The attributes of a table as they are, or those of one metadata type cast to it; kept as `_table_shapes`."""
    table = schema.tables[name]
    columns = table.columns.values()
    if cast_to is not None:
        return [_cast_shape(table, column) for column in columns if cast_name(column) == cast_to]
    return [attribute_base(table, column) | (attribute_details(column) if whole else {}) for column in columns]


def _table_expansion(schema: Schema, name: str) -> Callable[[Shape], tuple[Json, str]]:
    def expand(shape: Shape) -> tuple[Json, str]:
        table = schema.tables[shape["LogicalName"]]
        if name == "Attributes":
            return _attribute_shapes(schema, table.name, None, whole=False), "AttributeMetadata"
        if name == "Keys":
            return key_shapes(table), "EntityKeyMetadata"
        if name == _MANY_TO_MANY:
            return [], "ManyToManyRelationshipMetadata"
        build = one_to_many if name == "OneToManyRelationships" else many_to_one
        return build(schema, table), "OneToManyRelationshipMetadata"

    return expand


def _attributes(call: Call, table: Table, segments: Sequence[Segment]) -> Response:
    """`Attributes`, with a key, a cast, or both, and a choice at the end."""
    rest = list(segments[1:])
    key = segments[0].key
    cast = rest.pop(0) if rest and rest[0].name.startswith(_PREFIX) else None
    context = f"EntityDefinitions('{table.name}')/Attributes"
    if cast is None:
        cast_to, kind = None, Kind(context, "AttributeMetadata", {})
    else:
        key = key or cast.key
        cast_to = cast.name.removeprefix(_PREFIX)
        if cast_to not in ATTRIBUTE_CASTS:
            raise unknown_segment(cast.name)
        kind = Kind(f"{context}/{cast.name}", cast_to, _attribute_expansions(table))
    shapes = _attribute_shapes(call.schema, table.name, cast_to, whole=bool(key))
    if rest and not key:
        raise unknown_segment(rest[0].name)
    if rest:
        return part_answer(call, one(shapes, key or ""), rest, kind)
    return shapes_answer(call, shapes, kind, key)


def _cast_shape(table: Table, column: Column) -> Shape:
    shape = attribute_base(table, column) | attribute_details(column)
    del shape["@odata.type"]  # the type is in the context after a cast
    return shape


def _attribute_expansions(table: Table) -> Mapping[str, Callable[[Shape], tuple[Json, str]]]:
    def options(shape: Shape) -> tuple[Json, str]:
        return option_set(table, table.columns[shape["LogicalName"]]), "OptionSetMetadata"

    def shared(shape: Shape) -> tuple[Json, str]:
        # A local choice has no global one; the options of a global one are shown in both places (section 13.1).
        column = table.columns[shape["LogicalName"]]
        return (option_set(table, column) if column.global_options is not None else None), "OptionSetMetadata"

    return {"OptionSet": options, "GlobalOptionSet": shared}
