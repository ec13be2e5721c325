"""How rules become a Great Expectations suite: its own expectations where it has them, else ours.

Importing this module imports Great Expectations (seconds): `session` does so when there is
something to judge.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from great_expectations.core.expectation_suite import ExpectationSuite
from great_expectations.expectations.core.expect_column_value_lengths_to_be_between import (
    ExpectColumnValueLengthsToBeBetween,
)
from great_expectations.expectations.core.expect_column_values_to_be_in_set import (
    ExpectColumnValuesToBeInSet,
)
from great_expectations.expectations.core.expect_column_values_to_be_null import (
    ExpectColumnValuesToBeNull,
)
from great_expectations.expectations.core.expect_column_values_to_match_regex import (
    ExpectColumnValuesToMatchRegex,
)
from great_expectations.expectations.core.expect_column_values_to_not_be_null import (
    ExpectColumnValuesToNotBeNull,
)
from great_expectations.expectations.core.expect_column_values_to_not_match_regex import (
    ExpectColumnValuesToNotMatchRegex,
)
from great_expectations.expectations.expectation import Expectation

from include.leadsync.validate.expectations import (
    ExpectCalendarTexts,
    ExpectCalendarTextsToBeBetween,
    ExpectDecimalsToBeBetween,
    ExpectEveryLabelInSet,
    ExpectUtf8BytesToBeAtMost,
    ExpectUtf16LengthsToBeAtMost,
)
from include.leadsync.validate.rule import Rule, RuleKind, digest

VALUE = "value"
"""Name of the only column of every batch."""

Told = dict[str, Any]
"""A rule's parameters; Great Expectations checks their types when the expectation is made."""


def _matching(told: Told) -> Expectation:
    return ExpectColumnValuesToMatchRegex(column=VALUE, regex=told["regex"])


def _not_matching(told: Told) -> Expectation:
    return ExpectColumnValuesToNotMatchRegex(column=VALUE, regex=told["regex"])


def _in_set(told: Told) -> Expectation:
    return ExpectColumnValuesToBeInSet(column=VALUE, value_set=list(told["values"]))


def _between(told: Told) -> Expectation:
    return ExpectDecimalsToBeBetween(
        column=VALUE,
        bounds=[told["minimum"], told["maximum"]],
        within=[told.get("within_minimum"), told.get("within_maximum")],
        scale=told["scale"],
    )


def _date_between(told: Told) -> Expectation:
    return ExpectCalendarTextsToBeBetween(
        column=VALUE, form=told["form"], minimum=told["minimum"], maximum=told["maximum"]
    )


_EXPECTATIONS: dict[RuleKind, Callable[[Told], Expectation]] = {
    RuleKind.WRITABLE: lambda _: ExpectColumnValuesToBeNull(column=VALUE),
    RuleKind.CLEARABLE: lambda _: ExpectColumnValuesToNotBeNull(column=VALUE),
    RuleKind.REQUIRED: lambda _: ExpectColumnValuesToNotBeNull(column=VALUE),
    RuleKind.MAX_LENGTH: lambda told: ExpectUtf16LengthsToBeAtMost(column=VALUE, limit=told["limit"]),
    RuleKind.MAX_CHARACTERS: lambda told: ExpectColumnValueLengthsToBeBetween(column=VALUE, max_value=told["limit"]),
    RuleKind.MAX_BYTES: lambda told: ExpectUtf8BytesToBeAtMost(column=VALUE, limit=told["limit"]),
    RuleKind.CONTROL_CHARACTERS: _not_matching,
    RuleKind.EMAIL_FORMAT: _matching,
    RuleKind.URL_FORMAT: _matching,
    RuleKind.GUID_FORMAT: _matching,
    RuleKind.NUMBER_FORMAT: _matching,
    RuleKind.NUMBER_SIZE: _between,
    RuleKind.NUMBER_RANGE: _between,
    RuleKind.BOOLEAN_FORMAT: _in_set,
    RuleKind.OPTION: _in_set,
    RuleKind.OPTIONS: lambda told: ExpectEveryLabelInSet(column=VALUE, labels=list(told["values"])),
    RuleKind.DATE_FORMAT: lambda told: ExpectCalendarTexts(column=VALUE, form=told["form"]),
    RuleKind.DATE_RANGE: _date_between,
}


def expectation(rule: Rule) -> Expectation:
    """The expectation that judges this rule; its `meta` names the rule."""
    made = _EXPECTATIONS[rule.kind](dict(rule.parameters))
    made.meta = {"kind": rule.kind.value, "field": rule.field, "rule": rule.rule, "code": rule.code}
    return made


def build_suite(rules: Sequence[Rule]) -> ExpectationSuite:
    """The suite of one field's rules. Raises ValueError when the rules are of several fields."""
    fields = {rule.field for rule in rules}
    if len(fields) != 1:
        raise ValueError(f"a suite judges one field; these rules are of {sorted(fields)}")
    return ExpectationSuite(name=f"{fields.pop()}-{digest(rules)[:12]}", expectations=[expectation(r) for r in rules])
