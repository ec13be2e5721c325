"""Metadata objects as answers: one by its key, a filtered list, a part of one; select and expand (section 13)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from include.sandbox.dynamics.addresses import Segment
from include.sandbox.dynamics.call import Call
from include.sandbox.dynamics.errors import SYNTAX, ServiceError, bad_query, unknown_property, unknown_segment
from include.sandbox.dynamics.metadata_filters import metadata_filter
from include.sandbox.dynamics.query_options import split
from include.sandbox.dynamics.values import parse_guid
from include.sandbox.service import Json, Response

_OPTION_PROPERTIES = frozenset({"OptionSet", "GlobalOptionSet"})
_KEYS = frozenset({"LogicalName", "SchemaName", "Name", "MetadataId"})

Shape = dict[str, Json]
Options = Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Kind:
    """What a list of shapes is: its name in contexts and errors, and how to expand one of them."""

    context: str
    type_name: str
    expansions: Mapping[str, Callable[[Shape], tuple[Json, str]]]


def part_answer(call: Call, shape: Shape, rest: Sequence[Segment], kind: Kind) -> Response:
    """A property of one object, and what lies in it: `DisplayName/UserLocalizedLabel/Label`, `OptionSet/Options`."""
    name = rest[0].name
    key = shape.get("LogicalName") or shape["MetadataId"]
    context = f"{call.root}$metadata#{kind.context}('{key}')/{'/'.join(segment.name for segment in rest)}"
    if name in _OPTION_PROPERTIES and name in kind.expansions:
        found, type_name = kind.expansions[name](shape)
        if found is None:
            return Response(204)
        if len(rest) == 1:
            selected = _shown(found, Kind(context, type_name, {}), {"$select": call.option("$select")}, call.aliases())
            return call.json(200, {"@odata.context": f"{context}/$entity", **selected})
    elif name in shape:
        found = shape[name]
    else:
        raise unknown_segment(name)
    raw = rest[-1].name == "$value"
    for segment in rest[1 : len(rest) - raw]:
        if not isinstance(found, Mapping) or segment.name not in found:
            raise unknown_segment(segment.name)
        found = found[segment.name]
    if found is None:
        return Response(204)
    if raw and not isinstance(found, Mapping | list):
        text = str(found).lower() if isinstance(found, bool) else str(found)
        return Response(200, text.encode(), [("Content-Type", "text/plain")])
    return call.json(200, {"@odata.context": context, "value": found})


def one(shapes: Sequence[Shape], key: str) -> Shape:
    """The object of a key: a bare metadata id, or `LogicalName='lead'` and its like; raises 400 and 404."""
    name, equals, value = (text.strip() for text in key.partition("="))
    guid = parse_guid(value if equals else name)
    if not equals and guid is not None:
        name, wanted = "MetadataId", guid
    elif name == "MetadataId" and guid is not None:
        wanted = guid
    elif equals and name in _KEYS and len(value) > 1 and value[0] == value[-1] == "'":
        wanted = value[1:-1].replace("''", "'").lower()
    else:
        raise ServiceError(400, SYNTAX, "Bad Request - Error in query syntax.")
    for shape in shapes:
        if name in shape and str(shape[name]).lower() == wanted:
            return shape
    raise ServiceError(404, "0x80060888", f"Could not find an entity or attribute with specified key: {key}")


def shapes_answer(call: Call, shapes: Sequence[Shape], kind: Kind, key: str | None) -> Response:
    """One object by its key, or all that the filter lets through."""
    options = {name: call.option(name) for name in ("$select", "$filter", "$expand")}
    select = _context(options)
    context = f"{call.root}$metadata#{kind.context}{select}"
    if key is not None:
        shape = _shown(one(shapes, key), kind, options, call.aliases())
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


def _list(shapes: Sequence[Shape], kind: Kind, options: Options, aliases: Mapping[str, str]) -> list[Shape]:
    if options.get("$filter"):
        predicate = metadata_filter(options["$filter"] or "", aliases, kind.type_name)
        shapes = [shape for shape in shapes if predicate(shape)]
    return [_shown(shape, kind, options, aliases) for shape in shapes]


def _shown(shape: Shape, kind: Kind, options: Options, aliases: Mapping[str, str]) -> Shape:
    shown = dict(shape)
    if (options.get("$select") or "*").strip() != "*":
        names = [name.strip() for name in (options["$select"] or "").split(",")]
        for name in names:
            if name not in shape:
                raise unknown_property(name, kind.type_name)
        kept = {*names, "MetadataId", "@odata.type"}
        shown = {name: value for name, value in shape.items() if name in kept}
    for part in split(options.get("$expand") or "", ","):
        name, opened, rest = part.strip().partition("(")
        if name not in kind.expansions:
            raise unknown_property(name, kind.type_name)
        found, type_name = kind.expansions[name](shape)
        inner = _sub_options(rest[:-1]) if opened else {}
        nested = Kind(name, type_name, {})
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
