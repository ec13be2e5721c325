"""JSON answers straight into Arrow: rows taken apart by msgspec, their values turned into columns by `cells`.

Missing keys and nulls are both null (Marketo leaves empty fields out or sends null, facts/marketo-api §5.2). Numbers
keep their decimal digits: they never pass through a float. A value of another JSON type is read when nothing is lost by
it ("5" for a whole number, 8000 for a text); any other spoils the answer (`AnswerMalformed`) instead of becoming a
wrong value. pyarrow's own JSON reader is twice as quick but ends the process on some malformed bodies, so it is not
used on what comes from outside.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final, NamedTuple, TypeVar

import msgspec
import pyarrow as pa

from include.leadsync.clients.cells import ARROW, NULL, Wire, at_once, one_column
from include.leadsync.errors import AnswerMalformed

UTC_SECONDS: Final = pa.timestamp("s", tz="UTC")

_BOM: Final = b"\xef\xbb\xbf"

__all__ = ["ARROW", "UTC_SECONDS", "Column", "Wire", "excerpt", "read", "rows", "schema", "together"]

T = TypeVar("T")


class Column(NamedTuple):
    """One column: its JSON member, its name in the table, its type."""

    key: str
    name: str
    wire: Wire


@lru_cache(maxsize=64)
def schema(columns: tuple[Column, ...]) -> pa.Schema:
    """The Arrow schema of a table with these columns."""
    return pa.schema([(column.name, ARROW[column.wire]) for column in columns])


def rows(system: str, raw: bytes | msgspec.Raw, columns: tuple[Column, ...]) -> pa.Table:
    """Read a JSON array of objects.

    Raises:
        AnswerMalformed: no such array, a member of the wrong type, a number that does not fit. It shows no value.
    """
    records = read(system, raw, _decoder(tuple(column.key for column in columns)).decode)
    if not records:
        return schema(columns).empty_table()
    wires = tuple(column.wire for column in columns)
    cells = [*map(msgspec.structs.astuple, records)]
    arrays = at_once(cells, wires) or [
        _array(system, column, values) for column, values in zip(columns, zip(*cells, strict=True), strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=schema(columns))


def together(tables: Sequence[pa.Table], columns: tuple[Column, ...]) -> pa.Table:
    """Pages as one table, also if there are none."""
    return pa.concat_tables(tables) if tables else schema(columns).empty_table()


def _array(system: str, column: Column, values: Sequence[msgspec.Raw]) -> pa.Array:
    try:
        return one_column(values, column.wire)
    except (pa.ArrowException, msgspec.MsgspecError, UnicodeDecodeError, OverflowError, ValueError, ArithmeticError):
        raise AnswerMalformed(system, f"a value of {column.key} is no {column.wire}", "") from None  # shows the value


@lru_cache(maxsize=64)
def _decoder(keys: tuple[str, ...]) -> msgspec.json.Decoder[list[msgspec.Struct]]:
    """Rows whose members stay JSON; what is missing is null, what nobody asked for is skipped."""
    fields = [(f"c{index}", msgspec.Raw, msgspec.field(name=key, default=NULL)) for index, key in enumerate(keys)]
    return msgspec.json.Decoder(list[msgspec.defstruct("Row", fields, gc=False)])  # type: ignore[misc]


def read(system: str, body: bytes | msgspec.Raw, decode: Callable[[bytes | msgspec.Raw], T]) -> T:
    """Apply a decoder; whatever it cannot read becomes `AnswerMalformed`.

    A byte order mark is tolerated (O8).
    """
    try:
        return decode(bytes(body)[3:] if bytes(memoryview(body)[:3]) == _BOM else body)
    except msgspec.ValidationError as error:
        raise AnswerMalformed(system, f"not the expected shape: {error}", "") from error
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise AnswerMalformed(system, f"not readable as JSON: {error}", excerpt(body)) from error


_EXCERPT = 80
_TEXT = re.compile(r'"(?:[^"\\]|\\.)*(?:"(\s*:)?|\\?$)')
"""A JSON text, also one that is cut off; the first group tells the name of a member."""


def excerpt(body: bytes | msgspec.Raw) -> str:
    """The beginning of a body, for a message: pages of proxies as they are, of JSON the shape without its values.

    Anything else may be people's data: only its size is told (P10).
    """
    text = bytes(body)[:_EXCERPT].decode("utf-8", "replace").lstrip("\ufeff \r\n\t")
    if text.startswith("<"):
        return text
    if text.startswith(("{", "[")):
        return _TEXT.sub(lambda found: found[0] if found[1] else '"…"', text)
    return f"{len(bytes(body))} bytes that are neither JSON nor a page"
