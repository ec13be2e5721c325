"""Values as they stand in an answer, still JSON, into Arrow columns.

The quick way writes a page's values as separated lines, which are the same bytes, and lets pyarrow's CSV reader make
typed columns of them in one go. It is taken only where both notations mean the same; whatever it does not understand
goes the slow way, column by column, and whatever that does not understand is an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation, localcontext
from functools import lru_cache
from typing import Any, Final, Literal

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

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

NULL: Final = msgspec.Raw(b"null")
_TENTH: Final = Decimal("1E-10")
_BETWEEN: Final = b"\x1f"  # no JSON text holds a control character, so this separates values without doubt
_NESTED: Final = (b"\x1f{", b"\x1f[", b"\n{", b"\n[")
_CODES: Final = re.compile(rb"(?:\\u[0-9a-fA-F]{4})+")
_CONTROL: Final = re.compile(rb'[\x00-\x1f"\\]')
_LONG: Final = r"[eE]|.{39}"
_BOOLEAN: Final = {"true": True, "false": False, "1": True, "0": False}

texts_in: Final = msgspec.json.Decoder(list[str | None]).decode


def at_once(cells: Sequence[Sequence[msgspec.Raw]], wires: tuple[Wire, ...]) -> list[pa.ChunkedArray] | None:
    """Rows of values as typed columns; None if only the slow way can tell."""
    lines = b"\n".join([_BETWEEN.join(row) for row in cells])
    if (b"{" in lines or b"[" in lines) and _nested(lines):
        return None
    plain = _unescaped(lines)
    if plain is None:
        return None
    read, parse, convert = _options(wires)
    read.block_size = len(plain) + 1
    try:
        found = csv.read_csv(pa.py_buffer(plain), read, parse, convert)
        if found.num_rows != len(cells):
            return None
        return [
            decimals(column.combine_chunks()) if wire == "number" else column
            for column, wire in zip(found.columns, wires, strict=True)
        ]
    except (pa.ArrowException, InvalidOperation):
        return None


def one_column(values: Sequence[msgspec.Raw], wire: Wire) -> pa.Array:
    """The values of one column.

    Raises:
        MsgspecError, ArrowException, ValueError, ArithmeticError: a value that is none of this kind, or does not fit.
    """
    if wire == "text":
        try:
            return pa.array(texts_in(b"[" + b",".join(values) + b"]"), ARROW[wire])
        except msgspec.ValidationError:
            return pa.array([_scalar(value) for value in values], ARROW[wire])
    spelled = [_scalar(value) for value in values]
    if wire == "number":
        return decimals(pa.array(spelled, pa.string()))
    convert: Callable[[str], Any] = _whole if wire == "integer" else _BOOLEAN.__getitem__
    try:
        return pa.array([None if each is None else convert(each) for each in spelled], ARROW[wire])
    except KeyError:
        raise ValueError("neither true nor false") from None


def decimals(spelled: pa.Array) -> pa.Array:
    """Texts to exact decimals; more than ten places are rounded half even.

    pyarrow's cast ends the process on exponents like 1e-999999999, and overflows silently on very long digits: such
    texts go through Python.

    Raises:
        InvalidOperation, ArrowInvalid: a text is no number, or too large a one.
    """
    if not pc.any(pc.match_substring_regex(spelled, _LONG)).as_py():
        try:
            return pc.cast(spelled, NUMBER)
        except pa.ArrowInvalid:
            pass  # more than ten places, or no number at all
    return pa.array([None if text is None else exact(text) for text in spelled.to_pylist()], NUMBER)


def exact(text: str) -> Decimal:
    """One finite number with at most ten decimal places."""
    with localcontext() as context:
        context.prec = 60
        found = Decimal(text).quantize(_TENTH)
    if not found.is_finite():
        raise InvalidOperation("not a finite number")
    return found


def _whole(text: str) -> int:
    """A whole number; 5.0 is 5, 5.5 is an error."""
    found = exact(text)
    if found != found.to_integral_value():
        raise ValueError("not a whole number")
    return int(found)


def _scalar(value: msgspec.Raw) -> str | None:
    """The text of a JSON text, the spelling of a number or boolean; quoted digits are digits (dataverse-api §11.2)."""
    spelled = bytes(value)
    if spelled == b"null":
        return None
    if spelled.startswith(b'"'):
        return msgspec.json.decode(spelled, type=str)
    if spelled.startswith((b"{", b"[")):
        raise ValueError("not a single value")
    return spelled.decode()


@lru_cache(maxsize=64)
def _options(wires: tuple[Wire, ...]) -> tuple[csv.ReadOptions, csv.ParseOptions, csv.ConvertOptions]:
    names = [f"c{index}" for index in range(len(wires))]
    kinds = {name: pa.string() if wire == "number" else ARROW[wire] for name, wire in zip(names, wires, strict=True)}
    return (
        csv.ReadOptions(use_threads=False, column_names=names),
        csv.ParseOptions(delimiter=_BETWEEN.decode(), double_quote=False, escape_char="\\", newlines_in_values=True),
        csv.ConvertOptions(
            column_types=kinds,
            null_values=["null"],
            true_values=["true", "1"],
            false_values=["false", "0"],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )


def _nested(lines: bytes) -> bool:
    return lines.startswith((b"{", b"[")) or any(opening in lines for opening in _NESTED)


def _unescaped(lines: bytes) -> bytes | None:
    """JSON's escapes as the reader understands them: an escaped quote alone; None where that cannot be had."""
    if b"\\" not in lines or lines.count(b"\\") == lines.count(b'\\"'):
        return lines
    if b"\\\\" in lines:  # from here on every backslash begins an escape
        return None
    for escape, meant in ((b"\\n", b"\n"), (b"\\r", b"\r"), (b"\\t", b"\t"), (b"\\/", b"/")):
        lines = lines.replace(escape, meant)
    if b"\\u" in lines:
        try:
            lines = _CODES.sub(_characters, lines)
        except ValueError:
            return None
    return lines if lines.count(b"\\") == lines.count(b'\\"') else None


def _characters(codes: re.Match[bytes]) -> bytes:
    characters = msgspec.json.decode(b'"' + codes[0] + b'"', type=str).encode()
    if _CONTROL.search(characters):
        raise ValueError("a character that means something to the reader")
    return characters
