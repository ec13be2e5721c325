"""Resource paths: segments, keys, row addresses (section 3.1)."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from include.sandbox.dynamics.collation import fold
from include.sandbox.dynamics.documents import Row, extract, fetch, row_from
from include.sandbox.dynamics.errors import SYNTAX, ServiceError, bad_query, missing_alternate_row
from include.sandbox.dynamics.live_schema import key_expression
from include.sandbox.dynamics.schema import Column, Schema, Table
from include.sandbox.dynamics.values import parse_guid, stored
from include.sandbox.service import Json


class _Quoted(str):
    """A key value that stood in quotes: for text columns only."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Segment:
    """One part of a path: `leads`, or `leads(<key>)` with the text between the parentheses."""

    name: str
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Key:
    """A row's key: a GUID, or the values of an alternate key with the text they came in."""

    guid: str | None = None
    values: tuple[tuple[str, Json], ...] = ()
    text: str = ""


def parse_path(path: str) -> list[Segment]:
    """Segments of a decoded path below the service root."""
    return [_segment(part) for part in _parts(path) if part]


def _parts(path: str) -> list[str]:
    parts, depth, quoted = [""], 0, False
    for char in path:
        if char == "'":
            quoted = not quoted
        elif not quoted:
            depth += {"(": 1, ")": -1}.get(char, 0)
        if char == "/" and not quoted and depth == 0:
            parts.append("")
        else:
            parts[-1] += char
    return parts


def _segment(part: str) -> Segment:
    name, opened, rest = part.partition("(")
    if not opened:
        return Segment(part)
    if not rest.endswith(")"):
        raise ServiceError(400, "0x8006088a", "Bad Request - Error in query syntax.")
    return Segment(name, rest[:-1])


def parse_key(table: Table, text: str) -> Key:
    """The key in `leads(...)`; raises the service's error for what is neither GUID nor defined key (V45)."""
    guid = parse_guid(text.strip())
    if guid is not None:
        return Key(guid)
    pairs = _pairs(table, text)
    # A GUID stands without quotes (section 18); users and teams have no key by name (section 6).
    quoted = text.partition("=")[2].strip().startswith("'")
    if len(pairs) == 1 and table.key in pairs and not quoted and table.name not in {"systemuser", "team"}:
        guid = parse_guid(str(pairs[table.key]))
        if guid is not None:
            return Key(guid)
    unknown = [name for name in pairs if name not in table.by_wire]
    if unknown:
        raise _invalid_key(table)
    for name, value in pairs.items():
        if not _fits(table, table.by_wire[name], value):
            raise ServiceError(400, SYNTAX, "Bad Request - Error in query syntax.")
    names = {table.by_wire[name].name for name in pairs}
    if not any(names == set(key.columns) for key in table.keys):
        text = f"The specified key attributes are not a defined key for the {table.name} entity"
        raise ServiceError(400, "0x80060890", text)
    values = ((table.by_wire[n].name, str(v) if isinstance(v, _Quoted) else v) for n, v in pairs.items())
    return Key(None, tuple(values), text)


def _fits(table: Table, column: Column, value: Json) -> bool:
    """Whether a key value is one that the column may hold: text in quotes, everything else without."""
    if column.edm == "Edm.String" or isinstance(value, _Quoted):
        return column.edm == "Edm.String" and isinstance(value, _Quoted)
    if column.is_lookup:
        return parse_guid(str(value)) is not None
    try:
        return stored(table, column, str(value)) is not None
    except ServiceError:
        return False


def _invalid_key(table: Table) -> ServiceError:
    return bad_query(
        f"The key in the request URI is not valid for resource 'Microsoft.Dynamics.CRM.{table.name}'. Ensure that the "
        "names and number of key properties match the declared or alternate key properties for the resource."
    )


def _pairs(table: Table, text: str) -> dict[str, Json]:
    pairs: dict[str, Json] = {}
    for part in _split_outside_quotes(text):
        name, equals, value = part.partition("=")
        if not equals or not name.strip().isidentifier():
            raise _invalid_key(table)
        pairs[name.strip()] = _key_value(value.strip())
    return pairs


def _split_outside_quotes(text: str) -> list[str]:
    parts, quoted = [""], False
    for char in text:
        quoted ^= char == "'"
        if char == "," and not quoted:
            parts.append("")
        else:
            parts[-1] += char
    return parts


def _key_value(text: str) -> Json:
    if len(text) >= 2 and text[0] == text[-1] == "'":
        if "'" in text[1:-1].replace("''", ""):
            raise ServiceError(400, SYNTAX, "Bad Request - Error in query syntax.")
        return _Quoted(text[1:-1].replace("''", "'"))
    guid = parse_guid(text)
    if guid is not None:
        return guid
    try:
        return int(text)
    except ValueError:
        try:
            return float(text)
        except ValueError:
            return text


def find(connection: sqlite3.Connection, table: Table, key: Key) -> Row | None:
    """The row of a key, or None."""
    if key.guid is not None:
        return fetch(connection, table, key.guid)
    condition = " AND ".join(f"{key_expression(table, name)} = ?" for name, _ in key.values)
    query = f'SELECT id, version, doc FROM "r_{table.name}" WHERE {condition} LIMIT 1'  # noqa: S608 - own names
    found = connection.execute(query, [fold(value) for _, value in key.values]).fetchone()
    return None if found is None else row_from(table, *found)


def resolve(
    connection: sqlite3.Connection, schema: Schema, root: str, address: str, references: Mapping[str, str]
) -> tuple[Table, str]:
    """Table and id behind a row address: absolute, host-relative, relative, or `$1` (V44, V57).

    The row of a GUID is not checked; that of an alternate key must exist.
    """
    text = address.strip()
    if text.startswith("$"):
        text = references_lookup(references, text)
    segments = parse_path(relative(root, text))
    if len(segments) != 1 or segments[0].key is None or segments[0].name not in schema.by_set:
        raise bad_query(f"Resource not found for the address '{address}'.")
    table = schema.by_set[segments[0].name]
    key = parse_key(table, segments[0].key)
    if key.guid is not None:
        return table, key.guid
    row = find(connection, table, key)
    if row is None:
        raise missing_alternate_row(table.name)
    return table, row.id


def relative(root: str, address: str) -> str:
    """An address below the service root, from any of its spellings: absolute, host-relative, relative."""
    text = address.strip().removeprefix(root)
    marker = text.find("/api/data/v9.")
    if marker >= 0:
        text = text[marker:].split("/", 4)[-1]
    return unquote(text.strip("/"))


def references_lookup(references: Mapping[str, str], text: str) -> str:
    """The address that an earlier part of the change set left under `$n`, the rest of the path kept."""
    name, slash, rest = text.partition("/")
    if name not in references:
        detail = f"Content-ID Reference: '{name}' does not exist in the batch context."
        raise ServiceError(400, "0x80048d19", detail)
    return f"{references[name]}{slash}{rest}"


def children(connection: sqlite3.Connection, table: Table, column: str, parent: str) -> list[Row]:
    """Rows whose lookup points to `parent`."""
    found = connection.execute(
        f'SELECT id, version, doc FROM "r_{table.name}" WHERE {extract(table, column)} = ?',  # noqa: S608 - own names
        (parent,),
    ).fetchall()
    return [row_from(table, *entry) for entry in found]
