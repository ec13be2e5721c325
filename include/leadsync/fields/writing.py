"""A canonical value → the JSON value that each API wants.

What is written here and read back through `canonical` is the same canonical value; the tests prove
it for every type on both sides. Numbers leave as int, as float where the float prints the very same
digits, else as a text of digits, which both services accept (marketo-api §15, dataverse-api §11.2).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal

from include.leadsync.errors import RowFailed
from include.leadsync.fields.choices import SEPARATOR, choices
from include.leadsync.fields.columns import marketo_wire
from include.leadsync.fields.spelling import moment, spell
from include.leadsync.model import Canonical, FieldType, SyncField

JsonValue = str | int | float | bool | None

_INTEGER = re.compile(r"-?\d+", re.ASCII)
_DECIMAL = re.compile(r"-?\d+(\.\d+)?", re.ASCII)
_BITS = {"Integer": 32}


def marketo_value(field: SyncField, canonical: Canonical) -> JsonValue:
    """JSON for `sync_persons`; null clears the field. Raises `RowFailed` when the text is no value of the type."""
    if canonical is None:
        return None
    text = _checked(field, canonical)
    match marketo_wire(field.marketo.type):
        case "boolean":
            return text == "true"
        case "integer":
            return _whole(field, text, 64)
        case "number":
            return _number(text)
        case _:
            return text


def dynamics_value(field: SyncField, canonical: Canonical) -> JsonValue:
    """JSON for a Dynamics row: choice labels as numbers, null stays None.

    Raises `RowFailed` for a text that is no value of the type, an unknown option and every lookup
    (D56: lookups are inbound only).
    """
    if canonical is None:
        return None
    text = _checked(field, canonical)
    write = _WRITERS.get(field.rule.type)
    return write(field, text) if write else text


def _checked(field: SyncField, text: str) -> str:
    """The text in canonical spelling, if it is a value of the field's type at all."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise RowFailed(
            "invalid_characters", f"{field.name}: half of a surrogate pair at {error.start}", field=field.name
        ) from error
    spelled = spell(field, text)
    if spelled is None:
        raise _refused(field, text, "empty text; null clears a field")
    problem = _PROBLEMS[field.rule.type](spelled) if field.rule.type in _PROBLEMS else None
    if problem:
        raise _refused(field, text, problem)
    return spelled


def _refused(field: SyncField, text: str, problem: str) -> RowFailed:
    kind = field.rule.type.value
    return RowFailed(f"invalid_{kind}", f"{field.name}: {text[:80]!r} is {problem}", field=field.name)


def _boolean_problem(text: str) -> str | None:
    return None if text in {"true", "false"} else "neither true nor false"


def _integer_problem(text: str) -> str | None:
    return None if _INTEGER.fullmatch(text) else "no whole number"


def _decimal_problem(text: str) -> str | None:
    return None if _DECIMAL.fullmatch(text) else "no number"


def _day_problem(text: str) -> str | None:
    try:
        date.fromisoformat(text)
    except ValueError:
        return "no date (YYYY-MM-DD)"
    return None


def _moment_problem(text: str) -> str | None:
    return None if text.endswith("Z") and moment(text[:-1] + "+00:00") == text else "no date and time"


_PROBLEMS = {
    FieldType.BOOLEAN: _boolean_problem,
    FieldType.INTEGER: _integer_problem,
    FieldType.DECIMAL: _decimal_problem,
    FieldType.MONEY: _decimal_problem,
    FieldType.DATE: _day_problem,
    FieldType.DATETIME: _moment_problem,
}


def _whole(field: SyncField, text: str, bits: int) -> int:
    if not _INTEGER.fullmatch(text):
        raise _refused(field, text, "no whole number")
    number = int(text)
    if not -(2 ** (bits - 1)) <= number < 2 ** (bits - 1):
        raise RowFailed("out_of_range", f"{field.name}: {text} does not fit {bits} bits", field=field.name)
    return number


def _number(text: str) -> int | float | str:
    if _INTEGER.fullmatch(text):
        return int(text)
    rounded = float(text)
    return rounded if Decimal(repr(rounded)) == Decimal(text) else text


def _option(field: SyncField, text: str) -> int:
    number = choices(field).number(text)
    if number is None:
        known = ", ".join(option.label for option in field.dynamics.options[:20])
        raise RowFailed("unknown_option", f"{field.name}: {text[:80]!r} is not one of: {known}", field=field.name)
    return number


def _options(field: SyncField, text: str) -> str:
    return ",".join(str(number) for number in sorted(_option(field, part) for part in text.split(SEPARATOR)))


def _day(field: SyncField, text: str) -> str:
    """Behaviour DateOnly refuses a time (0x80048d19); UserLocal stores one anyway, so midnight UTC it is."""
    return text if field.dynamics.date_behavior == "DateOnly" else f"{text}T00:00:00Z"


def _no_lookup(field: SyncField, _: str) -> JsonValue:
    raise RowFailed("lookup_not_writable", f"{field.name}: look-ups are inbound only", field=field.name)


_WRITERS: dict[FieldType, Callable[[SyncField, str], JsonValue]] = {
    FieldType.BOOLEAN: lambda _, text: text == "true",
    FieldType.INTEGER: lambda field, text: _whole(field, text, _BITS.get(field.dynamics.type, 64)),
    FieldType.DECIMAL: lambda _, text: _number(text),
    FieldType.MONEY: lambda _, text: _number(text),
    FieldType.CHOICE: _option,
    FieldType.MULTI_CHOICE: _options,
    FieldType.DATE: _day,
    FieldType.LOOKUP: _no_lookup,
}
