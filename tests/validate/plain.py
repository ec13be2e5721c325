"""The same rules evaluated without Great Expectations, pandas or shared patterns: the yardstick.

Deliberately slow and literal: one value at a time, by hand-written parsing where production uses
regular expressions.
"""

from __future__ import annotations

import calendar
from collections.abc import Callable, Sequence
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from typing import Any

import pyarrow as pa

from include.leadsync.model import Canonical
from include.leadsync.validate import Rule, RuleKind

Verdict = tuple[str, str, Canonical, str, str]
"""op, field, value, code, rule"""

BLANKS = set("\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000") | {
    chr(point) for point in range(0x2000, 0x200B)
}
DIGITS = set("0123456789")
ALPHANUMERIC = DIGITS | set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


def verdicts_plain(rules: Sequence[Rule], writes: pa.Table, *, creating: bool = False) -> list[Verdict]:
    """What should fail. `creating`: operations without a row for a required field miss it."""
    rows = [(row["op"], row["field"], row["value"]) for row in writes.to_pylist()]
    ops = dict.fromkeys(op for op, _, _ in rows)
    verdicts: list[Verdict] = []
    for rule in rules:
        judged = [(op, value) for op, field, value in rows if field == rule.field]
        if creating and rule.kind is RuleKind.REQUIRED:
            judged += [(op, None) for op in ops if op not in {owner for owner, _ in judged}]
        verdicts += [(op, rule.field, value, rule.code, rule.rule) for op, value in judged if not passes(rule, value)]
    return verdicts


def passes(rule: Rule, value: Canonical) -> bool:
    """Whether one value passes one rule. Nulls pass everything but `required` and `clearable`."""
    if value is None:
        return rule.kind not in {RuleKind.REQUIRED, RuleKind.CLEARABLE}
    return CHECKS[rule.kind](value, dict(rule.parameters))


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def is_number(text: str, *, whole: bool = False) -> bool:
    digits, point, fraction = text.removeprefix("-").partition(".")
    if not digits or set(digits) - DIGITS or (len(digits) > 1 and digits[0] == "0"):
        return False
    return not point if whole else not point or (fraction != "" and not set(fraction) - DIGITS)


def in_range(text: str, told: dict[str, Any]) -> bool:
    if not is_number(text):
        return True
    with localcontext(prec=400):
        number = Decimal(text)
        least, most = told.get("within_minimum"), told.get("within_maximum")
        if (least is not None and number < Decimal(least)) or (most is not None and number > Decimal(most)):
            return True
        if told["scale"] is not None:
            number = number.quantize(Decimal(1).scaleb(-told["scale"]), rounding=ROUND_HALF_EVEN)
        low, high = told["minimum"], told["maximum"]
        return (low is None or number >= Decimal(low)) and (high is None or number <= Decimal(high))


def is_lenient_email(text: str) -> bool:
    local, quoted, position = "", False, 0
    while position < len(text):
        character = text[position]
        if character == '"':
            quoted = not quoted
        elif quoted:
            if character in "\r\n":
                return False
        elif character == "@":
            break
        elif character in BLANKS:
            return False
        local += character
        position += 1
    domain = text[position + 1 :]
    at_sign = position < len(text) and not quoted
    return at_sign and bool(local) and bool(domain) and not set(domain) & (BLANKS | {"@"})


def is_marketo_email(text: str) -> bool:
    local, at_sign, domain = text.partition("@")
    labels = domain.split(".")
    return (
        bool(at_sign and local)
        and not set(local) - ALPHANUMERIC - set(".!#$%&'*+/=?^_`{|}~-")
        and len(labels) > 1
        and all(
            label and not set(label) - ALPHANUMERIC - {"-"} and "-" not in {label[0], label[-1]} for label in labels
        )
        and len(labels[-1]) > 1
        and labels[-1][0] not in DIGITS
    )


def is_email(text: str, told: dict[str, Any]) -> bool:
    ascii_only = "[A-Za-z0-9.!#" in told["regex"]
    return is_marketo_email(text) if ascii_only else is_lenient_email(text)


def is_moment(text: str, form: str) -> bool:
    shape = "dddd-dd-dd" if form == "date" else "dddd-dd-ddTdd:dd:ddZ"
    if len(text) != len(shape):
        return False
    if any(c not in DIGITS if mark == "d" else c != mark for c, mark in zip(text, shape, strict=True)):
        return False
    year, month, day = int(text[:4]), int(text[5:7]), int(text[8:10])
    if not (year >= 1 and 1 <= month <= 12 and 1 <= day <= calendar.monthrange(year, month)[1]):
        return False
    return form == "date" or (int(text[11:13]) < 24 and int(text[14:16]) < 60 and int(text[17:19]) < 60)


def is_guid(text: str) -> bool:
    parts = text.split("-")
    return [len(part) for part in parts] == [8, 4, 4, 4, 12] and not set("".join(parts)) - set("0123456789abcdefABCDEF")


CHECKS: dict[RuleKind, Callable[[str, dict[str, Any]], bool]] = {
    RuleKind.WRITABLE: lambda _, __: False,
    RuleKind.CLEARABLE: lambda _, __: True,
    RuleKind.REQUIRED: lambda _, __: True,
    RuleKind.MAX_LENGTH: lambda text, told: units(text) <= told["limit"],
    RuleKind.MAX_CHARACTERS: lambda text, told: len(text) <= told["limit"],
    RuleKind.MAX_BYTES: lambda text, told: len(text.encode()) <= told["limit"],
    RuleKind.CONTROL_CHARACTERS: lambda text, _: not any(c < " " and c not in "\t\n\r" for c in text),
    RuleKind.EMAIL_FORMAT: is_email,
    RuleKind.URL_FORMAT: lambda text, _: not set(text) & BLANKS,
    RuleKind.GUID_FORMAT: lambda text, _: is_guid(text),
    RuleKind.NUMBER_FORMAT: lambda text, told: is_number(text, whole="." not in told["regex"]),
    RuleKind.NUMBER_SIZE: in_range,
    RuleKind.NUMBER_RANGE: in_range,
    RuleKind.BOOLEAN_FORMAT: lambda text, _: text in {"true", "false"},
    RuleKind.OPTION: lambda text, told: text in told["values"],
    RuleKind.OPTIONS: lambda text, told: all(part in told["values"] for part in text.split(";")),
    RuleKind.DATE_FORMAT: lambda text, told: is_moment(text, told["form"]),
    RuleKind.DATE_RANGE: lambda text, told: (
        not is_moment(text, told["form"]) or told["minimum"] <= text <= told["maximum"]
    ),
}
