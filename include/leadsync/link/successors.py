"""Which CRM record took the place of which: leads that became contacts, records merged into others (R66-R72).

A lead points to its contact through the contact's originating lead, through a reference of the configuration
(D40), or, qualified into a contact that was there, through its own parent contact (D37). A merged record names its
master. Chains are followed to their end, also over what earlier runs have found.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl
import pyarrow as pa

from include.leadsync.context import Engine
from include.leadsync.extract.identity import ORIGIN, QUALIFIED, canonical_records, record_columns, reference_column
from include.leadsync.link.resolution import Successor, chains
from include.leadsync.model import Entity, LinkStatus
from include.leadsync.schema import Schema
from include.leadsync.state import Links

_HOPS = 10
"""Merges of merges that are followed beyond what this run has read."""

_AT_ONCE = 20
_FACTS = ("id", "allowed", "@state", "@master", "@contact", "origin")


@dataclass
class Known:
    """What is known of CRM records in this run, by id, beyond the frames: only records that matter here."""

    facts: dict[str, dict[str, object]] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)  # asked for, and not there or not readable


class Successors:
    """Finds them for the links of one run. `rows`: the extracted records of each entity."""

    def __init__(self, engine: Engine, schema: Schema, rows: Mapping[Entity, pl.DataFrame]) -> None:
        self._engine, self._schema, self._rows = engine, schema, rows
        self._reference = engine.settings.lifecycle.conversion_reference
        self._links = Links(engine.store)
        self._known = {entity: Known() for entity in Entity}
        self.circular: set[str] = set()

    def find(self) -> dict[str, Successor]:
        """Records with a live link that have a successor → the last one in their chain."""
        merged = self._merged()
        direct = merged | self._converted({step.crm_id for step in merged.values()})
        linked = set(self._links.by_crm(sorted(direct))["crm_id"].to_pylist()) if direct else set()
        for _ in range(_HOPS):
            more = self._beyond(_ends(direct, linked))
            if not more:
                break
            direct |= more
        last, self.circular = chains(direct)
        self.circular &= linked
        return {crm_id: last[crm_id] for crm_id in linked if crm_id in last}

    def read(self, entity: Entity, ids: Iterable[str]) -> dict[str, dict[str, object]]:
        """Facts of records, from what was extracted or else read now; those that cannot be read lack."""
        known, wanted = self._known[entity], set(ids)
        if not wanted:
            return {}
        frame = self._rows[entity].filter(pl.col("id").is_in([i for i in wanted if i not in known.facts]))
        known.facts |= {row["id"]: row for row in frame.select(_FACTS).to_dicts()}
        missing = sorted(wanted - set(known.facts) - known.gone)
        if missing:
            raw = self._engine.dynamics.rows(entity, missing, record_columns(self._schema, entity, self._reference))
            self._add(entity, raw)
            known.gone |= set(missing) - set(known.facts)
        return {crm_id: known.facts[crm_id] for crm_id in wanted if crm_id in known.facts}

    def _add(self, entity: Entity, raw: pa.Table) -> list[dict[str, object]]:
        if raw.num_rows == 0:
            return []
        frame = canonical_records(raw, self._schema, entity, self._reference)
        rows: list[dict[str, object]] = frame.select(_FACTS).to_dicts()
        self._known[entity].facts |= {str(row["id"]): row for row in rows}
        return rows

    def _merged(self) -> dict[str, Successor]:
        found: dict[str, Successor] = {}
        for entity, rows in self._rows.items():
            if rows["@master"].null_count() == rows.height:
                continue
            merged = rows.filter(pl.col("@master").is_not_null())
            found |= {
                crm_id: Successor(entity, master) for crm_id, master in merged.select("id", "@master").iter_rows()
            }
        return found

    def _converted(self, masters: set[str]) -> dict[str, Successor]:
        """Leads with the contact they became, as far as the filters of both let the link go on (R67).

        Leads that are linked, and `masters`, which may be about to get a link.
        """
        candidates = self._candidates(masters)
        if not candidates:
            return {}
        leads = self.read(Entity.LEAD, candidates)
        contacts = self.read(Entity.CONTACT, {each for ids in candidates.values() for each in ids})
        links = {row["crm_id"]: row for row in self._links.by_crm(sorted(candidates)).to_pylist()}
        found: dict[str, Successor] = {}
        for lead, ids in candidates.items():
            suspended = lead in links and links[lead]["status"] == LinkStatus.SUSPENDED
            lead_allowed = leads[lead]["allowed"] if lead in leads else not suspended
            fit = [each for each in ids if each in contacts and contacts[each]["allowed"]]
            if lead_allowed and fit:
                found[lead] = Successor(Entity.CONTACT, fit[0])
        return found

    def _candidates(self, masters: set[str]) -> dict[str, list[str]]:
        """Linked lead → contacts that it may have become, likeliest first."""
        contacts, leads = self._rows[Entity.CONTACT], self._rows[Entity.LEAD]
        named: dict[str, list[str]] = {}
        if contacts["origin"].null_count() < contacts.height:
            born = contacts.filter(pl.col("origin").is_not_null()).sort("id")
            for contact, lead in born.select("id", "origin").iter_rows():
                named.setdefault(lead, []).append(contact)
        if (leads["@state"] == QUALIFIED).any():  # only these name a contact
            # A merge points leads to the contact that is left; the one born from a lead says more of where it went.
            into = leads.filter(pl.col("@contact").is_not_null())
            for lead, contact in into.select("id", "@contact").iter_rows():
                named.setdefault(lead, []).append(contact)
            matter = pl.col("link_id").is_not_null() | pl.col("id").is_in(list(masters))
            qualified = leads.filter((pl.col("@state") == QUALIFIED) & matter)["id"].to_list()
            for contact, lead in self._contacts_of([lead for lead in qualified if lead not in named]):
                named.setdefault(lead, []).append(contact)
        linked = self._links.by_crm(sorted(named)).to_pylist() if named else []
        wanted = {row["crm_id"] for row in linked if row["entity"] == Entity.LEAD} | masters
        return {lead: ids for lead, ids in named.items() if lead in wanted}

    def _contacts_of(self, leads: Sequence[str]) -> list[tuple[str, str]]:
        """(contact, lead) for leads whose contact this run did not bring, for whatever reason."""
        if not leads:
            return []
        columns = record_columns(self._schema, Entity.CONTACT, self._reference)
        names = [ORIGIN, *filter(None, [reference_column(self._schema, self._reference)])]
        found: list[tuple[str, str]] = []
        for start in range(0, len(leads), _AT_ONCE):
            part = leads[start : start + _AT_ONCE]
            condition = " or ".join(_equals(name, lead) for name in names for lead in part)
            for page in self._engine.dynamics.rows_where(Entity.CONTACT, condition, columns):
                found += [(str(row["id"]), str(row["origin"])) for row in self._add(Entity.CONTACT, page)]
        return sorted(pair for pair in found if pair[1] in set(leads))

    def _beyond(self, ends: Mapping[str, Entity]) -> dict[str, Successor]:
        """Successors of successors: of records read now, and of those that ended in an earlier run."""
        more: dict[str, Successor] = {}
        if not ends:
            return more
        for entity in Entity:
            mine = [crm_id for crm_id, kind in ends.items() if kind is entity]
            for crm_id, facts in self.read(entity, mine).items():
                if facts["@master"]:
                    more[crm_id] = Successor(entity, str(facts["@master"]))
        for crm_id, row in self._links.last_by_crm([crm_id for crm_id in ends if crm_id not in more]).items():
            if row["became_crm"] and row["status"] in {LinkStatus.CONVERTED, LinkStatus.CRM_MERGED}:
                converted = row["status"] == LinkStatus.CONVERTED
                more[crm_id] = Successor(Entity.CONTACT if converted else Entity(row["entity"]), row["became_crm"])
        return more


def _ends(direct: Mapping[str, Successor], starts: Iterable[str]) -> dict[str, Entity]:
    """Where the chains from these records end for now."""
    ends: dict[str, Entity] = {}
    for start in starts:
        seen, step = {start}, direct.get(start)
        while step is not None and step.crm_id in direct and step.crm_id not in seen:
            seen.add(step.crm_id)
            step = direct[step.crm_id]
        if step is not None and step.crm_id not in seen:
            ends[step.crm_id] = step.entity
    return ends


def _equals(column: str, crm_id: str) -> str:
    return f"{column} eq {crm_id}" if column.startswith("_") else f"contains({column},'{crm_id}')"
