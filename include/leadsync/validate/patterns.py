r"""Spellings as regular expressions, and the bounds of wire types.

The patterns run in Arrow's RE2 as well as in Python's `re` and mean the same in both: they are
anchored with `\A` and `\Z` (`$` would let a trailing line break through), spell out classes (`\s`
and `\d` differ between the two) and repeat only unambiguous alternatives.
"""

from __future__ import annotations

from include.leadsync.model import FieldType

INTEGER_32 = ("-2147483648", "2147483647")
INTEGER_64 = ("-9223372036854775808", "9223372036854775807")

INTEGER = r"\A-?(?:0|[1-9][0-9]*)\Z"
DECIMAL = r"\A-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?\Z"
GUID = r"\A[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\Z"

CALENDAR = {
    "date": r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}\Z",
    "datetime": r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z\Z",
}
"""Shapes of canonical dates and datetimes; whether the day exists is another question."""

CONTROL_CHARACTERS = "[\x00-\x08\x0b\x0c\x0e-\x1f]"
"""What Dynamics refuses in text (0x80040278); tab, line feed and carriage return are welcome."""

_BLANK = "\t\n\x0b\x0c\r\x1c-\x1f \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"

UNBROKEN = rf"\A[^{_BLANK}]*\Z"

LENIENT_EMAIL = rf"""\A(?:"[^"\r\n]*"|[^{_BLANK}@"])+@[^{_BLANK}@]+\Z"""
"""Something, one @ outside quotes, something, no blanks outside quotes (DECISIONS 4)."""

_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"

STRICT_EMAIL = rf"\A[A-Za-z0-9.!#$%&'*+/=?^_`{{|}}~-]+@(?:{_LABEL}\.)+[A-Za-z][A-Za-z0-9-]*[A-Za-z0-9]\Z"
"""What Marketo takes: ASCII, checked syntax (facts/marketo-api.md 6)."""


def calendar_form(type_: FieldType, native: str) -> str:
    """Whether a field's canonical values are dates or datetimes: by its type, else by the column's own."""
    return {FieldType.DATE: "date", FieldType.DATETIME: "datetime"}.get(type_, native)
