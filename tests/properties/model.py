"""The rules of the sync as a program that can be read: what must be true once a cycle has done its work.

One `Story` is a handful of persons and CRM records that have to do with each other. Nothing of the engine is imported,
nothing is stored, nothing can fail: people change what persons and records show, `Story.sync` says what comes of it.
Rules are named as in docs/rules.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from tests.properties.vocabulary import BY_NAME, CONTACT, LEAD, Field, Limits, Value, Values, fields_of

IN, OUT = "in", "out"
ANY = "*"
"""The winner of an edit that lost against one which may lose in its turn."""


@dataclass(eq=False)
class Person:
    """A person of Marketo. `id` is None until somebody has looked which number a person of the sync's making got."""

    id: int | None
    values: Values
    alive: bool = True
    became: Person | None = None  # merged away into
    # What the sync says on it: record, kind, is deleted, merged into.
    marks: tuple[Record | None, str | None, bool, Record | None] = (None, None, False, None)
    # Consent fields that somebody has changed since the last cycle: when, and to what.
    said: dict[str, tuple[int, Value]] = field(default_factory=dict)


@dataclass(eq=False)
class Record:
    """A lead or contact of Dynamics."""

    kind: str
    id: str | None
    values: Values
    state: str = "open"  # or qualified, merged, deleted
    became: Record | None = None
    changed: bool = True  # since the sync last had a person for it: it waits for one (R31, R77)
    owner: Person | None = None  # whose it was when it was deleted (D48), or merged in Marketo (D44)
    ignored: bool = False  # its person was merged into one that has a record (D44)
    met: bool = False  # it has had a person


@dataclass(frozen=True)
class Lost:
    """A value that did not survive, and the one that did: both must be in the ledger (P2)."""

    person: Person
    field: str
    winner: Value
    loser: Value


@dataclass(eq=False)
class Link:
    """A person and its CRM record; `base`: what both agreed on last, field by field; none on a first link."""

    person: Person
    record: Record
    base: Values
    moved: bool = False  # to another record, and not compared since
    merged: bool = False  # to another person, and not compared since
    made: bool = False  # its record was just made; what Dynamics filled in is read by the next cycle
    refused: set[tuple[str, str]] = field(default_factory=set)  # field and direction

    def agree(self, limits: Limits) -> Iterator[Lost]:
        """Compare both sides field by field, and write what can be written."""
        writes: dict[tuple[str, bool], list[Field]] = {}
        self.refused = set()
        for name, (_, said) in self.person.said.items():
            if said == "true":
                yield from self._opt_out(name)
        for spec in fields_of(self.record.kind):
            person, record = self.person.values[spec.name], self.record.values[spec.name]
            if person == record:
                self.base[spec.name] = person
                continue
            direction, met = self._direction(spec, person, record)
            writes.setdefault((direction, spec.consent), []).append(spec)
            if met:
                winner, loser = (person, record) if direction == OUT else (record, person)
                yield Lost(self.person, spec.name, winner, loser)
        self.moved = self.merged = False
        for (direction, _), specs in writes.items():
            self._write(direction, specs, limits)

    def _opt_out(self, name: str) -> Iterator[Lost]:
        """Somebody has just opted out: it stands against whatever else was done meanwhile (D86)."""
        if self.person.values[name] == "true" != self.base.get(name):
            return  # a change like any other
        for shown in (self.person.values, self.record.values):
            if shown[name] != "true":
                yield Lost(self.person, name, "true", shown[name])
            shown[name] = self.base[name] = "true"

    def _direction(self, spec: Field, person: Value, record: Value) -> tuple[str, bool]:
        """Where a difference is settled, and whether a value is lost over it."""
        by_kind = OUT if self.record.kind == LEAD else IN  # R40, R41
        known = spec.name in self.base
        base = self.base.get(spec.name)
        if self.moved and known and record is None:
            del self.base[spec.name]  # what a conversion or merge left empty is no clearing, also if refused now (D36)
            return OUT, False
        if spec.consent and (not known or self.moved or self.merged):
            return (OUT if person == "true" else IN), False  # opt-out wins (DECISIONS 3, D36, D44, D86)
        if not known:  # a first link: empty never wins (D4)
            if person is None or record is None:
                return (IN if person is None else OUT), False
            return by_kind, True
        if person == base:
            return IN, False
        return (by_kind, True) if record != base else (OUT, False)

    def _write(self, direction: str, specs: list[Field], limits: Limits) -> None:
        """All of one direction or nothing: a record with a failing field is not written (R110, DECISIONS 2)."""
        source, target = (self.person, self.record) if direction == OUT else (self.record, self.person)
        takes = limits.dynamics_takes if direction == OUT else limits.marketo_takes
        wrong = {spec.name for spec in specs if not takes(spec, source.values[spec.name])}
        self.refused |= {(name, direction) for name in wrong}
        for spec in specs if not wrong else ():
            target.values[spec.name] = self.base[spec.name] = source.values[spec.name]


