"""What people fill in: the fields that histories play with, what values of them mean, and who can store them.

Plain values only: nothing here knows how the engine works.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

Value = str | None
"""What a field means, whichever side shows it. A consent or a flag is "true" or "false", never None."""
Values = dict[str, Value]

LEAD, CONTACT = "lead", "contact"


@dataclass(frozen=True)
class Field:
    """One two-way field: its names on both sides, what Dynamics can store, and how values of it come about."""

    name: str
    column: str
    make: Callable[[random.Random, str], Any]  # a new value as Marketo takes it; the text makes it the only one
    longest: int = 2000
    consent: bool = False
    flag: bool = False
    options: tuple[str, ...] = ()  # labels of the numbers 1, 2, …
    default: Value = None  # what Dynamics fills in on a row that is made without a value
    number: bool = False
    required: bool = False
    bad_in_dynamics: tuple[Any, ...] = ()
    bad_in_marketo: tuple[Any, ...] = ()
    kinds: tuple[str, ...] = (LEAD, CONTACT)

    def plain(self, value: Any, *, from_dynamics: bool = False) -> Value:
        """What a value means. `from_dynamics`: a choice is the number of its label."""
        if self.consent or self.flag:
            return "true" if value else "false"
        if value is None or value == "":
            return None
        if self.options and from_dynamics:
            return self.options[int(value) - 1]
        if self.options:
            known = {option.lower(): option for option in self.options}
            known |= {str(number): option for number, option in enumerate(self.options, start=1)}
            return known.get(str(value).lower(), str(value))
        if self.number:
            return str(Decimal(str(value)).quantize(Decimal("0.01"), ROUND_HALF_EVEN).normalize())
        return str(value)

    def for_dynamics(self, value: Any) -> Any:
        """The same value as Dynamics takes it."""
        meant = self.plain(value)
        if self.options and meant is not None:
            return self.options.index(meant) + 1
        return float(Decimal(meant)) if self.number and meant is not None else value


@dataclass
class Limits:
    """Metadata that may change while histories are played: what Dynamics takes just now."""

    longest: dict[str, int] = field(default_factory=dict)
    without: dict[str, str] = field(default_factory=dict)  # field → label that is no option any more

    def dynamics_takes(self, spec: Field, value: Value) -> bool:
        """Whether Dynamics can store it (R110, R111; DECISIONS 1)."""
        if value is None:
            return not spec.required
        if spec.options:
            return value in spec.options and value != self.without.get(spec.name)
        if spec.number:
            return Decimal(value) >= 0
        longest = self.longest.get(spec.name, spec.longest)
        return len(value.encode("utf-16-le")) // 2 <= longest and "\x01" not in value

    @staticmethod
    def marketo_takes(spec: Field, value: Value) -> bool:
        """Whether Marketo can store it (M38)."""
        return spec.name != "email" or value is None or (value.isascii() and "@" in value)


SCRIPTS = ("Ingenjör", "工程师", "مهندس", "엔지니어", "Engenheiro", "👩‍🔬", "e\u0301", " blank ", "O'Neil & <Co>;,\"")
WAYS = ("Any", "Email", "Phone", "Fax", "Mail", "Pigeon")
PIGEON = {"microsoftPreferredMethodOfContact": "Pigeon"}
"""An option that comes and goes while histories are played."""


def _text(dice: random.Random, own: str) -> Value:
    return None if dice.random() < 0.15 else f"{dice.choice(SCRIPTS)} {own}"


def _long(dice: random.Random, own: str) -> Value:
    return None if dice.random() < 0.1 else f"{own}\n" + dice.choice(SCRIPTS) * dice.choice((1, 40, 100))


def _title(dice: random.Random, own: str) -> Value:
    return own + "." * 60 if dice.random() < 0.2 else _text(dice, own)


def _flag(dice: random.Random, _: str) -> bool:
    return dice.random() < 0.5


def _money(dice: random.Random, _: str) -> float | None:
    return dice.choice((None, dice.randint(1, 10**6) * 10.5, dice.randint(1, 10**6) + 0.125, 7.66666))


FIELDS = (
    Field("title", "jobtitle", _title, 100, bad_in_dynamics=("x" * 101, "tab\x01")),
    Field("city", "address1_city", _text, 80),
    Field("lastName", "lastname", lambda _, own: f"Name {own}", 50, required=True, bad_in_dynamics=("y" * 51,)),
    Field("mobilePhone", "mobilephone", lambda _, own: f"+46 {own}", 64, bad_in_dynamics=("0" * 65,)),
    Field("mktoPersonNotes", "description", _long),
    Field("microsoftTopic", "subject", lambda _, own: f"Topic {own}", 300, required=True, bad_in_dynamics=(None,),
          kinds=(LEAD,)),
    Field("rating", "leadqualitycode", lambda dice, _: dice.choice(("Hot", "hot", "WARM", "Cold", "3", None)),
          options=("Hot", "Warm", "Cold"), default="Warm", bad_in_dynamics=("Boiling",), kinds=(LEAD,)),
    Field("microsoftPreferredMethodOfContact", "preferredcontactmethodcode",
          lambda dice, _: dice.choice(("Any", "email", "Phone", "fax", "4", "Mail")), options=WAYS, default="Any",
          bad_in_dynamics=("Pigeon",)),
    Field("annualRevenue", "revenue", _money, number=True, bad_in_dynamics=(-5,), kinds=(LEAD,)),
    Field("doNotCall", "donotphone", _flag, flag=True),
    Field("unsubscribed", "donotbulkemail", _flag, consent=True),
    Field("microsoftDoNotEmail", "donotemail", _flag, consent=True),
    Field("email", "emailaddress1", lambda _, own: f"Person.{own}@Example.com", 100,
          bad_in_marketo=("gr\u00f6n@example.com", "no address")),
)  # fmt: skip
BY_NAME: Mapping[str, Field] = {spec.name: spec for spec in FIELDS}


def fields_of(kind: str) -> list[Field]:
    """The fields of leads, or of contacts."""
    return [spec for spec in FIELDS if kind in spec.kinds]
