"""What a field accepts, and the form in which it is stored (facts/marketo-api.md sections 6, 7 and 15; M38, M44).

Stored forms: text as sent, whole numbers as int, others as float, booleans, dates `YYYY-MM-DD`,
datetimes `YYYY-MM-DDTHH:MM:SSZ`; None = empty.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, date, datetime

import msgspec

from include.sandbox.marketo.catalog import Field
from include.sandbox.marketo.wire import Skip
from include.sandbox.service import Json

TEXT_BYTES = 30_000
_EMAIL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+@(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.)+[A-Za-z]{2,}\Z")
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?\Z", re.ASCII)
_INTEGER = re.compile(r"[+-]?\d+\Z", re.ASCII)
_BOOLEANS: dict[Json, bool] = {True: True, False: False, "true": True, "false": False, "1": True, "0": False}


class _Bad(Exception):
    """The value does not fit; the caller says which field and value."""


def accept(field: Field, value: Json, *, truncate: bool = False) -> Json:
    """The stored form of a value sent for a field.

    Empty text is stored as null (section 15). `truncate` cuts text that is too long instead of refusing it.

    Raises:
        Skip: 1003, with the recorded text of 2021.
    """
    if value is None or value == "":
        return None
    try:
        return _READERS[field.data_type](field, value, truncate)
    except _Bad:
        raise Skip("1003", f"Invalid value for field '{field.name}' and value '{shown(value)}'") from None


def shown(value: Json) -> str:
    """A value as an error text quotes it."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _scalar_text(value: Json) -> str:
    # Assumption: numbers and booleans are accepted for text and stored as JSON spells them; lists and objects are not.
    if isinstance(value, (list, dict)):
        raise _Bad
    return shown(value)


def _string(field: Field, value: Json, truncate: bool) -> str:
    text = _scalar_text(value)
    if field.length is not None and len(text) > field.length:
        if not truncate:
            raise _Bad
        text = text[: field.length]
    return text


def _text(_field: Field, value: Json, truncate: bool) -> str:
    text = _scalar_text(value)
    encoded = text.encode()
    if len(encoded) <= TEXT_BYTES:
        return text
    if not truncate:
        raise _Bad
    return encoded[:TEXT_BYTES].decode(errors="ignore")


def _email(field: Field, value: Json, _truncate: bool) -> str:
    # Assumption: an address is never cut, whatever `truncate` says; no quoted local parts, no consecutive dots.
    if not isinstance(value, str) or not _EMAIL.match(value) or len(value) > (field.length or 255) or ".." in value:
        raise _Bad
    return value


def _integer(_field: Field, value: Json, _truncate: bool) -> int:
    if isinstance(value, bool):
        raise _Bad
    if isinstance(value, str) and _INTEGER.match(value):
        value = int(value)
    elif isinstance(value, float) and value.is_integer():
        value = int(value)  # assumption: 14.0 is the number 14 to a JSON reader
    if not isinstance(value, int) or not -(2**63) <= value < 2**63:
        raise _Bad
    return value


def _number(_field: Field, value: Json, _truncate: bool) -> int | float:
    if isinstance(value, str) and _NUMBER.match(value):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise _Bad
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if isinstance(value, int) and abs(value) >= 2**63:
        raise _Bad
    return value


def _boolean(_field: Field, value: Json, _truncate: bool) -> bool:
    key = value.lower() if isinstance(value, str) else value
    if isinstance(key, (list, dict, float)) or key not in _BOOLEANS:
        raise _Bad
    return _BOOLEANS[key]


def _date(_field: Field, value: Json, _truncate: bool) -> str:
    # Assumption: a full datetime is accepted for a date and loses its time of day, without a shift of zone.
    if not isinstance(value, str):
        raise _Bad
    try:
        return date.fromisoformat(value[:10] if "T" in value else value).isoformat()
    except ValueError:
        raise _Bad from None


def _datetime(_field: Field, value: Json, _truncate: bool) -> str:
    moment = parse_moment(value) if isinstance(value, str) else None
    if moment is None:
        raise _Bad
    return moment.replace(microsecond=0, tzinfo=None).isoformat() + "Z"


def parse_moment(text: str) -> datetime | None:
    """ISO 8601 with offset or Z, milliseconds, or a bare date; without a zone it is UTC (assumption)."""
    if len(text) < len("2020-01-01") or text[4:5] != "-":
        return None
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


_READERS: dict[str, Callable[[Field, Json, bool], Json]] = {
    "string": _string, "phone": _string, "url": _string, "text": _text, "email": _email, "integer": _integer,
    "reference": _integer, "percent": _number, "float": _number, "currency": _number, "boolean": _boolean,
    "date": _date, "datetime": _datetime,
}  # fmt: skip


def logged(field: Field, value: Json) -> str | None:
    """A stored value as activities spell it: "True", "10", "2023-01-26 18:46:00" (section 8.3)."""
    if value is None:
        return None
    if isinstance(value, bool):
        return str(value)
    text = shown(value)
    return f"{text[:-1].replace('T', ' ')}" if field.data_type == "datetime" else text
