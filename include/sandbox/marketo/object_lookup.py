"""How a call names objects: comparison keys, filterType and filterValues (vendor page Lead Database)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from include.sandbox.marketo.object_kinds import Kind
from include.sandbox.marketo.values import shown
from include.sandbox.marketo.wire import PAGE, Call, Refusal, Skip, too_many
from include.sandbox.service import Json


def key_of(kind: Kind, record: Mapping[str, Json], by: str) -> str:
    """The comparison key of a record; each of its fields must be there (1002)."""
    names = kind.dedupe if by == "dedupeFields" else (kind.id_field,)
    for name in names:
        if record.get(name) in (None, ""):
            raise Skip("1002", f"Missing value for required parameter '{name}'")
    return msgspec.json.encode([shown(record[name]) for name in names]).decode()


def condition_of(kind: Kind, call: Call, body: Mapping[str, Json]) -> tuple[str, list[Json]]:
    """The SQL condition of filterType and filterValues, or of the input of a compound key."""
    wanted = body.get("filterType") or call.required("filterType")
    names = kind.alias(wanted) if isinstance(wanted, str) else ()
    if not names:
        raise Refusal("1011", f"Field '{shown(wanted)}' not supported")
    if len(names) > 1:
        try:
            keys = [key_of(kind, record, "dedupeFields") for record in call.input(body, "Records not specified")]
        except Skip as skip:
            raise Refusal(skip.code, skip.message) from skip
        return f"key IN ({', '.join('?' * len(keys))})", list(keys)
    values = list(dict.fromkeys(call.many("filterValues")))
    if not values:
        raise Refusal("1003", "filterValues not specified")
    too_many(len(values), PAGE, "filterValues")
    return _column(kind, names[0], values)


def _column(kind: Kind, name: str, values: Iterable[str]) -> tuple[str, list[Json]]:
    values = list(values)
    places = ", ".join("?" * len(values))
    if name == kind.id_field:
        return f"{'guid' if name == 'marketoGUID' else 'id'} IN ({places})", list(values)
    if kind.dedupe == (name,):
        return f"key IN ({places})", [msgspec.json.encode([value]).decode() for value in values]
    return f"CAST(json_extract(doc, '$.{name}') AS TEXT) IN ({places})", list(values)
