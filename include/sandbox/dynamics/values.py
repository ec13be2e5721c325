"""From JSON values to stored values: types, lengths, ranges, options, rounding (sections 13.3 and 17)."""

from __future__ import annotations

import base64
import re
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Context, Decimal

from include.sandbox.dynamics.errors import ServiceError, bad_payload
from include.sandbox.dynamics.schema import FRACTION, Column, Table
from include.sandbox.service import Json

_INT32 = 2**31
_MONEY_MAX = Decimal(922337203685477)
_EARLIEST, _LATEST = date(1753, 1, 1), date(9999, 12, 30)
# Control characters (section 13.3); assumption: halves of a surrogate pair are no characters either.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DIGITS = re.compile(r"[+-]?[0-9]+")
_EXACT = Context(prec=60)  # twenty digits before the point, any precision behind it
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")
_PLAIN = "A validation error occurred. The value of '{}' on record of type '{}' is outside the valid range."


def stored(table: Table, column: Column, value: Json) -> Json:
    """The stored form of one JSON value; raises the service's error for a value it would refuse."""
    if value is None or value == "":
        if value == "" and column.type not in {"String", "Memo", "MultiSelectPicklist"}:
            raise _wrong_literal(table, column, value)
        return _null(column)
    converter = _CONVERTERS.get(column.type, _text)
    return converter(table, column, value)


def _null(column: Column) -> None:
    if column.required == "SystemRequired":
        raise ServiceError(400, "0x80040203", f"Attribute: {column.name} cannot be set to NULL")


