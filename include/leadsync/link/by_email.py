"""CRM records without a link that match a person by e-mail address (D13, D14, D20, R84, R88).

Only persons without a link count, who carry no other record's id, and only those in the partition where the record's
own person would be made: exactly one → it is the person; several → held until somebody decides; none → a person is
made. With `creation.when_found: create` nobody is looked for, as in the native sync (R32).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import polars as pl

from include.leadsync.extract.identity import PLACE
from include.leadsync.link.people import People
from include.leadsync.model import Entity
from include.leadsync.state import Links

SEVERAL, UNPLACED = "several_candidates", "partition_unknown"
"""Codes of what is held here."""

_MARKETOS_OWN = 1
"""Id of the partition that persons go into when none is named (facts/marketo-api §6)."""


@dataclass
class Matches:
    """What became of the records of one slice."""

    persons: dict[str, int] = field(default_factory=dict)  # CRM record → its person
    rows: list[pl.DataFrame] = field(default_factory=list)  # those persons, as `People.canonical`
    held: list[str] = field(default_factory=list)
    events: list[dict[str, object]] = field(default_factory=list)


class ByEmail:
    """Looks for the persons of one entity's records. `claimed`: persons taken in this run; it grows here."""

    def __init__(
        self,
        people: People,
        links: Links,
        entity: Entity,
        claimed: set[int],
        freed: Collection[int] = (),
        expected: Collection[int] = (),
    ) -> None:
        """`freed`: persons whose link ends in this run. `expected`: persons who are another record's (D48)."""
        self._people, self._links, self._entity, self._claimed = people, links, entity, claimed
        self._freed, self._expected = set(freed), set(expected)
        self._link = people.settings.when_found == "link"

    def match(self, rows: pl.DataFrame) -> Matches:
        """`rows`: id, @partition, email and more, as `extract.crm` stages them."""
        matches = Matches()
        rows = self._placed(rows, matches)
        if "email" not in rows.columns:
            return matches
        addressed = rows.filter(pl.col("email").is_not_null()).sort("id")
        addresses = addressed["email"].str.to_lowercase()
        wanted = addresses.unique(maintain_order=True).to_list()
        raw = self._people.by_email(wanted) if wanted else None
        if raw is None or raw.num_rows == 0:
            return matches
        found = self._people.canonical(raw, self._entity).unique("id", maintain_order=True)
        taken = set(self._links.by_person(found["id"].to_list())["person_id"].to_pylist()) - self._freed
        named = self._people.named_records(found.filter(~pl.col("id").is_in([*taken, *self._claimed, *self._freed])))
        groups = {key[0]: group for key, group in found.group_by("sys_email")}
        origins = addressed["origin"] if "origin" in addressed.columns else [None] * addressed.height
        for crm_id, origin, place, email in zip(addressed["id"], origins, addressed["_place"], addresses, strict=True):
            group = groups.get(email)
            if group is not None:
                others = {person for person, records in named.items() if not records & {crm_id, origin}}
                self._decide(crm_id, place, group, taken | others | self._expected, matches)
        return matches

    def _decide(self, crm_id: str, place: int | None, group: pl.DataFrame, taken: set[int], matches: Matches) -> None:
        busy = pl.col("id").is_in([*taken, *self._claimed])
        here = group.filter(pl.col("sys_partition").eq_missing(place)) if place is not None else group
        free = here.filter(~busy)
        if self._link and free.height == 1:
            person = int(free["id"][0])
            self._claimed.add(person)
            matches.persons[crm_id] = person
            matches.rows.append(free)
        elif self._link and free.height > 1:
            matches.held.append(crm_id)
            message = (
                f"{free.height} persons without a CRM record have this e-mail address ({_some(free)}); merge them in"
                f" Marketo, or write {crm_id} into the Microsoft Id of the right one; it is looked at every hour"
            )
            matches.events.append(self._event("held", crm_id, SEVERAL, message, "D13"))
        elif group.filter(busy).height:
            message = (
                f"this e-mail address is shared with {_some(group.filter(busy))}, who has another CRM record; no link"
                " is taken away, the record has a person of its own"
            )
            matches.events.append(self._event("duplicate", crm_id, "shared_address", message, "D14"))

    def _placed(self, rows: pl.DataFrame, matches: Matches) -> pl.DataFrame:
        """Rows with `_place`, the id of their partition (null: all persons are one crowd); unknown names are held."""
        if not self._people.placing:
            return rows.with_columns(pl.lit(None, pl.Int64).alias("_place"))
        ids: Mapping[str, int] = self._people.partition_ids()
        strange = pl.col(PLACE).is_not_null() & ~pl.col(PLACE).is_in(list(ids))
        for crm_id, name in rows.filter(strange).select("id", PLACE).iter_rows():
            matches.held.append(crm_id)
            message = f"Marketo shows this API user no partition {name!r}; correct creation.partitions or its access"
            matches.events.append(self._event("held", crm_id, UNPLACED, message, "D20"))
        rows = rows.filter(~strange)
        return rows.with_columns(place_of(rows[PLACE], ids).alias("_place"))

    def _event(self, kind: str, crm_id: str, code: str, message: str, rule: str) -> dict[str, object]:
        about = {"entity": self._entity.value, "crm_id": crm_id}
        return {"kind": kind, **about, "code": code, "message": message, "rule": rule}


def place_of(partition: pl.Series, ids: Mapping[str, int] | None) -> pl.Series:
    """Names → ids of partitions, as `place`; all null where nobody uses them, so that all persons are one crowd."""
    if ids is None:
        return pl.Series("place", [None] * len(partition), dtype=pl.Int64)
    return partition.replace_strict(dict(ids), default=_MARKETOS_OWN, return_dtype=pl.Int64).alias("place")


def _some(persons: pl.DataFrame) -> str:
    ids = persons["id"].sort().to_list()
    more = f" and {len(ids) - 5} more" if len(ids) > 5 else ""
    return "persons " * (len(ids) > 1) + ("person " * (len(ids) == 1)) + ", ".join(map(str, ids[:5])) + more
