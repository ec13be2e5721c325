"""Stories played in both systems: hands for what people do (`acts`), and eyes that compare both systems with the model.

One world carries many stories at once, so a cycle costs hardly more than for one; each story is checked by itself.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import sqlalchemy as sa

from tests.properties.acts import ACTS
from tests.properties.model import ANY, Person, Record, Story
from tests.properties.vocabulary import BY_NAME, CONTACT, FIELDS, LEAD, PIGEON, WAYS, Field, Limits, Values, fields_of
from tests.world import World, lay_out

MARKS = ("microsoftId", "microsoftType", "microsoftIsDeleted", "microsoftMergedInto")
SETTINGS = {
    "policies": {"brake": {what: {"count": 100_000, "share": 1.0} for what in ("deletes", "overwrites", "creations")}},
    "creation": {"first_sync_matches": 100_000},
}
"""Hundreds of stories in one cycle would be many deletions at once; the brake has tests of its own."""


@dataclass(frozen=True)
class Act:
    """Something that people do in a story. `seed`: of every choice that it leaves open."""

    name: str
    seed: int


class Wrong(AssertionError):
    """A story did not end as the model says. `number`: which."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(text)
        self.number, self.story = number, ""

    def __str__(self) -> str:
        return f"history {self.number}:\n{self.story}\n  but\n{super().__str__()}"


def open_world(folder: Path, settings: dict[str, Any] | None = None, *, begun: bool = False) -> World:
    """Both systems empty, or as a world left them there, and a brake that lets hundreds of stories happen at once."""
    folder.mkdir(parents=True, exist_ok=True)
    if not begun:
        lay_out(folder, set_up=True, with_state=True)
    return World(folder, settings or SETTINGS, fresh=False)