def utf16_length(text: str) -> int:
    """Length as the service counts it: an emoji is two (O12)."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _wrong_literal(table: Table, column: Column, value: Json) -> ServiceError:
    detail = (
        f"Microsoft.OData.ODataException: Cannot convert the literal '{value}' to the expected type '{column.edm}'."
    )
    return bad_payload(table.set, detail)


def _wrong_type(table: Table, column: Column, value: Json) -> ServiceError:
    if isinstance(value, bool | int | Decimal):
        found = "Edm.Boolean" if isinstance(value, bool) else "Edm.Int32" if isinstance(value, int) else "Edm.Decimal"
        detail = (
            f"Microsoft.OData.ODataException: Cannot convert a value of type '{found}' to the expected target type "
            f"'{column.edm}'."
        )
        return bad_payload(table.set, detail)
    if isinstance(value, str):
        return _wrong_literal(table, column, value)
    return bad_payload(table.set, f"Microsoft.OData.ODataException: '{column.name}' wants a primitive value.")


def _text(table: Table, column: Column, value: Json) -> str:
    if not isinstance(value, str):
        raise _wrong_type(table, column, value)
    if _CONTROL.search(value):
        text = f"The field '{column.name}' contains one or more invalid characters."
        raise ServiceError(400, "0x80040278", text)
    if column.max_length is not None and utf16_length(value) > column.max_length:
        text = (
            f"A validation error occurred.  The length of the '{column.name}' attribute of the '{table.name}' entity "
            f"exceeded the maximum allowed length of '{column.max_length}'."
        )
        raise ServiceError(400, "0x80044331", text)
    return value


def _integer(table: Table, column: Column, value: Json) -> int:
    if isinstance(value, str):
        if not _DIGITS.fullmatch(value) or len(value) > 20:
            raise _wrong_literal(table, column, value)
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise _wrong_type(table, column, value)
    if not -_INT32 <= value < _INT32:
        raise _wrong_literal(table, column, value)
    return value


def _whole_number(table: Table, column: Column, value: Json) -> int:
    number = _integer(table, column, value)
    if not _inside(column, Decimal(number)):
        raise ServiceError(400, "0x8004432F", _PLAIN.format(column.name, table.name))
    return number


def _inside(column: Column, number: Decimal) -> bool:
    low, high = column.minimum, column.maximum
    return (low is None or number >= low) and (high is None or number <= high)


def _fraction(table: Table, column: Column, value: Json) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        raise _wrong_type(table, column, value)
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        raise _wrong_literal(table, column, value)
    number = Decimal(value)
    if column.type == "Money" and abs(number) > _MONEY_MAX:
        raise ServiceError(400, "0x80040317", "Supplied value exceeded the MIN/MAX value of Money Type field.")
    # Assumption: halves are rounded away from zero, and the range is that of the rounded value.
    rounded = rounded_to(number, column.precision)
    if not _inside(column, rounded):
        raise ServiceError(400, "0x80044330", _PLAIN.format(column.name, table.name))
    return rounded


def rounded_to(number: Decimal, precision: int | None) -> Decimal:
    """A decimal with at most `precision` places, without trailing zeros."""
    if precision is not None and number.is_finite() and number.adjusted() < 20:
        number = number.quantize(Decimal(1).scaleb(-precision), ROUND_HALF_UP, _EXACT)
    plain = number.normalize()
    return plain.quantize(Decimal(1)) if plain == plain.to_integral_value() and plain.adjusted() < 20 else plain


def _boolean(table: Table, column: Column, value: Json) -> bool:
    if not isinstance(value, bool):
        raise _wrong_type(table, column, value)
    return value


def _choice(table: Table, column: Column, value: Json) -> int:
    number = _integer(table, column, value)
    # State and status have rules of their own (section 5.5).
    if column.type == "Picklist" and column.option(number) is None:
        raise _bad_option(table, column, number)
    return number


def _bad_option(table: Table, column: Column, value: Json) -> ServiceError:
    accepted = ",".join(str(option.value) for option in column.options)
    text = (
        f"A validation error occurred. The value {value} of '{column.name}' on record of type '{table.name}' is "
        f"outside the valid range. Accepted Values: {accepted}"
    )
    return ServiceError(400, "0x8004431A", text)


def _choices(table: Table, column: Column, value: Json) -> str:
    if not isinstance(value, str):
        raise _wrong_type(table, column, value)
    chosen = set()
    for part in value.split(","):
        if not _DIGITS.fullmatch(part.strip()) or len(part) > 20:
            raise _wrong_literal(table, column, value)
        number = int(part)
        if column.option(number) is None:
            raise _bad_option(table, column, number)
        chosen.add(number)
    return ",".join(str(number) for number in sorted(chosen))


def _image(table: Table, column: Column, value: Json) -> str:
    if not isinstance(value, str):
        raise _wrong_type(table, column, value)
    try:
        base64.b64decode(value, validate=True)
    except ValueError:
        raise _wrong_literal(table, column, value) from None
    return value


def _guid(table: Table, column: Column, value: Json) -> str:
    guid = parse_guid(value) if isinstance(value, str) else None
    if guid is None:
        raise _wrong_type(table, column, value)
    return guid


def parse_guid(text: str) -> str | None:
    """A bare GUID in lower case, or None: no quotes, no braces (section 3.1)."""
    if len(text) != 36:
        return None
    try:
        parsed = str(uuid.UUID(text))
    except ValueError:
        return None
    return parsed if parsed == text.lower() else None


def _moment(table: Table, column: Column, value: Json) -> str:
    if not isinstance(value, str):
        raise _wrong_type(table, column, value)
    if column.is_date and not _DATE.fullmatch(value):
        raise _wrong_literal(table, column, value)
    try:
        moment = parse_moment(value)
    except OverflowError:
        raise _bad_date(late=value[:1] == "9") from None
    except ValueError:
        raise _wrong_literal(table, column, value) from None
    if not _EARLIEST <= moment.date() <= _LATEST:
        raise _bad_date(late=moment.date() > _LATEST)
    # Assumption: a UserLocal column with format DateOnly keeps a time that is sent; the format is for forms only.
    return value if column.is_date else format_moment(moment)


def _bad_date(*, late: bool) -> ServiceError:
    text = "DateTime is less than minimum value supported by CrmDateTime. Minimum value supported is 01/01/1753."
    if late:
        text = "DateTime is greater than maximum value supported by CrmDateTime. Maximum value supported is 12/30/9999."
    return ServiceError(400, "0x80040239", text)


def parse_moment(text: str) -> datetime:
    """An ISO 8601 date or date-time as UTC; without an offset it is UTC. Raises `ValueError`."""
    if not re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}|$)", text):
        raise ValueError(text)
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def format_moment(moment: datetime) -> str:
    """Whole seconds, UTC."""
    return f"{moment.year:04d}-{moment:%m-%dT%H:%M:%S}Z"


def _reference(table: Table, column: Column, value: Json) -> None:
    detail = (
        f"Microsoft.OData.ODataException: '{column.name}' is a navigation property of type "
        f"'{' or '.join(column.targets)}'; the value '{value}' is not a resource. Use '@odata.bind'."
    )
    raise bad_payload(table.set, detail)


_CONVERTERS: dict[str, Callable[[Table, Column, Json], Json]] = {
    "Integer": _whole_number,
    "BigInt": _integer,
    "Picklist": _choice,
    "State": _choice,
    "Status": _choice,
    "MultiSelectPicklist": _choices,
    "Boolean": _boolean,
    "DateTime": _moment,
    "Image": _image,
    "Uniqueidentifier": _guid,
    "Lookup": _reference,
    "Customer": _reference,
    "Owner": _reference,
    **dict.fromkeys(FRACTION, _fraction),
}
