"""What people do in the stories: each act is carried out in both systems and in the model.

An act says in words what it did, or nothing when the story has no room for it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from include.leadsync.requests import request_persons
from tests.properties.model import Link, Person, Record, Story, successor
from tests.properties.vocabulary import BY_NAME, CONTACT, LEAD, Field, fields_of

if TYPE_CHECKING:
    from tests.properties.stage import Stage

Doing = Callable[["Stage", Story, random.Random, str], "str | None"]


def _linked(story: Story, dice: random.Random, kind: str | None = None) -> Link | None:
    live = [link for link in story.links if link.person.alive and link.record.state == "open"]
    live = [link for link in live if link.person.id and link.record.id and kind in {None, link.record.kind}]
    return dice.choice(live) if live else None


def _alive(story: Story, dice: random.Random) -> Person | None:
    alive = [person for person in story.persons if person.alive and person.id]
    return dice.choice(alive) if alive else None


def _open_ones(story: Story) -> list[Record]:
    """Records that people can work with."""
    return [record for record in story.records if record.state == "open" and record.id]


def _open(story: Story, dice: random.Random) -> Record | None:
    return dice.choice(_open_ones(story) or [None])


def _refused(stage: Stage, story: Story, record: Record) -> bool:
    """Whether it, or a person whose record it is or became, shows what the other side cannot store."""
    persons = [link.person for link in story.links if successor(link.record) is record]
    shown = [(spec, person.values[spec.name]) for spec in fields_of(record.kind) for person in persons]
    out = any(not stage.limits.dynamics_takes(spec, value) for spec, value in shown)
    return out or not stage.limits.marketo_takes(BY_NAME["email"], record.values["email"])


def _fields(story: Story, kind: str) -> list[Field]:
    return [spec for spec in fields_of(kind) if not (story.twins and spec.name == "unsubscribed")]


def edit_person(stage: Stage, story: Story, dice: random.Random, own: str) -> str | None:
    person = _alive(story, dice)
    if person is None:
        return None
    link = story.link_of(person)
    spec = dice.choice(_fields(story, link.record.kind if link else LEAD))
    value = stage.fitting(spec, dice, own) if story.merging else spec.make(dice, own)  # see `_refused`
    return stage.edit_person(person, spec, value)


def spoil_person(stage: Stage, story: Story, dice: random.Random, own: str) -> str | None:
    link = None if story.merging else _linked(story, dice)
    if link is None:
        return None
    spec = dice.choice([spec for spec in fields_of(link.record.kind) if spec.bad_in_dynamics])
    return stage.edit_person(link.person, spec, dice.choice(spec.bad_in_dynamics))


def edit_record(stage: Stage, story: Story, dice: random.Random, own: str) -> str | None:
    record = _open(story, dice)
    if record is None:
        return None
    spec = dice.choice(_fields(story, record.kind))
    return stage.edit_record(record, spec, spec.for_dynamics(stage.fitting(spec, dice, own)))


def spoil_record(stage: Stage, story: Story, dice: random.Random, own: str) -> str | None:
    record = None if story.merging else _open(story, dice)
    spec = BY_NAME["email"]
    return stage.edit_record(record, spec, dice.choice(spec.bad_in_marketo)) if record else None


def edit_both(stage: Stage, story: Story, dice: random.Random, own: str) -> str | None:
    """Both hands at one field."""
    link = _linked(story, dice)
    if link is None:
        return None
    spec = dice.choice(_fields(story, link.record.kind))
    first = stage.edit_person(link.person, spec, stage.fitting(spec, dice, own))
    value = spec.for_dynamics(stage.fitting(spec, dice, f"{own}r"))
    return f"{first}; {stage.edit_record(link.record, spec, value)}"


def edit_alike(stage: Stage, story: Story, dice: random.Random, own: str) -> str | None:
    """Both type the same."""
    link = _linked(story, dice)
    if link is None:
        return None
    spec = dice.choice(_fields(story, link.record.kind))
    value = stage.fitting(spec, dice, own)
    first = stage.edit_person(link.person, spec, value)
    return f"{first}; {stage.edit_record(link.record, spec, spec.for_dynamics(value))}"


def new_record(stage: Stage, story: Story, dice: random.Random, own: str) -> str | None:
    if len(story.records) > 3:
        return None
    record = stage.add_record(story, dice.choice((LEAD, CONTACT)), dice, own)
    return f"{record.kind} {record.id}"


def new_person(stage: Stage, story: Story, dice: random.Random, own: str) -> str | None:
    """Somebody whom Marketo alone knows; now and then with the address of a record that has nobody."""
    if len(story.persons) > 3:
        return None
    person = stage.add_person(story, dice, own)
    return f"person {person.id}"


def namesake(stage: Stage, story: Story, dice: random.Random, own: str) -> str | None:
    """A new record with the address of a person who has none: they belong together (D13)."""
    free = [p for p in story.persons if p.alive and p.id and story.link_of(p) is None and p.values["email"]]
    if len(free) != 1 or "@" not in str(free[0].values["email"]):
        return None
    address = str(free[0].values["email"])
    others: list[Person | Record] = [*story.records]
    others += [person for person in story.persons if person.alive and person is not free[0]]
    if address.lower() in {(each.values["email"] or "").lower() for each in others}:
        return None
    record = stage.add_record(story, dice.choice((LEAD, CONTACT)), dice, own, email=address.upper())
    return f"{record.kind} {record.id} with the address of {free[0].id}"


def _with_address(story: Story, dice: random.Random) -> Link | None:
    """A pair with an address of its own that nobody has unsubscribed."""
    link = _linked(story, dice)
    if link is None or {link.person.values["unsubscribed"], link.record.values["unsubscribed"]} != {"false"}:
        return None
    address = link.person.values["email"]
    return link if address and "@" in address and address == link.record.values["email"] else None


def twin_record(stage: Stage, story: Story, dice: random.Random, own: str) -> str | None:
    """A new record with the address of a person who has one: it gets a person of its own (D14)."""
    link = None if len(story.records) > 3 else _with_address(story, dice)
    if link is None:
        return None
    given = {"email": link.person.values["email"], "unsubscribed": False}
    record = stage.add_record(story, dice.choice((LEAD, CONTACT)), dice, own, **given)
    story.twins = True
    return f"{record.kind} {record.id} with the address of {link.person.id}"


def twin_person(stage: Stage, story: Story, dice: random.Random, own: str) -> str | None:
    """Somebody with the address of a record that has a person asks for one: that record is not taken (D14)."""
    link = None if len(story.persons) > 3 else _with_address(story, dice)
    if link is None:
        return None
    person = stage.add_person(story, dice, own, email=link.record.values["email"], unsubscribed=False)
    story.twins = True
    return f"person {person.id} with the address of {link.record.id}, {_ask(stage, story, person, dice, own)}"


def request(stage: Stage, story: Story, dice: random.Random, own: str) -> str | None:
    """Sync Person to Microsoft, for whoever it is."""
    person = _alive(story, dice)
    if person is None:
        return None
    link = story.link_of(person)
    if link is not None and link.record.state != "open":
        return None  # whether it asked before or after that, nobody can tell who sees both at once
    return _ask(stage, story, person, dice, own)


def _ask(stage: Stage, story: Story, person: Person, dice: random.Random, own: str) -> str:
    kind = dice.choice((LEAD, CONTACT))
    stage.world.movable.advance(1)  # of two requests the older one counts
    request_persons(stage.world.engine, [person.id or 0], kind, source="test", token=own)
    story.requests.append((person, kind))
    return f"person {person.id} as {kind}"


def delete_record(stage: Stage, story: Story, dice: random.Random, own: str) -> str | None:
    record = _open(story, dice)
    # What became of a record in one cycle with its deletion is played by tests/engine/test_gone_in_one_cycle.py.
    if record is None or story.requests or any(link.record.became is record for link in story.links):
        return None
    if any(link.person.became for link in story.links):
        return None
    # The lead of a contact is not known any more when that is gone: one that never had a person itself would get one.
    if any(each.state == "qualified" and not each.met and successor(each) is record for each in story.records):
        return None
    stage.world.delete_row(record.kind, record.id or "")
    record.state = "deleted"
    return f"{record.kind} {record.id}"


def restore_record(stage: Stage, story: Story, dice: random.Random, own: str) -> str | None:
    """A record that was deleted comes back under its own id."""
    gone = [record for record in story.records if record.state == "deleted" and record.id]
    if not gone:
        return None
    record = dice.choice(gone)
    values = {spec.column: spec.for_dynamics(stage.fitting(spec, dice, own)) for spec in fields_of(record.kind)}
    values |= {BY_NAME["unsubscribed"].column: False} if story.twins else {}
    stage.world.add_row(record.kind, **{f"{record.kind}id": record.id}, **values)
    record.state, record.changed, record.values = "open", True, stage.row_values(record)
    return f"{record.kind} {record.id}"


def delete_person(stage: Stage, story: Story, dice: random.Random, own: str) -> str | None:
    person = _alive(story, dice)
    if person is None:
        return None
    stage.world.delete_person(person.id or 0)
    stage.world.movable.advance(10)  # an update within seconds of the deletion counts as before it
    story.deleted(person)
    return f"person {person.id}"


def qualify(stage: Stage, story: Story, dice: random.Random, own: str) -> str | None:
    """A lead becomes a contact."""
    lead = _open(story, dice)
    if lead is None or lead.kind != LEAD:
        return None
    if not all(stage.limits.dynamics_takes(BY_NAME[name], value) for name, value in lead.values.items()):
        return None  # Dynamics would refuse to make the contact
    made = stage.world.dynamics.control("qualify_lead", {"id": lead.id, "create_account": False})["created"]
    contact = Record(CONTACT, made["contact"], {})
    contact.values = stage.row_values(contact)
    story.records.append(contact)
    lead.state, lead.became = "qualified", contact
    return f"lead {lead.id} into contact {contact.id}"


def merge_records(stage: Stage, story: Story, dice: random.Random, own: str) -> str | None:
    """Two records of one kind become one."""
    at_once = story.requests or any(link.person.became for link in story.links)
    records = [] if at_once else _open_ones(story)
    pairs = [(a, b) for a in records for b in records if a is not b and a.kind == b.kind]
    pairs = [(a, b) for a, b in pairs if not _refused(stage, story, a) and not _refused(stage, story, b)]
    if not pairs:
        return None
    winner, loser = dice.choice(pairs)
    rows = {"entity": winner.kind, "target": winner.id, "subordinate": loser.id}
    stage.world.dynamics.control("merge_rows", rows)
    story.merging = True
    loser.state, loser.became = "merged", winner
    winner.values, winner.changed = stage.row_values(winner), True
    return f"{loser.kind} {loser.id} into {winner.id}"


def merge_persons(stage: Stage, story: Story, dice: random.Random, own: str) -> str | None:
    """Two persons become one."""
    alive = [person for person in story.persons if person.alive and person.id]
    if len(alive) < 2 or any(link.record.state in {"deleted", "merged"} for link in story.links):
        return None
    winner, loser = dice.sample(alive, 2)
    stage.world._marketo("POST", f"/rest/v1/leads/{winner.id}/merge.json", f"leadIds={loser.id}")
    loser.alive, loser.became = False, winner
    mine, others = winner.marks, loser.marks  # Marketo fills what is empty (M49)
    winner.marks = (mine[0] or others[0], mine[1] or others[1], mine[2] or others[2], mine[3] or others[3])
    for name, said in loser.said.items():  # what was done with either of them is its history now (R73)
        winner.said[name] = max(said, winner.said.get(name, said))
    before, winner.values = winner.values, stage.person_values(winner)
    for name in (name for name, spec in BY_NAME.items() if spec.consent and before[name] != winner.values[name]):
        winner.said[name] = next(stage.moments), winner.values[name]  # Marketo logs it as any other change
    return f"person {loser.id} into {winner.id}"


ACTS: dict[str, Doing] = {
    act.__name__: act
    for act in (
        edit_person, spoil_person, edit_record, spoil_record, edit_both, edit_alike, new_record, new_person, namesake,
        twin_record, twin_person, request, delete_record, restore_record, delete_person, qualify, merge_records,
        merge_persons,
    )
}  # fmt: skip
PLAIN: Sequence[str] = ("edit_person", "edit_record", "edit_both", "edit_alike", "spoil_person", "spoil_record")
"""Acts that change values only."""