@dataclass
class Stage:
    """The stories of one world."""

    world: World
    stories: list[Story]
    limits: Limits = field(default_factory=Limits)
    happened: Counter[str] = field(default_factory=Counter)
    told: dict[int, list[str]] = field(default_factory=lambda: defaultdict(list))
    moments: Iterator[int] = field(default_factory=count)

    # --- what people do ---------------------------------------------------------------------------

    def do(self, story: Story, act: Act) -> None:
        """Carry out an act in the systems and in the model; nothing if the story has no room for it."""
        self.act(story, act.name, random.Random(act.seed), f"{story.number}.{act.seed % 100_000}")

    def act(self, story: Story, name: str, dice: random.Random, own: str) -> bool:
        """The same with choices of any kind; `own` makes what is typed the only one. Returns whether there was room."""
        done = ACTS[name](self, story, dice, own)
        if done:
            self.happened[name] += 1
            self.told[story.number].append(f"{name}: {done}")
        return done is not None

    def tell(self, text: str) -> None:
        """Something that happens to all stories."""
        for story in self.stories:
            self.told[story.number].append(text)

    def add_record(self, story: Story, kind: str, dice: random.Random, own: str, **given: Any) -> Record:
        """A salesperson makes a record; `given` are values in place of chance ones."""
        values = {spec.name: self.fitting(spec, dice, own) for spec in fields_of(kind)} | given
        columns = {spec.column: spec.for_dynamics(values[spec.name]) for spec in fields_of(kind)}
        record = Record(kind, self.world.add_row(kind, **columns), {})
        record.values = self.row_values(record)
        story.records.append(record)
        return record

    def add_person(self, story: Story, dice: random.Random, own: str, **given: Any) -> Person:
        """A person of Marketo that Dynamics does not know."""
        values = {spec.name: self.fitting(spec, dice, own) for spec in FIELDS} | given
        person = Person(self.world.add_person(**values), {})
        person.values = self.person_values(person)
        story.persons.append(person)
        return person

    def fitting(self, spec: Field, dice: random.Random, own: str) -> Any:
        """A new value that both systems can store."""
        while True:
            value = spec.make(dice, own)
            if self.limits.dynamics_takes(spec, spec.plain(value)):
                return value

    def edit_person(self, person: Person, spec: Field, value: Any) -> str:
        self.world.edit_person(person.id or 0, **{spec.name: value})
        meant = spec.plain(value)
        if spec.consent and meant != person.values[spec.name]:
            person.said[spec.name] = next(self.moments), meant
        person.values[spec.name] = meant
        return f"person {person.id}: {spec.name} = {str(value)[:30]!r}"

    def edit_record(self, record: Record, spec: Field, value: Any) -> str:
        self.world.edit_row(record.kind, record.id or "", **{spec.column: value})
        record.values[spec.name], record.changed = spec.plain(value, from_dynamics=True), True
        return f"{record.kind} {record.id}: {spec.name} = {str(value)[:30]!r}"

    # --- what administrators do -------------------------------------------------------------------

    def set_options(self, *, pigeon: bool) -> None:
        """The option that comes and goes; no row ever holds it when it goes."""
        labels = WAYS if pigeon else WAYS[:-1]
        options = [{"value": number, "label": label} for number, label in enumerate(labels, start=1)]
        self._set_metadata("preferredcontactmethodcode", {"options": options})
        self.limits.without = {} if pigeon else dict(PIGEON)
        self.tell("the option Pigeon is there" if pigeon else "the option Pigeon is gone")

    def set_length(self, longest: int) -> None:
        """How many characters a job title may have."""
        self._set_metadata("jobtitle", {"max_length": longest})
        self.limits.longest = {"title": longest}
        self.tell(f"a job title has at most {longest} characters")

    def _set_metadata(self, column: str, changes: dict[str, Any]) -> None:
        for kind in (LEAD, CONTACT):
            given = {"entity": kind, "attribute": column, "changes": changes}
            self.world.dynamics.control("set_metadata", given)
        self.world.movable.advance(3_700)  # the engine's copy of the metadata is too old now
        self.happened["metadata"] += 1

    # --- what the systems show --------------------------------------------------------------------

    def person_values(self, person: Person) -> Values:
        shown = self.world.person(person.id or 0, *BY_NAME)
        assert shown is not None
        return {spec.name: spec.plain(shown[spec.name]) for spec in FIELDS}

    def row_values(self, record: Record) -> Values:
        shown = self.world.row(record.kind, record.id or "")
        assert shown is not None
        return {spec.name: spec.plain(shown[spec.column], from_dynamics=True) for spec in fields_of(record.kind)}

    def persons(self) -> dict[int, dict[str, Any]]:
        """Every person that there is."""
        newest = self.world.marketo.control("find_people", {"text": "", "limit": 1})
        last = max((row["id"] for row in newest), default=0)
        found: dict[int, dict[str, Any]] = {}
        for start in range(1, last + 1, 300):
            ids = ",".join(map(str, range(start, start + 300)))
            query = urlencode({"filterType": "id", "filterValues": ids, "fields": ",".join([*BY_NAME, *MARKS])})
            found |= {row["id"]: row for row in self.world._marketo("GET", "/rest/v1/leads.json", query)["result"]}
        return found

    def rows(self) -> dict[str, dict[str, Any]]:
        """Every lead and contact that there is, those that were merged away too."""
        return {row[f"{kind}id"]: row for kind in (LEAD, CONTACT) for row in self.world.rows(kind)}

    # --- cycles and checks ------------------------------------------------------------------------

    def cycle(self) -> tuple[int, int]:
        """One cycle here and in the model; how many operations it planned, and how many of these were refused."""
        steps = self.world.run()["steps"]
        for story in self.stories:
            story.sync(self.limits)
            self._bind(story)
        return int(steps["plan"]["operations"]), int(steps["enqueue"]["parked"])

    def settle(self) -> None:
        """Cycles until one has nothing to send."""
        for _ in range(8):
            planned, refused = self.cycle()
            if planned == refused:
                return
            self.world.movable.advance(3_700)  # held records are looked at once an hour, feeds read again
        raise Wrong(self._busy(), "still writing after 8 cycles")

    def _busy(self) -> int:
        """The story that the newest operation belongs to."""
        query = "SELECT person_id, crm_id FROM operation ORDER BY created_at DESC LIMIT 1"
        with self.world.engine.store.engine.connect() as connection:
            person, record = connection.execute(sa.text(query)).one()
        for story in self.stories:
            if person in {each.id for each in story.persons} or record in {each.id for each in story.records}:
                return story.number
        return -1

    def check(self) -> None:
        """Both systems are as the model says, story by story; raises `Wrong` for the first that is not."""
        persons, rows = self.persons(), self.rows()
        failed = self._open_failures()
        lost = self._ledger()
        known_persons, known_rows = set[int](), set[str]()
        for story in self.stories:
            wrong = [
                *self._wrong_persons(story, persons),
                *self._wrong_rows(story, rows),
                *self._wrong_outcomes(story, failed),
                *self._wrong_ledger(story, lost),
            ]
            if wrong:
                raise Wrong(story.number, "\n".join(wrong))
            known_persons |= {person.id or 0 for person in story.persons}
            known_rows |= {record.id or "" for record in story.records}
        for number in sorted(set(persons) - known_persons):
            raise Wrong(self._owner(persons[number]["microsoftId"]), f"a person nobody expected: {persons[number]}")
        for row_id in sorted(set(rows) - known_rows):
            raise Wrong(self._owner(row_id), f"a record nobody expected: {rows[row_id]}")

    def _owner(self, record_id: str | None) -> int:
        """The story with this record; -1 when there is none."""
        return next((story.number for story in self.stories for r in story.records if r.id == record_id), -1)

    def _bind(self, story: Story) -> None:
        """Learn the ids of what the sync made."""
        for link in story.links:
            if link.record.id is None and link.person.id is not None:
                shown = self.world.person(link.person.id, "microsoftId")
                link.record.id = shown["microsoftId"] if shown else None
            if link.person.id is None and link.record.id is not None:
                taken = {person.id for person in story.persons}
                found = [row["id"] for row in self.world.persons_by("microsoftId", link.record.id)]
                link.person.id = next((number for number in found if number not in taken), None)

    def _wrong_persons(self, story: Story, persons: dict[int, dict[str, Any]]) -> Iterable[str]:
        for person in story.persons:
            shown = persons.get(person.id or 0)
            if (shown is not None) != person.alive:
                yield f"person {person.id} is {'there' if shown else 'not there'}"
                continue
            if shown is None:
                continue
            for spec in FIELDS:
                got = spec.plain(shown[spec.name])
                if got != person.values[spec.name]:
                    yield f"person {person.id}: {spec.name} is {got!r}, the model says {person.values[spec.name]!r}"
            record, kind, deleted, into = person.marks
            got_marks = tuple(shown[name] or None for name in MARKS)
            marks = (record.id if record else None, kind, deleted or None, into.id if into else None)
            if got_marks != marks:
                yield f"person {person.id} says {got_marks}, the model {marks}"

    def _wrong_rows(self, story: Story, rows: dict[str, dict[str, Any]]) -> Iterable[str]:
        for record in story.records:
            shown = rows.get(record.id or "")
            if (shown is not None) != (record.state != "deleted"):
                yield f"{record.kind} {record.id} is {'there' if shown else 'not there'}"
            if shown is None or record.state == "deleted":
                continue
            if f"{record.kind}id" not in shown:
                yield f"{record.id} is no {record.kind}"
                continue
            for spec in fields_of(record.kind):
                got = spec.plain(shown[spec.column], from_dynamics=True)
                if got != record.values[spec.name]:
                    yield f"{record.kind} {record.id}: {spec.name} is {got!r}, not {record.values[spec.name]!r}"

    def _open_failures(self) -> dict[int, set[str]]:
        query = "SELECT person_id, field FROM activity WHERE open = 1 AND outcome = 'failed'"
        found: dict[int, set[str]] = defaultdict(set)
        with self.world.engine.store.engine.connect() as connection:
            for person, name in connection.execute(sa.text(query)):
                found[person].add(name)
        return found

    def _wrong_outcomes(self, story: Story, failed: dict[int, set[str]]) -> Iterable[str]:
        refused: dict[int, set[str]] = defaultdict(set)
        for link in story.links:
            refused[link.person.id or 0] |= {name for name, _ in link.refused}
        for person, name in story.refused:
            refused[person.id or 0].add(name)
        for person in story.persons:
            number = person.id or 0
            if person.alive and refused[number] != failed.get(number, set()):
                yield f"person {number}: open failures {failed.get(number)}, the model refuses {refused[number]}"

    def _ledger(self) -> set[tuple[int, str, str | None, str | None]]:
        query = "SELECT person_id, field, after, lost FROM ledger WHERE lost IS NOT NULL OR kind = 'collision'"
        with self.world.engine.store.engine.connect() as connection:
            rows = connection.execute(sa.text(query)).all()
        plain = [(person, BY_NAME.get(name), after, lost) for person, name, after, lost in rows]
        return {(person, s.name, _read(s, after), _read(s, lost)) for person, s, after, lost in plain if s}

    def _wrong_ledger(self, story: Story, lost: set[tuple[int, str, str | None, str | None]]) -> Iterable[str]:
        for each in story.lost:
            mine = [row for row in lost if row[:2] == (each.person.id, each.field)]
            if not any(row[3] == each.loser and each.winner in {row[2], ANY} for row in mine):
                yield f"not in the ledger: {each.field} of {each.person.id}: {each.winner} over {each.loser}; {mine}"
        self.happened["collision"] += len(story.lost)
        story.lost.clear()


def _read(spec: Field, text: str | None) -> str | None:
    """A value of the ledger, which writes flags as words."""
    return text if spec.flag or spec.consent else spec.plain(text)
