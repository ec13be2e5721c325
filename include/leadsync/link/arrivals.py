"""CRM records without a link: find their person, or decide that one must be created.

Order: the person that a restored record had (D48), the id that a person carries (D11), then the e-mail address
among persons without a link: exactly one → link (D13), several → held and reported, none → create (R31). A link is
never stolen (D14). Records that were met before are sorted out beforehand (`fates`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import polars as pl

from include.leadsync.link.frames import events, unlinked_pairs
from include.leadsync.link.people import People
from include.leadsync.model import Entity, FieldMap, LinkStatus
from include.leadsync.state import Links


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
    ) -> None:
        """`restored`: records that were deleted once → the person they had then."""
        self._people, self._links, self._map, self._entity = people, links, field_map, entity
        self._deleted = restored
        self._claimed = claimed  # persons taken in this run; shared by both entities
        self.events: list[pl.DataFrame] = []

    def pairs(self, rows: pl.DataFrame, next_id: Iterator[int]) -> pl.DataFrame:
        """First links and persons to create, in the shape of `frames`; held records become events."""
        restored = self._restored(rows)
        unknown = [crm_id for crm_id in rows["id"].to_list() if crm_id not in restored]
        by_id = self._unclaimed(self._people.by_microsoft_id(unknown))
        by_id = by_id.filter(~pl.col("sys_id").is_duplicated())
        matched = dict(zip(by_id["sys_id"].to_list(), by_id["id"].to_list(), strict=True))
        matched |= {crm_id: int(frame["id"][0]) for crm_id, frame in restored.items()}
        self._claimed |= set(matched.values())
        rest = rows.filter(~pl.col("id").is_in(list(matched)))
        by_email, held = self._match_by_email(rest)
        matched |= {crm_id: person for crm_id, (person, _) in by_email.items()}
        persons = pl.concat([by_id, *restored.values(), *(frame for _, frame in by_email.values())])
        rows = rows.filter(~pl.col("id").is_in(held))
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

    def _unclaimed(self, raw: object) -> pl.DataFrame:
        """Canonical persons that have no link and are not taken by this run."""
        persons = self._people.canonical(raw, self._entity) if raw is not None else self._people.nobody(self._entity)
        persons = persons.unique("id", maintain_order=True)
        linked = self._links.by_person(persons["id"].to_list())["person_id"].to_pylist()
        return persons.filter(~pl.col("id").is_in([*linked, *self._claimed]))

    def _match_by_email(self, rows: pl.DataFrame) -> tuple[dict[str, tuple[int, pl.DataFrame]], list[str]]:
        """crm_id → (person, its row) for exactly one candidate; ids of records held for several."""
        matched: dict[str, tuple[int, pl.DataFrame]] = {}
        held: list[str] = []
        if "email" not in rows.columns:
            return matched, held
        addressed = rows.filter(pl.col("email").is_not_null()).select("id", pl.col("email").str.to_lowercase())
        found = self._unclaimed(self._people.by_email(addressed["email"].unique(maintain_order=True).to_list()))
        if found.is_empty():
            return matched, held
        groups = {key[0]: group for key, group in found.group_by("sys_email")}
        for crm_id, email in addressed.sort("id").iter_rows():
            group = groups.get(email)
            free = group.filter(~pl.col("id").is_in(list(self._claimed))) if group is not None else None
            if free is None or free.is_empty():
                continue
            if free.height > 1:
                held.append(crm_id)
                ids = ", ".join(str(person) for person in free["id"].sort().to_list()[:5])
                found_many = f"{free.height} unlinked persons have this e-mail address ({ids})"
                message = f"{found_many}; merge them in Marketo or link one"
                self._hold([crm_id], "several_candidates", message, "D13")
                continue
            person = int(free["id"][0])
            self._claimed.add(person)
            matched[crm_id] = (person, free)
        return matched, held

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


def _status(person: int | None, kept_out: set[int]) -> str:
    if person is None:
        return LinkStatus.CREATING.value
    return LinkStatus.SUSPENDED.value if person in kept_out else LinkStatus.ACTIVE.value
