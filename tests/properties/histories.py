"""Random histories over both systems, and a small plain model of the rules that says how they must end.

Nothing of the engine's rules is imported here: the model works on plain values, one field after another.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

Value = str | None


@dataclass(frozen=True)
class Kind:
    """One two-way field: its names on both sides, and how values of it come about and are read."""

    person: str
    row: str
    make: Callable[[random.Random, int], Any]  # a new value as Marketo takes it
    consent: bool = False
    options: tuple[str, ...] = ()  # labels of the numbers 1, 2, …
    number: bool = False
    bad_in_dynamics: tuple[Any, ...] = ()
    bad_in_marketo: tuple[Any, ...] = ()
    entities: tuple[str, ...] = ("lead", "contact")

    def plain(self, value: Any, *, label: bool = False) -> Value:
        """What a value means, whichever side shows it. `label`: Dynamics' number of a choice."""
        if isinstance(value, bool) or self.consent or self.person == "doNotCall":
            return "true" if value else "false"
        if value is None or value == "":
            return None
        if self.options and label:
            return self.options[int(value) - 1]
        if self.options:
            known = {option.lower(): option for option in self.options}
            known |= {str(number): option for number, option in enumerate(self.options, start=1)}
            return known.get(str(value).lower(), str(value))
        if self.number:
            return str(Decimal(str(value)).quantize(Decimal("0.01"), ROUND_HALF_EVEN).normalize())
        return str(value)

    def for_row(self, value: Any) -> Any:
        """The same value as Dynamics takes it."""
        meant = self.plain(value)
        if self.options and meant is not None:
            return self.options.index(meant) + 1
        return float(Decimal(meant)) if self.number and meant is not None else value


SCRIPTS = ("Ingenjör", "工程师", "مهندس", "엔지니어", "Engenheiro", "👩‍🔬", "e\u0301", " blank ", "O'Neil & <Co>;,\"")


def _text(dice: random.Random, number: int) -> Value:
    return None if dice.random() < 0.15 else f"{dice.choice(SCRIPTS)} {number}"


def _long(dice: random.Random, number: int) -> Value:
    return f"{number}\n" + dice.choice(SCRIPTS) * dice.choice((1, 40, 100))


def _flag(dice: random.Random, _: int) -> bool:
    return dice.random() < 0.5


def _rating(dice: random.Random, _: int) -> Value:
    return dice.choice(("Hot", "hot", "WARM", "Cold", "3", None))


def _way(dice: random.Random, _: int) -> Value:
    return dice.choice(("Any", "email", "Phone", "fax", "4", "Mail"))


def _money(dice: random.Random, number: int) -> float | None:
    return dice.choice((None, number * 10.5, number + 0.125, number + 0.66666))


def _email(_: random.Random, number: int) -> str:
    return f"Person.{number}@Example.com"


WAYS = ("Any", "Email", "Phone", "Fax", "Mail")
KINDS = (
    Kind("title", "jobtitle", _text, bad_in_dynamics=("x" * 101, "tab\x01"), bad_in_marketo=()),
    Kind("city", "address1_city", _text),
    Kind("lastName", "lastname", lambda _, n: f"Name {n}", bad_in_dynamics=("y" * 51,)),
    Kind("mobilePhone", "mobilephone", lambda _, n: f"+46 {n}", bad_in_dynamics=("0" * 65,)),
    Kind("mktoPersonNotes", "description", _long),
    Kind("microsoftTopic", "subject", lambda _, n: f"Topic {n}", bad_in_dynamics=(None,), entities=("lead",)),
    Kind("rating", "leadqualitycode", _rating, options=("Hot", "Warm", "Cold"), bad_in_dynamics=("Boiling",),
         entities=("lead",)),
    Kind("microsoftPreferredMethodOfContact", "preferredcontactmethodcode", _way, options=WAYS),
    Kind("annualRevenue", "revenue", _money, number=True, bad_in_dynamics=(-5,), entities=("lead",)),
    Kind("doNotCall", "donotphone", _flag),
    Kind("unsubscribed", "donotbulkemail", _flag, consent=True),
    Kind("microsoftDoNotEmail", "donotemail", _flag, consent=True),
    Kind("email", "emailaddress1", _email, bad_in_marketo=("gr\u00f6n@example.com", "no address")),
)  # fmt: skip


def kinds(entity: str) -> list[Kind]:
    """The fields of one entity."""
    return [kind for kind in KINDS if entity in kind.entities]


@dataclass
class Cell:
    """One field of one pair, as the model sees it: what each side shows, and what they agreed on last."""

    base: Value
    person: Value
    row: Value
    bad_outbound: bool = False  # what the person shows cannot be stored in Dynamics
    bad_inbound: bool = False


@dataclass(frozen=True)
class Lost:
    """A value that did not survive a collision."""

    field: str
    winner: Value
    loser: Value


@dataclass
class Pair:
    """A person and its CRM record."""

    person: int
    entity: str
    row: str
    cells: dict[str, Cell] = field(default_factory=dict)

    def cycle(self) -> list[Lost]:
        """What a cycle must do to the pair; returns the collisions it must write down."""
        writes: dict[tuple[str, bool], list[str]] = {}
        lost: list[Lost] = []
        for kind in kinds(self.entity):
            cell = self.cells[kind.person]
            moved_p, moved_r = cell.person != cell.base, cell.row != cell.base
            if cell.person == cell.row:
                cell.base = cell.person
            elif moved_p or moved_r:
                out = moved_p and (not moved_r or self.entity == "lead")
                writes.setdefault(("out" if out else "in", kind.consent), []).append(kind.person)
                if moved_p and moved_r:
                    ends = (cell.person, cell.row) if out else (cell.row, cell.person)
                    lost.append(Lost(kind.person, *ends))
        for (direction, _), names in writes.items():
            cells = [self.cells[name] for name in names]
            if any(cell.bad_outbound if direction == "out" else cell.bad_inbound for cell in cells):
                continue
            for cell in cells:
                cell.base = cell.person = cell.row = cell.person if direction == "out" else cell.row
                cell.bad_outbound = cell.bad_inbound = False
        return lost

    @property
    def blocked(self) -> bool:
        """Whether a value that cannot cross holds something back."""
        return any(cell.bad_outbound or cell.bad_inbound for cell in self.cells.values())
