"""What Marketo demands of a value, read from describe (facts/marketo-api.md 6-7, M22, M38).

Marketo refuses the whole record for one bad value (code 1003), so a bad value is found before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from include.leadsync.model import Flow, SyncField
from include.leadsync.validate.patterns import DECIMAL, INTEGER, INTEGER_64, STRICT_EMAIL, calendar_form
from include.leadsync.validate.rule import Rule, RuleKind, RuleMaker

INVALID_VALUE = "1003"
DEFAULT_LENGTH = 255
TEXT_BYTES = 30_000


def inbound_rules(field: SyncField) -> Iterator[Rule]:
    """The rules of one field for a write to its Marketo field."""
    make = RuleMaker(field, field.marketo.name)
    if field.marketo.read_only:
        yield from make.forbid("read_only", "M22", "{target} is read-only in Marketo.")
    elif field.rule.flow is Flow.OUTBOUND:
        yield from make.forbid(
            "wrong_direction", "P5", "{target} is mapped from Marketo to Dynamics only; it is not written."
        )
    elif field.marketo.type in _BY_TYPE:
        yield from _BY_TYPE[field.marketo.type](field, make)
    else:
        yield from make.forbid("type_not_written", "P5", "{target} has a type that is not written.")


def _string(field: SyncField, make: RuleMaker) -> Iterator[Rule]:
    limit = DEFAULT_LENGTH if field.marketo.length is None else field.marketo.length
    text = "{target} takes {limit} characters; the value has {length}."
    yield make(RuleKind.MAX_CHARACTERS, INVALID_VALUE, "R111", text, limit=limit)


def _text(field: SyncField, make: RuleMaker) -> Iterator[Rule]:
    text = "{target} takes {limit} bytes of UTF-8; the value has {bytes}."
    yield make(RuleKind.MAX_BYTES, "max_bytes", "R111", text, limit=TEXT_BYTES)
    if field.marketo.length is not None:
        yield from _string(field, make)


def _email(field: SyncField, make: RuleMaker) -> Iterator[Rule]:
    yield from _string(field, make)
    text = "{value} for {target} is not an e-mail address that Marketo takes (ASCII, one @, a domain with a dot)."
    yield make(RuleKind.EMAIL_FORMAT, INVALID_VALUE, "M38", text, regex=STRICT_EMAIL)


def _integer(_: SyncField, make: RuleMaker) -> Iterator[Rule]:
    text = "{value} for {target} is not a whole number."
    yield make(RuleKind.NUMBER_FORMAT, INVALID_VALUE, "M38", text, regex=INTEGER)
    text = "{value} for {target} does not fit 64 bits."
    low, high = INTEGER_64
    yield make(RuleKind.NUMBER_SIZE, INVALID_VALUE, "M38", text, minimum=low, maximum=high, scale=None)


def _number(_: SyncField, make: RuleMaker) -> Iterator[Rule]:
    yield make(RuleKind.NUMBER_FORMAT, INVALID_VALUE, "M38", "{value} for {target} is not a number.", regex=DECIMAL)


def _boolean(_: SyncField, make: RuleMaker) -> Iterator[Rule]:
    text = "{value} for {target} is neither true nor false."
    yield make(RuleKind.BOOLEAN_FORMAT, INVALID_VALUE, "M38", text, values=("false", "true"))


def _date(field: SyncField, make: RuleMaker) -> Iterator[Rule]:
    form = calendar_form(field.rule.type, "date" if field.marketo.type == "date" else "datetime")
    text = "{value} for {target} is not a {form} of the calendar."
    yield make(RuleKind.DATE_FORMAT, INVALID_VALUE, "M38", text, form=form)


_BY_TYPE: dict[str, Callable[[SyncField, RuleMaker], Iterator[Rule]]] = {
    "string": _string,
    "phone": _string,
    "url": _string,
    "email": _email,
    "text": _text,
    "textarea": _text,
    "integer": _integer,
    "score": _integer,
    "reference": _integer,
    "percent": _number,
    "float": _number,
    "currency": _number,
    "boolean": _boolean,
    "date": _date,
    "datetime": _date,
}
