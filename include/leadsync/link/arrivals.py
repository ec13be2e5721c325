"""CRM records without a link: find their person, or decide that one must be created.

Order: the person that a restored record had (D48), the id that a person carries (D11), then the e-mail address
(`by_email`); nobody → create (R31). A link is never stolen (D14). Records that were met before are sorted out
beforehand (`fates`).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping

import polars as pl

from include.leadsync.extract.identity import PLACE
from include.leadsync.link.by_email import ByEmail
from include.leadsync.link.frames import PARTITION, SEVERAL_CARRY, events, unlinked_pairs
from include.leadsync.link.people import People
from include.leadsync.model import Entity, FieldMap, Lane, LinkStatus
from include.leadsync.state import Links

CLAIMED_TWICE = "claimed_twice"
"""Name under which the store keeps the records that an accepted survey could not decide on, as a JSON list (D11)."""


class Arrivals:
    """Matches the unlinked CRM records of one entity, slice by slice."""

    def __init__(
        self,
        people: People,
        links: Links,
        field_map: FieldMap,
        entity: Entity,
        claimed: set[int],
        restored: Mapping[str, int],
        lane: Lane = Lane.INCREMENT,
        claimed_twice: Collection[str] = (),
        freed: Collection[int] = (),
        expected: Collection[int] = (),
    ) -> None:
        """`restored`: records that were deleted once → the person they had then. `lane` carries what is written.

        `claimed_twice`: records whose ids lead to several persons in fields that the cycle does not read.
        `freed`: persons whose link ends in this run, because their record was deleted. `expected`: persons whose
        deleted record is back in this run, in whichever table: no address takes them from it (D48).
        """
        self._people, self._links, self._map, self._entity = people, links, field_map, entity
        self._deleted, self._freed = restored, set(freed)
        self._claimed = claimed  # persons taken in this run; shared by both entities
        self._lane = lane
        self._claimed_twice = set(claimed_twice)
        self._by_email = ByEmail(people, links, entity, claimed, self._freed, expected)
        self.events: list[pl.DataFrame] = []

    def pairs(self, rows: pl.DataFrame, next_id: Iterator[int]) -> pl.DataFrame:
        """First links and persons to create, in the shape of `frames`; held records become events."""
        restored = self._restored(rows)
        unknown = [crm_id for crm_id in rows["id"].to_list() if crm_id not in restored]
        carrying = self._people.by_microsoft_id(unknown)
        by_id = self._unclaimed(carrying)
        rows = self._without_carried(rows, carrying, by_id)
        rows, by_id = self._without_rivals(rows, by_id)
        rows = self._without_doubtful(rows, {*by_id["sys_id"], *restored})
        matched = dict(zip(by_id["sys_id"].to_list(), by_id["id"].to_list(), strict=True))
        matched |= {crm_id: int(frame["id"][0]) for crm_id, frame in restored.items()}
        self._claimed |= set(matched.values())
        rest = rows.filter(~pl.col("id").is_in(list(matched)))
        by_email = self._by_email.match(self._with_address(rest))
        self.events.append(events(by_email.events))
        matched |= by_email.persons
        persons = pl.concat([by_id, *restored.values(), *by_email.rows])
        left = rest.filter(pl.col("email").is_null())["id"].to_list() if self._needs_address(rows) else []
        rows = rows.filter(~pl.col("id").is_in([*by_email.held, *left]))
        partner = [matched.get(crm_id) for crm_id in rows["id"].to_list()]
        kept_out = set(persons.filter(~pl.col("sys_allowed"))["id"].to_list())  # by the filter on persons (D73)
        fixed = pl.DataFrame(
            {
                "link_id": [next(next_id) for _ in partner],
                "person_id": pl.Series(partner, dtype=pl.Int64),
                "crm_id": rows["id"],
                "create": pl.Series([None if person else "person" for person in partner], dtype=pl.String),
                "status": [_status(person, kept_out) for person in partner],
                "p_fresh": pl.Series([person is not None for person in partner], dtype=pl.Boolean),
                "lane": pl.Series([int(self._lane)] * len(partner), dtype=pl.Int64),
                "binds": pl.Series([placed(name) for name in rows[PLACE]], dtype=pl.String),
            }
        )
        return unlinked_pairs(fixed, persons, rows, self._map.names)

    def _restored(self, rows: pl.DataFrame) -> dict[str, pl.DataFrame]:
        """Records that were deleted and are back, with the person they had, if it has no other record (D48)."""
        known = {crm_id: person for crm_id in rows["id"].to_list() if (person := self._deleted.get(crm_id))}
        if not known:
            return {}
        persons = self._unclaimed(self._people.by_id(sorted(set(known.values()))))
        by_person = {person: frame for (person,), frame in persons.group_by("id")}
        found: dict[str, pl.DataFrame] = {}
        for crm_id, person in known.items():
            if person in by_person and person not in self._claimed:
                self._claimed.add(person)
                found[crm_id] = by_person[person]
        return found

    def _needs_address(self, rows: pl.DataFrame) -> bool:
        return self._people.settings.require_email and "email" in rows.columns

    def _with_address(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Records that may have a person: all, or those with an e-mail address (D16)."""
        return rows.filter(pl.col("email").is_not_null()) if self._needs_address(rows) else rows

    def _without_rivals(self, rows: pl.DataFrame, by_id: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Several persons carry one id: nobody can say which is meant, and a third one would be wrong too."""
        rivals = by_id.filter(pl.col("sys_id").is_duplicated())
        for (crm_id,), group in rivals.group_by("sys_id", maintain_order=True):
            ids = ", ".join(map(str, group["id"].sort().to_list()[:5]))
            message = f"persons {ids} carry the id of this record; clear Microsoft Id on all but one, or merge them"
            self._hold([str(crm_id)], SEVERAL_CARRY, message, "D11")
        many = rivals["sys_id"].to_list()
        return rows.filter(~pl.col("id").is_in(many)), by_id.filter(~pl.col("sys_id").is_in(many))

    def _without_carried(self, rows: pl.DataFrame, raw: object, free: pl.DataFrame) -> pl.DataFrame:
        """A person with another record carries the id: a new one is created by that id and would be this one (D14)."""
        if raw is None:
            return rows
        carried = self._people.canonical(raw, self._entity).filter(~pl.col("sys_id").is_in(free["sys_id"].to_list()))
        for crm_id, person in carried.unique("sys_id").select("sys_id", "id").iter_rows():
            message = f"person {person} carries the id of this record and belongs to another one; it waits until the id"
            self._hold([crm_id], SEVERAL_CARRY, f"{message} is free", "D14")
        return rows.filter(~pl.col("id").is_in(carried["sys_id"].to_list()))

    def _without_doubtful(self, rows: pl.DataFrame, found: set[str]) -> pl.DataFrame:
        """A survey found claims on these that exclude each other; only an id in the one field that counts decides."""
        doubtful = [each for each in rows["id"].to_list() if each in self._claimed_twice and each not in found]
        message = (
            "the accepted report lists this record under several persons or its person under several records"
            " (conflicts.csv); write its id into the Microsoft Id of the right person, or correct the ids and accept a"
            " new report"
        )
        self._hold(doubtful, SEVERAL_CARRY, message, "D11")
        return rows.filter(~pl.col("id").is_in(doubtful))

    def _unclaimed(self, raw: object) -> pl.DataFrame:
        """Canonical persons that have no link and are not taken by this run."""
        persons = self._people.canonical(raw, self._entity) if raw is not None else self._people.nobody(self._entity)
        persons = persons.unique("id", maintain_order=True)
        linked = {*self._links.by_person(persons["id"].to_list())["person_id"].to_pylist()} - self._freed
        return persons.filter(~pl.col("id").is_in([*linked, *self._claimed]))

    def _hold(self, crm_ids: list[str], code: str, message: str, rule: str) -> None:
        rows: list[dict[str, object]] = [
            {
                "kind": "held",
                "entity": self._entity.value,
                "crm_id": crm_id,
                "code": code,
                "message": message,
                "rule": rule,
            }
            for crm_id in crm_ids
        ]
        self.events.append(events(rows))


def placed(partition: str | None) -> str | None:
    """`binds` of a person that goes into a partition."""
    return json.dumps({PARTITION: partition}) if partition else None


def _status(person: int | None, kept_out: set[int]) -> str:
    if person is None:
        return LinkStatus.CREATING.value
    return LinkStatus.SUSPENDED.value if person in kept_out else LinkStatus.ACTIVE.value
