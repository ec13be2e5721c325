"""Who keeps which link after persons and CRM records were merged or converted: a pure function of the facts.

A link is a claim of a person on a CRM record. A merge or conversion says where a person or record went; the claim
follows both. Where two claims meet, one link stays and the others end: a person and a record have one link each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from include.leadsync.model import Entity, LinkStatus

_STATUSES = (LinkStatus.ACTIVE, LinkStatus.SUSPENDED, LinkStatus.CREATING)


@dataclass(frozen=True, slots=True)
class Successor:
    """The record that took another one's place. `through`: those in between, after so many merges and conversions."""

    entity: Entity
    crm_id: str
    through: tuple[Successor, ...] = ()

    @property
    def steps(self) -> int:
        """How many merges and conversions it took."""
        return len(self.through) + 1


@dataclass(frozen=True, slots=True)
class Claim:
    """One live link. `made`: false where its CRM record was refused so far, and is not there."""

    link_id: int
    entity: Entity
    person_id: int | None
    crm_id: str
    status: str
    version: int
    made: bool = True


@dataclass(frozen=True, slots=True)
class Move:
    """A link that goes on with another person, another CRM record, or both."""

    claim: Claim
    person_id: int | None
    successor: Successor | None

    @property
    def crm_id(self) -> str:
        """The record it has afterwards."""
        return self.successor.crm_id if self.successor else self.claim.crm_id

    @property
    def entity(self) -> Entity:
        """What that record is."""
        return self.successor.entity if self.successor else self.claim.entity

    @property
    def path(self) -> tuple[Successor, ...]:
        """Every record that took the place of the one before, the last one included."""
        return (*self.successor.through, self.successor) if self.successor else ()

    @property
    def converted(self) -> bool:
        """Whether a lead's link has a contact now."""
        return self.entity is not self.claim.entity

    @property
    def person_moved(self) -> bool:
        """Whether its person was merged into another one."""
        return self.person_id != self.claim.person_id


@dataclass(frozen=True, slots=True)
class End:
    """A link that ends because `kept` has its record, its person, or both.

    `qualified`: its record met one with a link when it was qualified (D37), not when it was merged (D42).
    """

    move: Move
    kept: Move
    record_taken: bool
    person_taken: bool
    qualified: bool = False

    @property
    def person_left(self) -> bool:
        """Whether a living person is left without a CRM record."""
        return self.move.claim.person_id is not None and not self.move.person_moved and not self.person_taken


def resolve(
    claims: Iterable[Claim], person_of: Mapping[int, int], record_of: Mapping[str, Successor]
) -> tuple[list[Move], list[End]]:
    """Links that move, and links that end; the others stay as they are.

    `claims` must hold every live link of every person and record involved. A person keeps the link that it had itself
    before one that came with a merge (D44), unless its record was never made (R48); a record goes on with the link that
    has the fewest merges and steps to it (D37, D42: who has a link keeps it). After that contacts go before leads, then
    the oldest. What loses its record to another link leaves its person to the next one.
    """
    moves = [
        Move(claim, person_of.get(claim.person_id or 0, claim.person_id), record_of.get(claim.crm_id))
        for claim in claims
    ]
    passed = Counter(crm_id for move in moves for crm_id in (move.claim.crm_id, *(step.crm_id for step in move.path)))
    taken = _matched(moves)
    persons = {move.person_id: move for move in taken.values() if move.person_id is not None}
    moved, ended = [], []
    for move in sorted(moves, key=_of_record):
        by_record, by_person = taken.get(move.crm_id), persons.get(move.person_id or 0)
        kept = by_record or by_person
        if kept is not None and kept is not move:
            qualified = by_record is not None and _qualified(move, passed)
            ended.append(End(move, kept, by_record is not None, by_person is not None, qualified))
        elif move.successor is not None or move.person_moved:
            moved.append(move)
    return moved, ended


def _matched(moves: Iterable[Move]) -> dict[str, Move]:
    """Record → the link it goes on with: no person and record that both prefer another link are left with these.

    Every person asks for the record of its best link, and for the next one when a better link takes that away.
    """
    wishes: dict[int, list[Move]] = {}
    for move in sorted(moves, key=_of_person, reverse=True):
        wishes.setdefault(_who(move), []).append(move)
    taken: dict[str, Move] = {}
    asking = list(wishes)
    while asking:
        mine = wishes[asking[-1]]
        if not mine:
            asking.pop()
            continue
        move = mine.pop()
        other = taken.get(move.crm_id)
        if other is None or _of_record(move) < _of_record(other):
            taken[move.crm_id] = move
            asking.pop()
            asking += [_who(other)] if other is not None else []
    return taken


def _who(move: Move) -> int:
    """The person; one that is still to be made is like no other."""
    return move.person_id if move.person_id is not None else -move.claim.link_id


def _of_person(move: Move) -> tuple[bool, bool, int, tuple[bool, int, int]]:
    """Which of its links a person prefers."""
    return not move.claim.made, move.person_moved, move.successor.steps if move.successor else 0, _rank(move)


def _of_record(move: Move) -> tuple[int, int, bool, tuple[bool, int, int]]:
    """Which of its links a record prefers: a lead that became this contact is nearer to it than one merged into it."""
    entities = [move.claim.entity, *(step.entity for step in move.path)]
    merges = sum(before is after for before, after in pairwise(entities))
    return merges, len(move.path), move.person_moved, _rank(move)


def _rank(move: Move) -> tuple[bool, int, int]:
    return move.entity is Entity.LEAD, _STATUSES.index(LinkStatus(move.claim.status)), move.claim.link_id


def _qualified(move: Move, passed: Mapping[str, int]) -> bool:
    """Whether the step that led to another link's way was a conversion: what counts had each step had its own cycle."""
    before = move.claim.entity
    for step in move.path:
        if passed[step.crm_id] > 1:
            return step.entity is not before
        before = step.entity
    return False


def chains(direct: Mapping[str, Successor]) -> tuple[dict[str, Successor], set[str]]:
    """Each record's last successor; and the records whose successors lead round in a circle, which have none."""
    last: dict[str, Successor] = {}
    circular: set[str] = set()
    for crm_id, step in direct.items():
        seen, here = {crm_id}, step
        through: list[Successor] = []
        while here.crm_id in direct and here.crm_id not in seen:
            seen.add(here.crm_id)
            through.append(here)
            here = direct[here.crm_id]
        if here.crm_id in seen:
            circular.add(crm_id)
        else:
            last[crm_id] = Successor(here.entity, here.crm_id, tuple(through))
    return last, circular
