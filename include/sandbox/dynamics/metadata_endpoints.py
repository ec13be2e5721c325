"""EntityDefinitions and its parts (section 13, V60)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from include.sandbox.dynamics.addresses import Segment
from include.sandbox.dynamics.call import Call
from include.sandbox.dynamics.errors import ServiceError, bad_query, method_not_allowed, unknown_segment
from include.sandbox.dynamics.metadata_filters import metadata_filter
from include.sandbox.dynamics.metadata_relationships import all_relationships, many_to_one, one_to_many
from include.sandbox.dynamics.metadata_shapes import (
    attribute_base,
    attribute_details,
    cast_name,
    global_choices,
    key_shapes,
    option_set,
    table_shape,
)
from include.sandbox.dynamics.query_options import split
from include.sandbox.dynamics.schema import Column, Schema, Table
from include.sandbox.service import Json, Response

METADATA_ROOTS = frozenset({"EntityDefinitions", "GlobalOptionSetDefinitions", "RelationshipDefinitions"})
_PREFIX = "Microsoft.Dynamics.CRM."
_FORBIDDEN = ("$top", "$skip", "$orderby", "$count", "$apply", "$search")
_CASTS = {
    "RelationshipDefinitions": {"OneToManyRelationshipMetadata", "ManyToManyRelationshipMetadata"},
    "GlobalOptionSetDefinitions": {"OptionSetMetadata", "BooleanOptionSetMetadata"},
}
_OPTION_PROPERTIES = frozenset({"OptionSet", "GlobalOptionSet"})

Shape = dict[str, Json]
Options = Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class _Kind:
    """What a list of shapes is: its name in contexts and errors, and how to expand one of them."""

    context: str
    type_name: str
    expansions: Mapping[str, Callable[[Shape], tuple[Json, str]]]


def metadata(call: Call, segments: Sequence[Segment]) -> Response:
    """Answer a GET on the metadata collections; they are read-only here and never paged."""
    if call.method != "GET":
        raise method_not_allowed(call.method)
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
    kind = _Kind(context, type_name, {})
    if rest and not key:
        raise unknown_segment(rest[0].name)
    if rest:
        return _part(call, _one(shapes, key or ""), rest, kind)
    return _answer(call, shapes, kind, key)


def _definitions(call: Call, segments: Sequence[Segment]) -> Response:
    schema = call.schema
    shapes = [table_shape(table) for table in schema.tables.values()]
    expansions = {
        name: _table_expansion(schema, name)
        for name in ("Attributes", "Keys", "OneToManyRelationships", "ManyToOneRelationships")
    }
    kind = _Kind("EntityDefinitions", "EntityMetadata", expansions)
    root = segments[0]
    if len(segments) == 1:
        return _answer(call, shapes, kind, root.key)
    shape = _one(shapes, root.key or "")
    table = schema.tables[shape["LogicalName"]]
    part = segments[1]
    if part.name == "Attributes":
        return _attributes(call, table, segments[1:])
    context = f"EntityDefinitions('{table.name}')/{part.name}"
    if part.name == "ManyToManyRelationships":
        return _answer(call, [], _Kind(context, "ManyToManyRelationshipMetadata", {}), part.key)
    if part.name in expansions:
        found, type_name = expansions[part.name](shape)
        return _answer(call, found, _Kind(context, type_name, {}), part.key)
    if part.name in shape:
        return call.json(200, {"@odata.context": f"{call.root}$metadata#{context}", "value": shape[part.name]})
    raise unknown_segment(part.name)


def _table_expansion(schema: Schema, name: str) -> Callable[[Shape], tuple[Json, str]]:
    def expand(shape: Shape) -> tuple[Json, str]:
        table = schema.tables[shape["LogicalName"]]
        if name == "Attributes":
            return [attribute_base(table, column) for column in table.columns.values()], "AttributeMetadata"
        if name == "Keys":
            return key_shapes(table), "EntityKeyMetadata"
        build = one_to_many if name == "OneToManyRelationships" else many_to_one
        return build(schema, table), "OneToManyRelationshipMetadata"

    return expand


def _attributes(call: Call, table: Table, segments: Sequence[Segment]) -> Response:
    """`Attributes`, with a key, a cast, or both, and a choice at the end."""
    rest = list(segments[1:])
    key = segments[0].key
    cast = rest.pop(0) if rest and rest[0].name.startswith(_PREFIX) else None
    columns = list(table.columns.values())
    context = f"EntityDefinitions('{table.name}')/Attributes"
    if cast is None:
        shape_of = (lambda c: attribute_base(table, c) | attribute_details(c)) if key else None
        shapes = [(shape_of or (lambda c: attribute_base(table, c)))(column) for column in columns]
        kind = _Kind(context, "AttributeMetadata", {})
    else:
        key = key or cast.key
        type_name = cast.name.removeprefix(_PREFIX)
        columns = [column for column in columns if cast_name(column) == type_name]
        if not type_name.endswith("AttributeMetadata") or type_name == "EnumAttributeMetadata":
            raise unknown_segment(cast.name)
        shapes = [_cast_shape(table, column) for column in columns]
        kind = _Kind(f"{context}/{cast.name}", type_name, _attribute_expansions(table))
    if rest and not key:
        raise unknown_segment(rest[0].name)
    if rest:
        return _part(call, _one(shapes, key or ""), rest, kind)
    return _answer(call, shapes, kind, key)


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


def _part(call: Call, shape: Shape, rest: Sequence[Segment], kind: _Kind) -> Response:
    name = rest[0].name
    key = shape.get("LogicalName") or shape["MetadataId"]
    context = f"{call.root}$metadata#{kind.context}('{key}')/{name}"
    if name in _OPTION_PROPERTIES and name in kind.expansions:
        found, type_name = kind.expansions[name](shape)
        if found is None:
            return Response(204)
        selected = _shown(found, _Kind(context, type_name, {}), {"$select": call.option("$select")}, call.aliases())
        return call.json(200, {"@odata.context": f"{context}/$entity", **selected})
    if name in shape:
        return call.json(200, {"@odata.context": context, "value": shape[name]})
    raise unknown_segment(name)


def _one(shapes: Sequence[Shape], key: str) -> Shape:
    name, equals, value = key.partition("=")
    wanted = value.strip("'") if equals else key.strip("'")
    names = (name,) if equals else ("MetadataId", "LogicalName", "SchemaName", "Name")
    for shape in shapes:
        if any(entry in shape and str(shape[entry]).lower() == wanted.lower() for entry in names):
            return shape
    text = f"Could not find an entity or attribute with specified key: {key}"
    raise ServiceError(404, "0x80060888", text)


def _answer(call: Call, shapes: Sequence[Shape], kind: _Kind, key: str | None) -> Response:
    options = {name: call.option(name) for name in ("$select", "$filter", "$expand")}
    select = _context(options)
    context = f"{call.root}$metadata#{kind.context}{select}"
    if key is not None:
        shape = _shown(_one(shapes, key), kind, options, call.aliases())
        return call.json(200, {"@odata.context": f"{context}/$entity", **shape})
    value = _list(shapes, kind, options, call.aliases())
    return call.json(200, {"@odata.context": context, "value": value})


def _context(options: Options) -> str:
    """What the context lists: selected properties, then expanded ones with theirs."""
    names = [name.strip() for name in (options.get("$select") or "").split(",") if name.strip()]
    for part in split(options.get("$expand") or "", ","):
        name, opened, rest = part.strip().partition("(")
        inner = _context(_sub_options(rest[:-1])) if opened else ""
        names.append(f"{name}{inner or '()'}")
    return f"({','.join(names)})" if names else ""


def _list(shapes: Sequence[Shape], kind: _Kind, options: Options, aliases: Mapping[str, str]) -> list[Shape]:
    if options.get("$filter"):
        predicate = metadata_filter(options["$filter"] or "", aliases, kind.type_name)
        shapes = [shape for shape in shapes if predicate(shape)]
    return [_shown(shape, kind, options, aliases) for shape in shapes]


def _shown(shape: Shape, kind: _Kind, options: Options, aliases: Mapping[str, str]) -> Shape:
    shown = dict(shape)
    if options.get("$select"):
        names = [name.strip() for name in (options["$select"] or "").split(",")]
        for name in names:
            if name not in shape:
                text = f"Could not find a property named '{name}' on type 'Microsoft.Dynamics.CRM.{kind.type_name}'."
                raise bad_query(text)
        kept = {*names, "MetadataId", "@odata.type"}
        shown = {name: value for name, value in shape.items() if name in kept}
    for part in split(options.get("$expand") or "", ","):
        name, opened, rest = part.strip().partition("(")
        if name not in kind.expansions:
            text = f"Could not find a property named '{name}' on type 'Microsoft.Dynamics.CRM.{kind.type_name}'."
            raise bad_query(text)
        found, type_name = kind.expansions[name](shape)
        inner = _sub_options(rest[:-1]) if opened else {}
        nested = _Kind(name, type_name, {})
        if isinstance(found, list):
            shown[name] = _list(found, nested, inner, aliases)
        else:
            shown[name] = _shown(found, nested, inner, aliases) if found is not None else None
    return shown


def _sub_options(text: str) -> Options:
    options: dict[str, str | None] = {}
    for part in split(text, ";"):
        name, equals, value = part.strip().partition("=")
        if not equals:
            raise bad_query(f"Syntax error: '{part.strip()}' is no query option.")
        options[name] = value
    return options
