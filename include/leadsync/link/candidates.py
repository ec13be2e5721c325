"""CRM records that a requested person might already have, by its Microsoft Id or e-mail address (D11, D24, D25)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import polars as pl
import pyarrow as pa

from include.leadsync.context import Engine
from include.leadsync.extract.identity import CONTACT
from include.leadsync.fields import Wire, canonical_rows
from include.leadsync.model import Entity, LinkStatus
from include.leadsync.no_rows import frame_of
from include.leadsync.schema import Schema
from include.leadsync.state import Links

_OPEN_STATE, _QUALIFIED = 0, 1  # lead Open and Qualified, contact Active
_HOPS = 5  # merges of merges that are followed
_EXTRA: dict[str, Wire] = {
    "statecode": "integer",
    "emailaddress1": "text",
    "merged": "boolean",
    "_masterid_value": "text",
}


@dataclass
class Candidate:
    """A CRM record; `owner` says who has it, None nobody; `row` is its canonical record, one row."""

    entity: Entity
    crm_id: str
    owner: str | None
    open: bool
    row: pl.DataFrame
    state: int | None = None
    master: str | None = None
    allowed: bool = True  # by the filter of its entity
    contact: str | None = None  # of a lead: its parent contact, into which it may have been qualified


class Candidates:
    """Searches both tables."""

    def __init__(
        self, engine: Engine, schema: Schema, arrived: Mapping[str, int | None], left: Collection[int] = ()
    ) -> None:
        """`arrived`: CRM records that this run links or makes a person of. `left`: links that end in this run."""
        self._engine, self._schema, self._arrived, self._left = engine, schema, arrived, set(left)
        self._links = Links(engine.store)
        self._known: dict[str, Candidate] = {}  # one object per record, so that who takes it has it everywhere

    def by_email(self, emails: Iterable[str]) -> dict[str, list[Candidate]]:
        """Address → records: contacts where there are any, else leads.

        A merged record gives way to its master, a qualified lead to its contact (D25).
        """
        wanted = set(emails)
        found: dict[str, list[Candidate]] = {}
        for entity in (Entity.CONTACT, Entity.LEAD):
            rest = sorted(wanted - set(found))
            if not rest:
                continue
            raw = self._engine.dynamics.rows_by_email(entity, rest, self._columns(entity))
            for email, candidate in self._read(entity, raw):
                found.setdefault(email, []).append(candidate)
        return {email: self._followed(candidates) for email, candidates in found.items()}

    def by_id(self, ids: Iterable[str]) -> dict[str, Candidate]:
        """Id → the record that has it, or that took its place; ids that lead nowhere lack."""
        wanted, found = sorted(set(ids)), dict[str, Candidate]()
        for entity in Entity:
            raw = self._engine.dynamics.rows(entity, wanted, self._columns(entity)) if wanted else pa.table({})
            found |= {candidate.crm_id: candidate for _, candidate in self._read(entity, raw)}
        followed = {crm_id: self._follow(candidate) for crm_id, candidate in found.items()}
        return {crm_id: candidate for crm_id, candidate in followed.items() if candidate}

    def _columns(self, entity: Entity) -> dict[str, Wire]:
        named: dict[str, Wire] = {CONTACT: "text"} if entity is Entity.LEAD else {}
        return {**self._schema.row_columns(entity), **_EXTRA, **named}

    def _followed(self, candidates: list[Candidate]) -> list[Candidate]:
        followed = {candidate.crm_id: candidate for candidate in map(self._follow, candidates) if candidate}
        return list(followed.values())

    def _follow(self, candidate: Candidate) -> Candidate | None:
        """The record that took its place, in the end; None where that one was deleted (R79)."""
        for _ in range(_HOPS):
            if candidate.master is None:
                break
            raw = self._engine.dynamics.rows(candidate.entity, [candidate.master], self._columns(candidate.entity))
            masters = [master for _, master in self._read(candidate.entity, raw)]
            if not masters:
                return None if self._gone(candidate.entity, candidate.master) else candidate
            candidate = masters[0]
        if candidate.entity is Entity.LEAD and candidate.state == _QUALIFIED:
            condition = f"_originatingleadid_value eq {candidate.crm_id}"
            pages = self._engine.dynamics.rows_where(Entity.CONTACT, condition, self._columns(Entity.CONTACT))
            contacts = [contact for page in pages for _, contact in self._read(Entity.CONTACT, page)]
            return contacts[0] if len(contacts) == 1 else self._contact_known(candidate)
        return candidate

    def _contact_known(self, lead: Candidate) -> Candidate | None:
        """The contact that a link of ours went on with, or that the lead names; the lead itself where there is none."""
        last = self._links.last_by_crm([lead.crm_id]).get(lead.crm_id)
        met = last is not None and last["status"] == LinkStatus.CONVERTED
        became = last["became_crm"] if last and met else lead.contact
        if not became:
            return lead
        raw = self._engine.dynamics.rows(Entity.CONTACT, [became], self._columns(Entity.CONTACT))
        contacts = [contact for _, contact in self._read(Entity.CONTACT, raw)]
        if contacts:
            return contacts[0]
        return None if self._gone(Entity.CONTACT, became) else lead

    def _gone(self, entity: Entity, crm_id: str) -> bool:
        """Whether it was deleted; what cannot be read may be there (D51)."""
        return self._engine.dynamics.probe(entity, [crm_id]).get(crm_id) == "gone"

    def _read(self, entity: Entity, raw: pa.Table) -> Iterable[tuple[str, Candidate]]:
        if raw.num_rows == 0:
            return
        rows = frame_of(canonical_rows(raw, self._schema.map(entity)))
        allowed = self._schema.filters[entity].allows_rows(raw).to_list()
        ids = rows["id"].to_list()
        kept = [row for row in self._links.by_crm(ids).to_pylist() if row["link_id"] not in self._left]
        linked = {**self._arrived, **{row["crm_id"]: row["person_id"] for row in kept}}
        extra = raw.select([name for name in (*_EXTRA, CONTACT) if name in raw.column_names]).to_pylist()
        for position, (crm_id, more) in enumerate(zip(ids, extra, strict=True)):
            person = linked.get(crm_id)
            owner = (f"person {person}" if person else "a person that is being created") if crm_id in linked else None
            master = more["_masterid_value"] if more["merged"] else None
            if more["merged"] and master is None:
                continue  # Dynamics forgets the winner of a merge that is deleted: nobody is left of the two (R79)
            state = more["statecode"]
            row = rows[position : position + 1].with_columns(pl.lit(state, pl.Int64).alias("@state"))
            there, contact = state == _OPEN_STATE, more.get(CONTACT)
            candidate = Candidate(entity, crm_id, owner, there, row, state, master, allowed[position], contact)
            yield (more["emailaddress1"] or "").lower(), self._known.setdefault(crm_id, candidate)
