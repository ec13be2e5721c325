"""Bodies of writes: parsed, checked against the schema, turned into stored values (sections 5 and 7)."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from include.sandbox.dynamics.addresses import references_lookup, resolve
from include.sandbox.dynamics.call import Call
from include.sandbox.dynamics.documents import exists
from include.sandbox.dynamics.errors import (
    ServiceError,
    bad_payload,
    bad_query,
    invalid_property,
    missing_row,
    secured_column,
    undeclared_property,
    wrong_media_type,
)
from include.sandbox.dynamics.schema import Column, Relationship, Table
from include.sandbox.dynamics.values import stored
from include.sandbox.service import Json

_BIND = "@odata.bind"
_NAMESPACE = "Microsoft.Dynamics.CRM."
_NO_OBJECT = "Microsoft.OData.ODataException: A node of type 'StartObject' was expected."
_NODE = (
    "A node of type '{}' was read from the JSON reader when trying to read the start of an entry. A 'StartObject' node "
    "was expected."
)


@dataclass(slots=True)
class Changes:
    """What a body wants: stored values (None clears), related rows to create, related rows to attach."""

    values: dict[str, Json] = field(default_factory=dict)
    parents: list[tuple[Column, str, Mapping[str, Json]]] = field(default_factory=list)
    children: list[tuple[Relationship, Mapping[str, Json]]] = field(default_factory=list)
    attached: list[tuple[Relationship, str]] = field(default_factory=list)


def parse_body(call: Call, target: str) -> dict[str, Json]:
    """The JSON object of a body; raises 400 for anything else and for a member given twice (section 17).

    `target` is the entity set or the action that the error names.
    """

    def unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
        content = dict(pairs)
        if len(content) != len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            detail = f"Microsoft.OData.ODataException: Multiple properties with the name '{twice}' were detected."
            raise bad_payload(target, detail)
        return content

    media_type = call.headers.get("content-type", "").partition(";")[0].strip()
    if media_type and "json" not in media_type.lower():
        raise wrong_media_type(media_type)
    try:
        content = json.loads(call.body, object_pairs_hook=unique, parse_float=Decimal, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise bad_payload(target, f"Microsoft.OData.ODataException: {_unreadable(call.body)}") from error
    if not isinstance(content, dict):
        node = "StartArray" if isinstance(content, list) else "PrimitiveValue"
        raise bad_payload(target, f"Microsoft.OData.ODataException: {_NODE.format(node)}")
    return content


def parse_parameters(call: Call, action: str, known: Collection[str], target: str | None = None) -> dict[str, Json]:
    """The parameters of an action; raises 400 for one that it does not have."""
    body = parse_body(call, target or action)
    unknown = [name for name in body if "@" not in name and name not in known]
    if unknown:
        detail = f"The parameter '{unknown[0]}' in the request payload is not a valid parameter for the operation"
        raise bad_payload(target or action, f"Microsoft.OData.ODataException: {detail} '{action}'.")
    return body


def _unreadable(body: bytes) -> str:
    """Why a body is no JSON, in the words of the OData library; which of its texts fits best is not documented."""
    return (
        "Invalid JSON. A token was not recognized in the JSON content." if body.strip() else _NODE.format("EndOfInput")
    )


def _no_constant(name: str) -> Json:
    message = f"{name} is not JSON"
    raise ValueError(message)


class PayloadReader:
    """Reads bodies for one table; `create` decides which columns are ignored (V34)."""

    def __init__(self, call: Call, connection: sqlite3.Connection, table: Table, *, create: bool) -> None:
        self._call = call
        self._connection = connection
        self._table = table
        self._create = create

    def read(self, body: Mapping[str, Json]) -> Changes:
        """All members in order; the first that is wrong raises."""
        changes = Changes()
        for name, value in body.items():
            if "@" in name:
                self._annotation(changes, name, value)
            else:
                self._member(changes, name, value)
        return changes

    def _annotation(self, changes: Changes, name: str, value: Json) -> None:
        if name.startswith("@"):
            if "." not in name:
                detail = f"Microsoft.OData.ODataException: '{name}' is an invalid instance annotation name."
                raise bad_payload(self._table.set, detail)
            if name == "@odata.type":
                self._check_type(value)
            return
        if not name.endswith(_BIND):
            return  # annotations of a property that the client read are tolerated
        target = name.removesuffix(_BIND)
        if target in self._table.navigation:
            column, wanted = self._table.navigation[target]
            self._bind(changes, column, wanted, value)
            return
        relationship = self._call.schema.collections(self._table.name).get(target)
        if relationship is None:
            raise undeclared_property(self._table.set, target)
        for address in value if isinstance(value, list) else [value]:
            table, row_id = self._resolve(address)
            if table.name != relationship.child:
                raise bad_query(f"The address '{address}' is not of type {relationship.child}.")
            changes.attached.append((relationship, row_id))

    def _check_type(self, value: Json) -> None:
        """A row says its type with or without `#`; that of another table does not fit."""
        kind = str(value).removeprefix("#")
        if kind != f"{_NAMESPACE}{self._table.name}":
            detail = (
                f"Microsoft.OData.ODataException: A type named '{kind}' could not be resolved by the model or is not "
                f"assignable to the expected type '{_NAMESPACE}{self._table.name}'."
            )
            raise bad_payload(self._table.set, detail)

    def _member(self, changes: Changes, name: str, value: Json) -> None:
        table = self._table
        column = table.columns.get(name)
        if name in table.navigation and (column is None or column.is_lookup):
            self._navigation(changes, name, value)
            return
        relationship = self._call.schema.collections(table.name).get(name)
        if relationship is not None and isinstance(value, list):
            changes.children += [(relationship, self._nested(child)) for child in value]
            return
        if column is None or column.type == "EntityName" or (column.is_lookup and column.navigation):
            raise invalid_property(table.set, table.name, name)
        if self._settable(column):
            changes.values[name] = stored(table, column, value)

    def _nested(self, value: Json) -> Mapping[str, Json]:
        if not isinstance(value, dict):
            raise bad_payload(self._table.set, _NO_OBJECT)
        return value

    def _settable(self, column: Column) -> bool:
        settable = column.create if self._create else column.update
        verb = "create" if self._create else "update"
        if settable and (column.name, verb) in self._table.denied:
            raise secured_column(verb)
        return settable

    def _navigation(self, changes: Changes, name: str, value: Json) -> None:
        column, target = self._table.navigation[name]
        if isinstance(value, dict):
            changes.parents.append((column, target, value))
        elif value is None:
            self._bind(changes, column, target, None)
        else:
            stored(self._table, column, value)

    def _bind(self, changes: Changes, column: Column, wanted: str, address: Json) -> None:
        if address is None:
            cleared = stored(self._table, column, None)
            if self._settable(column):
                changes.values[column.name] = cleared
            return
        table, row_id = self._resolve(address)
        if table.name != wanted and not (wanted == "owner" and table.name in column.targets):
            raise bad_query(f"The address '{address}' is not of type {wanted}.")
        if not exists(self._connection, table, row_id):
            raise missing_row(table.name, row_id)
        if self._settable(column):
            changes.values |= reference_values(self._table, column, table.name, row_id)

    def _resolve(self, address: Json) -> tuple[Table, str]:
        if not isinstance(address, str):
            raise bad_payload(self._table.set, "Microsoft.OData.ODataException: a bind wants the address of a row.")
        return resolve(self._connection, self._call.schema, self._call.root, address, self._call.references)


def reference_values(table: Table, column: Column, target: str, row_id: str) -> dict[str, Json]:
    """A lookup's value with its companion that names the table."""
    values: dict[str, Json] = {column.name: row_id}
    if f"{column.name}type" in table.columns:
        values[f"{column.name}type"] = target
    return values


def referenced_row(call: Call, connection: sqlite3.Connection, table: Table) -> tuple[Table, str]:
    """Table and id in the `@odata.id` of a `$ref` body."""
    body = parse_body(call, table.set)
    address = body.get("@odata.id")
    if not isinstance(address, str):
        raise ServiceError(400, "0x80048d19", "The '@odata.id' of the reference is missing.")
    if address.startswith("$"):
        address = references_lookup(call.references, address)
    target, row_id = resolve(connection, call.schema, call.root, address, call.references)
    if not exists(connection, target, row_id):
        raise missing_row(target.name, row_id)
    return target, row_id
