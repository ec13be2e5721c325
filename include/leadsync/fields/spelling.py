"""One text → one canonical spelling, per type: the scalar rules that every reader shares.

The columns of `canonical` take a vectorised short cut for values that are canonical already and
come here, once per distinct value, for the others; the Marketo feed comes here value by value.
A text that is no value of its type stays as it is, so that validation can show it (DECISIONS 4).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_EVEN, Decimal, localcontext

from include.leadsync.fields.choices import choices
from include.leadsync.model import Canonical, FieldType, SyncField

WIRE_SCALE = 10
"""Decimal places of a number on its way through Arrow (decimal128(38, 10)); Dataverse stores no more."""

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_DATE = re.compile(r"(\d{4}-\d{2}-\d{2})([T ]\d{2}:.*)?", re.ASCII)
_MOMENT = re.compile(
    r"(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2})?)(?:[.,]\d+)?\s?([Zz]|[+-]\d{2}(?::?\d{2})?)?)?", re.ASCII
)
_LONGEST_NUMBER = 60
_MOST_DIGITS = 38
_TRUE, _FALSE = {"true", "1", "yes"}, {"false", "0", "no", ""}
_DEFAULT_SCALE = {"Double": 5, "Money": 4}


def scale_of(field: SyncField) -> int:
    """Decimal places the Dynamics column keeps; both sides are quantised to it (DECISIONS 4)."""
    if field.dynamics.precision is None:
        return _DEFAULT_SCALE.get(field.dynamics.type, WIRE_SCALE)
    return min(field.dynamics.precision, WIRE_SCALE)


def spell(field: SyncField, text: str | None) -> Canonical:
    """Canonical form of a text as Marketo, its feed or a Dynamics text column spells it."""
    if field.rule.type is FieldType.BOOLEAN:
        return boolean(text)
    if not text:
        return None
    read = _READERS.get(field.rule.type)
    if read:
        return read(field, text)
    return text.lower() if is_guid(field) else text


def is_guid(field: SyncField) -> bool:
    """Whether the text is a GUID, whose case carries no meaning (V11, R168)."""
    return field.dynamics.type == "Uniqueidentifier"


def boolean(text: str | None) -> str:
    """`"true"` or `"false"`; null is false on both sides (D62, DECISIONS 7)."""
    lowered = (text or "").lower()
    if lowered in _TRUE:
        return "true"
    return "false" if text is None or lowered in _FALSE else text


def integer(text: str) -> str:
    """Plain digits; `5.0` and `5e0` are 5. A fraction is kept, in plain form, for validation to refuse."""
    number = _number(text)
    return text if number is None else _plain(number)


def decimal(text: str, scale: int) -> str:
    """Plain decimal at `scale` places, half to even, without trailing zeros or exponent.

    Half to even is what .NET's `Math.Round` does. Dataverse's own rounding never decides: what we
    send is quantised already, and what it stores cannot have more places than the column.
    """
    number = _number(text)
    if number is None:
        return text
    with localcontext(prec=2 * _LONGEST_NUMBER):
        return _plain(number.quantize(Decimal(1).scaleb(-scale), rounding=ROUND_HALF_EVEN))


def _number(text: str) -> Decimal | None:
    """The number a text stands for, if it stands for one that fits 38 digits; never NaN or infinite."""
    if len(text) > _LONGEST_NUMBER or not _NUMBER.fullmatch(text):
        return None
    number = Decimal(text)
    return number if number.adjusted() < _MOST_DIGITS else None


def _plain(number: Decimal) -> str:
    if number == 0:
        return "0"
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def day(text: str) -> str:
    """`YYYY-MM-DD` as written; a time behind it is cut off, never used to shift the day (D63)."""
    found = _DATE.fullmatch(text)
    if not found:
        return text
    try:
        return date.fromisoformat(found[1]).isoformat()
    except ValueError:
        return text


def moment(text: str) -> str:
    """`YYYY-MM-DDTHH:MM:SSZ`: offsets applied, no zone read as UTC, fractions of a second cut (D63)."""
    found = _MOMENT.fullmatch(text)
    if not found:
        return text
    zone = (found[3] or "Z").upper()
    try:
        read = datetime.fromisoformat(f"{found[1]}T{found[2] or '00:00'}{zone}")
        return read.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
    except (ValueError, OverflowError):
        return text


_READERS: dict[FieldType, Callable[[SyncField, str], Canonical]] = {
    FieldType.INTEGER: lambda _, text: integer(text),
    FieldType.DECIMAL: lambda field, text: decimal(text, scale_of(field)),
    FieldType.MONEY: lambda field, text: decimal(text, scale_of(field)),
    FieldType.DATE: lambda _, text: day(text),
    FieldType.DATETIME: lambda _, text: moment(text),
    FieldType.CHOICE: lambda field, text: choices(field).canonical(text),
    FieldType.MULTI_CHOICE: lambda field, text: choices(field).canonical_many(text),
}