@dataclass
class Story:
    """What belongs together, and nothing else in either system has to do with."""

    number: int
    persons: list[Person] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    requests: list[tuple[Person, str]] = field(default_factory=list)
    wanted: dict[Person, str] = field(default_factory=dict)  # records that cannot be made yet, and as what
    refused: set[tuple[Person, str]] = field(default_factory=set)  # what keeps a record from being made
    lost: list[Lost] = field(default_factory=list)
    merging: bool = False  # records were merged since the last cycle
    twins: bool = False  # several have one address: nobody unsubscribes, for Marketo unsubscribes all of them (R146)

    def link_of(self, one: Person | Record) -> Link | None:
        """The link that a person or CRM record is in."""
        return next((link for link in self.links if one in (link.person, link.record)), None)

    def deleted(self, person: Person) -> None:
        """Somebody deletes a person: what was changed in its record before that is no reason for a new one (R77)."""
        person.alive = False
        for link in self.links:
            link.record.changed = link.record.changed and _last(link.person) is not person
        for record in self.records:
            if record.ignored and record.owner and _last(record.owner) is person:
                record.changed = False

    def sync(self, limits: Limits) -> None:
        """One cycle."""
        for link in sorted(self.links, key=_steps_and_kind):  # of several that come to one person, contacts first (D44)
            self._person_merged(link)
        self._wishes_merged()
        met = {link for link in self.links if self._qualified_into(link)}
        for link in sorted(self.links, key=_steps):  # who has fewer steps to go keeps what both come to
            self._record_became(link, superseded=link in met)
        for link in list(self.links):
            self._ended(link)
        for record in self.records:
            if record.state == "open" and record.changed and self.link_of(record) is None:
                self._arrived(record, limits)
        waiting, self.requests = self.requests, []
        asked = set[str]()
        for person, kind in waiting:
            self._requested(_last(person), kind, asked)
        self.refused = set()
        for person, kind in list(self.wanted.items()):
            self._make(person, kind, limits)
        for link in self.links:
            self.lost += link.agree(limits) if not link.made else ()
            link.record.changed, link.record.met, link.made = False, True, False
            link.person.marks = (link.record, link.record.kind.capitalize(), False, None)
        for person in self.persons:
            person.said.clear()
        self.merging = False

    def _person_merged(self, link: Link) -> None:
        """R73, D44: the link goes to the survivor, unless that one has a record of its own."""
        survivor = _last(link.person)
        if survivor is link.person:
            return
        if self.link_of(survivor) is None:
            link.person, link.merged = survivor, True
            return
        link.record.owner, link.record.ignored = survivor, True
        link.record.changed = link.record.changed and not survivor.alive
        self.links.remove(link)

    def _wishes_merged(self) -> None:
        """D44: what a loser waits for, the survivor waits for, unless it waits itself; contacts first."""
        for loser in sorted((p for p in self.wanted if p.became), key=lambda p: self.wanted[p] == LEAD):
            self.wanted.setdefault(_last(loser), self.wanted.pop(loser))

    def _qualified_into(self, link: Link) -> bool:
        """Whether the way of its record first meets that of another link's by a qualification (D37), not a merge."""
        others = {record for other in self.links if other is not link for record in _way(other.record)}
        met = next((step for step in _way(link.record)[1:] if step in others), None)
        return met is not None and next(
            record.state == "qualified" for record in _way(link.record) if record.became is met
        )

    def _record_became(self, link: Link, *, superseded: bool) -> None:
        """R66, R71, D42, D43: the link goes on with the contact, or the winner of a merge, unless that has one.

        `superseded`: if it has one, the person is not told that its record is gone (D37).
        """
        record = successor(link.record)
        if record is link.record:
            return
        winner = self.link_of(record)
        if winner is not None and not winner.person.alive:  # that link is over: who had the first record goes on (D43)
            self.links.remove(winner)
            winner = None
        if winner is None:
            link.record, link.moved = record, True
            link.base = {name: value for name, value in link.base.items() if record.kind in BY_NAME[name].kinds}
            return
        self.links.remove(link)
        link.person.marks = (link.record, link.record.kind.capitalize(), not superseded, record)
        self._hand_over(link, winner)

    def _hand_over(self, link: Link, winner: Link) -> None:
        """D42: what the loser's person had just changed goes on, unless the winner's changed the same field."""
        for spec in fields_of(link.record.kind):
            name, edit = spec.name, link.person.values[spec.name]
            if name not in link.base or edit == link.base[name] or name not in winner.base:
                continue
            if winner.person.values[name] == winner.base[name]:
                winner.person.values[name] = edit
            elif winner.person.values[name] != edit:
                self.lost.append(Lost(winner.person, name, ANY, edit))

    def _ended(self, link: Link) -> None:
        """R75, R76: the other side stays; a person is told that its record is gone."""
        if link.person.alive and link.record.state != "deleted":
            return
        self.links.remove(link)
        if link.record.state == "deleted":
            link.record.owner = link.person
            link.person.marks = (link.record, link.record.kind.capitalize(), True, None)

    def _arrived(self, record: Record, limits: Limits) -> None:
        """R31, D13, D24, D48, R77: the person it had, the only one with its address, or a new one if there is none."""
        owner = _last(record.owner) if record.owner else None
        if record.ignored and owner is not None and owner.alive:
            record.changed = False
            return
        if owner is not None and owner.alive and self.link_of(owner) is None:
            self.links.append(Link(owner, record, {}))
            return
        if any(person.marks[0] is record for person in self.wanted):
            return  # its id is carried until another record is made for that person: it waits (D14)
        address = (record.values["email"] or "").lower()
        same = [p for p in self.persons if p.alive and address and (p.values["email"] or "").lower() == address]
        free = [p for p in same if self.link_of(p) is None]
        free = [p for p in free if p in self.wanted] or free  # who waits for a record of its own has it now
        if len(free) == 1:
            self.wanted.pop(free[0], None)
            self.links.append(Link(free[0], record, {}))
            return
        if free:  # somebody has to decide whose it is
            return
        if all(limits.marketo_takes(spec, record.values[spec.name]) for spec in fields_of(record.kind)):
            person = Person(None, {**nobody(), **record.values})
            self.persons.append(person)
            self.links.append(Link(person, record, dict(record.values)))

    def _requested(self, person: Person, kind: str, asked: set[str]) -> None:
        """R46-R48, D24: nothing for who has a record; the only free one with the address; else a new one.

        What was merged or qualified gives way to the record that took its place (D25), or to none. What somebody else
        has is not taken, and nothing is made beside it (D14), nor beside one about to be made (addresses `asked`).
        """
        if not person.alive or self.link_of(person) is not None or person in self.wanted:
            return
        address = (person.values["email"] or "").lower()
        there = [record for record in self.records if record.state != "deleted" and address]
        same = [record for record in there if (record.values["email"] or "").lower() == address]
        contacts = [record for record in same if record.kind == CONTACT]  # looked for first
        found = list(dict.fromkeys(successor(record) for record in contacts or same))
        found = [record for record in found if record.state != "deleted"]  # R79
        if not found and address not in asked:
            self.wanted[person] = kind
            asked |= {address} if address else set()
            return
        free = [record for record in found if record.state == "open" and self.link_of(record) is None]
        if len(free) == 1:
            self.links.append(Link(person, free[0], {}))

    def _make(self, person: Person, kind: str, limits: Limits) -> None:
        """A record of what the person shows; nothing while Dynamics cannot store all of it (R49, R110)."""
        if not person.alive or self.link_of(person) is not None:
            del self.wanted[person]
            return
        shown = {spec.name: person.values[spec.name] for spec in fields_of(kind)}
        topic = shown["lastName"] if kind == LEAD else None  # composed of what is known (default_on_create)
        given = {"microsoftTopic": topic} | {name: value for name, value in shown.items() if value is not None}
        wrong = {spec.name for spec in fields_of(kind) if not limits.dynamics_takes(spec, given.get(spec.name))}
        self.refused |= {(person, name) for name in wrong}
        if not wrong:
            del self.wanted[person]
            filled = {spec.name: given.get(spec.name, spec.default) for spec in fields_of(kind)}
            self.records.append(Record(kind, None, filled))
            self.links.append(Link(person, self.records[-1], shown, made=True))


def nobody() -> Values:
    """The values of a person of whom nothing is known."""
    return {spec.name: spec.plain(None) for spec in BY_NAME.values()}


def successor(record: Record) -> Record:
    """What a record is in the end, after merges and conversions."""
    while record.became is not None:
        record = record.became
    return record


def _steps(link: Link) -> tuple[int, int]:
    """How often its record was merged away, and how often it became another one at all."""
    way = _way(link.record)
    return sum(before.kind == after.kind for before, after in pairwise(way)), len(way) - 1


def _steps_and_kind(link: Link) -> tuple[int, bool]:
    return _steps(link)[1], successor(link.record).kind == LEAD


def _way(record: Record) -> list[Record]:
    """A record and those that took its place, one after the other."""
    way = [record]
    while way[-1].became is not None:
        way.append(way[-1].became)
    return way


def _last(person: Person) -> Person:
    """Who is left of merges in the end."""
    while person.became is not None:
        person = person.became
    return person
