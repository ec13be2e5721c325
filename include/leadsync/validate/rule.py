"""What a rule is: one check of one field, with what to say when a value fails it.

Rules are made from the metadata that both services publish (V60, M22), never written by hand.
Nothing here imports Great Expectations; `expectations` turns rules into a suite.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from include.leadsync.model import Canonical, SyncField
from include.leadsync.validate.wording import excerpt

Parameter: TypeAlias = str | int | bool | tuple[str, ...] | None
"""What a rule may be told: it must survive JSON, since the digest of a suite is made from it."""

SHOWN_LABELS = 20


class RuleKind(StrEnum):
    """What is checked. A field has at most one rule of each kind."""

    WRITABLE = "writable"  # every value fails: the field must not be written
    CLEARABLE = "clearable"  # every null fails: the field must not be cleared either
    REQUIRED = "required"
    MAX_LENGTH = "max_length"  # `limit` UTF-16 units
    MAX_CHARACTERS = "max_characters"  # `limit` characters
    MAX_BYTES = "max_bytes"  # `limit` bytes of UTF-8
    CONTROL_CHARACTERS = "control_characters"
    EMAIL_FORMAT = "email_format"
    URL_FORMAT = "url_format"
    GUID_FORMAT = "guid_format"
    NUMBER_FORMAT = "number_format"
    NUMBER_SIZE = "number_size"  # fits the wire type; `minimum`, `maximum` as decimal texts
    NUMBER_RANGE = "number_range"  # as NUMBER_SIZE, after rounding to `scale`; judges what fits `within`
    BOOLEAN_FORMAT = "boolean_format"
    DATE_FORMAT = "date_format"  # `form`: date or datetime
    DATE_RANGE = "date_range"  # `minimum`, `maximum` as canonical texts of that form
    OPTION = "option"
    OPTIONS = "options"  # several labels joined by ";"


@dataclass(frozen=True, slots=True)
class Rule:
    """One check of one field.

    `code` is the service's own where it would answer one, else a readable word; `rule` cites the
    fact sheets; `target` names the column in the service; `message` is a format string that may use
    `{target}`, `{value}` (quoted and cut), `{length}`, `{units}`, `{bytes}` and every parameter.
    """

    field: str
    kind: RuleKind
    code: str
    rule: str
    target: str
    message: str
    parameters: Mapping[str, Parameter]

    def explain(self, value: Canonical) -> str:
        """The message for one failing value. Values stand in typographic quotes, cut (P10)."""
        text = value or ""
        encoded = text.encode("utf-8", "surrogatepass")
        units = len(text.encode("utf-16-le", "surrogatepass")) // 2
        shown = {name: _shown(parameter) for name, parameter in self.parameters.items()}
        return self.message.format(
            target=self.target,
            value=excerpt(text),
            length=len(text),
            units=units,
            bytes=len(encoded),
            **shown,
        )


@dataclass(frozen=True, slots=True)
class Finding:
    """What one rule says of one column: positions that fail, or the error inside the rule.

    `error` is the class of the error only: its text may hold values (P10). With an error, every
    position fails.
    """

    rule: Rule
    checked: int
    failing: Sequence[int]
    error: str | None = None


def _shown(parameter: Parameter) -> str:
    if not isinstance(parameter, tuple):
        return str(parameter)
    more = len(parameter) - SHOWN_LABELS
    return ", ".join(parameter[:SHOWN_LABELS]) + (f" and {more} more" if more > 0 else "")


@dataclass(frozen=True, slots=True)
class RuleMaker:
    """Makes the rules of one field, so that each call names only what differs."""

    field: SyncField
    target: str

    def __call__(self, kind: RuleKind, code: str, rule: str, message: str, **parameters: Parameter) -> Rule:
        """A rule of this maker's field."""
        return Rule(self.field.name, kind, code, rule, self.target, message, parameters)

    def forbid(self, code: str, rule: str, message: str, *, clears: bool = True) -> Iterator[Rule]:
        """The rules of a field that must not be written, and with `clears` not be cleared either."""
        yield self(RuleKind.WRITABLE, code, rule, message)
        if clears:
            yield self(RuleKind.CLEARABLE, code, rule, message)


def digest(rules: Sequence[Rule]) -> str:
    """A fingerprint of what the rules check; equal metadata gives an equal digest."""
    told = [[rule.field, rule.kind, rule.code, rule.rule, dict(rule.parameters)] for rule in rules]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
