"""JSON answers straight into Arrow: typed rows by msgspec, then one array per column.

Missing keys and nulls are both null (Marketo leaves empty fields out or sends null, facts/marketo-api §5.2). Numbers
keep their decimal digits: they never pass through a float. A value of the wrong JSON type spoils the answer
(`AnswerMalformed`) instead of becoming a wrong value. pyarrow's own JSON reader is twice as quick but ends the process
on some malformed bodies, so it is not used on what comes from outside.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation, localcontext
from functools import lru_cache
from typing import Any, Final, Literal, NamedTuple, TypeVar

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from include.leadsync.errors import AnswerMalformed

Wire = Literal["text", "integer", "number", "boolean"]
"""How a column travels: JSON string, whole number, number, boolean."""

NUMBER: Final = pa.decimal128(38, 10)
"""Ten decimal places: the most that a Dynamics column may have (dataverse-api §14, exchangerate apart)."""

ARROW: Final[Mapping[Wire, pa.DataType]] = {
    "text": pa.string(),
    "integer": pa.int64(),
    "number": NUMBER,
    "boolean": pa.bool_(),
}

UTC_SECONDS: Final = pa.timestamp("s", tz="UTC")

_NULL: Final = msgspec.Raw(b"null")
_JSON: Final[Mapping[Wire, Any]] = {
    "text": (str | None, None),
    "integer": (int | float | None, None),
    "number": (msgspec.Raw, _NULL),
    "boolean": (bool | None, None),
}
_BOM: Final = b"\xef\xbb\xbf"
_DIGITS: Final = 38
_TENTH: Final = Decimal("1E-10")

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
    records = read(system, raw, _decoder(columns).decode)
    if not records:
        return schema(columns).empty_table()
    cells = zip(*map(msgspec.structs.astuple, records), strict=True)
    arrays = [_array(system, column, values) for column, values in zip(columns, cells, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema(columns))


def together(tables: Sequence[pa.Table], columns: tuple[Column, ...]) -> pa.Table:
    """Pages as one table, also if there are none."""
    return pa.concat_tables(tables) if tables else schema(columns).empty_table()


def _array(system: str, column: Column, values: Sequence[Any]) -> pa.Array:
    try:
        match column.wire:
            case "number":
                return numbers(values)
            case "integer":
                return integers(values)
            case _:
                return pa.array(values, ARROW[column.wire])
    except (pa.ArrowException, OverflowError, InvalidOperation):
        raise AnswerMalformed(system, f"a value of {column.key} is no {column.wire}", "") from None  # shows the value


def _decoder(columns: tuple[Column, ...]) -> msgspec.json.Decoder[list[msgspec.Struct]]:
    return _cached_decoder(tuple((column.key, column.wire) for column in columns))


@lru_cache(maxsize=64)
def _cached_decoder(members: tuple[tuple[str, Wire], ...]) -> msgspec.json.Decoder[list[msgspec.Struct]]:
    fields = [
        (f"c{index}", _JSON[wire][0], msgspec.field(name=key, default=_JSON[wire][1]))
        for index, (key, wire) in enumerate(members)
    ]
    return msgspec.json.Decoder(list[msgspec.defstruct("Row", fields, gc=False)])  # type: ignore[misc]


def numbers(values: Sequence[msgspec.Raw]) -> pa.Array:
    """Exact decimals from the digits in the answer."""
    joined = b"\n".join(values)
    texts = joined.decode().split("\n")
    plain = b"e" not in joined and b"E" not in joined and max(map(len, texts)) <= _DIGITS
    return decimals(pa.array([None if text == "null" else text for text in texts], pa.string()), plain=plain)


def decimals(spelled: pa.Array, *, plain: bool) -> pa.Array:
    """Texts to exact decimals; more than ten places are rounded half even.

    `plain`: no text has an exponent or more than 38 characters. pyarrow's cast ends the process on exponents like
    1e-999999999, and overflows silently on very long digits.

    Raises:
        InvalidOperation, ArrowInvalid: a text is no number, or too large a one.
    """
    if plain:
        try:
            return pc.cast(spelled, NUMBER)
        except pa.ArrowInvalid:
            pass  # more than ten places, or no number at all
    return pa.array([None if text is None else exact(text) for text in spelled.to_pylist()], NUMBER)


def integers(values: Sequence[float | None]) -> pa.Array:
    """Whole numbers; 5.0 is 5, 5.5 is an error (a typed `pa.array` would cut it silently)."""
    found = pa.array(values)
    return found if found.type == pa.int64() else pc.cast(found, pa.int64())


def exact(text: str) -> Decimal:
    """One number with at most ten decimal places; quoted digits are accepted (dataverse-api §11.2)."""
    with localcontext() as context:
        context.prec = 60
        return Decimal(text.strip('"')).quantize(_TENTH)


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
