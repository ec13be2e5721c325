"""CRM records without a link that were met before, or whose person is found another way: no first appearances."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import polars as pl

from include.leadsync.context import Engine
from include.leadsync.erasing import Eraser
from include.leadsync.extract.identity import OPEN, QUALIFIED
from include.leadsync.link import reports
from include.leadsync.link.frames import without_link
from include.leadsync.link.outlived import updated_later
from include.leadsync.model import Entity, LinkStatus
from include.leadsync.state import Links, PersonMerges

_SLICE = 50_000
_HOPS = 10


class Returning:
    """Sorts the unlinked records of a run.

    `away`: records to leave alone: merged away, turned into a contact, or of a person that was merged away.
    `restored`: records that were deleted and are back, with the person they had (D48). `of_survivors`: ended links
    of records whose person was merged away, with the one that is left. `versions`: those ended links, with what their
    records are at now: read again, these are no updates (R78). `events`: what to say.
    """

    def __init__(
        self,
        engine: Engine,
        rows: Mapping[Entity, pl.DataFrame],
        moved_to: set[str],
        deleted: Mapping[int, datetime],
        survivors: Mapping[int, int],
    ) -> None:
        """`moved_to`: records that got a link in this run. `deleted`: persons that this run hears were deleted.

        `survivors`: those that it hears were merged away → who is left.
        """
        self._engine, self._deleted, self._survivors = engine, deleted, survivors
        # records of merged persons → when the one that was left was deleted, ended link
        self._orphans: dict[str, tuple[datetime, int]] = {}
        self._links = Links(engine.store)
        self._merges = PersonMerges(engine.store)
        self._eraser = Eraser(engine)
        self._closes = engine.settings.lifecycle.delete_in_dynamics.action == "deactivate"
        self.away: set[str] = set()
        self.restored: dict[str, int] = {}
        self.of_survivors: list[dict[str, object]] = []
        self.versions: dict[int, str] = {}
        self.events: list[dict[str, object]] = []
        unlinked = {entity: without_link(frame) for entity, frame in rows.items()}
        for entity, frame in unlinked.items():
            if frame.is_empty():
                continue
            strangers = frame.filter(~pl.col("id").is_in(list(moved_to)))
            self._erased(strangers)
            self.away |= set(strangers.filter("@merged")["id"].to_list())
            for part in strangers.select("id", "etag", "@state", "@merged", "@master").iter_slices(_SLICE):
                self._met_before(part)
            self._without_survivor(entity)
        if moved_to:
            reopened = rows[Entity.LEAD].filter(pl.col("@state") == OPEN)["id"].to_list()
            self._reopened(reopened, rows[Entity.CONTACT].filter(pl.col("id").is_in(list(moved_to))))
        if unlinked[Entity.LEAD].height:
            self.away |= self._qualified_before(rows, unlinked[Entity.LEAD])

    def _met_before(self, rows: pl.DataFrame) -> None:
        facts = {row["id"]: row for row in rows.to_dicts()}
        for crm_id, last in self._links.last_by_crm(list(facts)).items():
            status = LinkStatus(last["status"])
            if status is LinkStatus.CRM_DELETED and last["person_id"] is not None:
                person = last["person_id"]
                self.restored[crm_id] = self._merges.survivors([person]).get(person, person)
            elif status is LinkStatus.CONVERTED:
                self.away.add(crm_id)
                is_open = facts[crm_id]["@state"] == OPEN
                self.events.append(reports.reactivated(crm_id, last) if is_open else _over(reports.REACTIVATED, crm_id))
            elif status is LinkStatus.PERSON_DELETED:
                self._of_deleted(crm_id, facts[crm_id], last)
            elif status is LinkStatus.CRM_MERGED:
                self.away.add(crm_id)
            elif status is LinkStatus.PERSON_MERGED:
                self._of_merged(crm_id, facts[crm_id], last)
            if facts[crm_id]["@master"]:
                self.events.append(_over(reports.DUPLICATES, crm_id))

    def _of_deleted(self, crm_id: str, row: Mapping[str, Any], last: Mapping[str, Any]) -> None:
        """A record whose person was deleted: only an update makes a new one (R77)."""
        closed = self._closes and row["@state"] != OPEN  # by ourselves (D53)
        # A qualified lead is edited by nobody; its contact has the person, or had one (R67, R80).
        qualified = last["entity"] == Entity.LEAD and row["@state"] == QUALIFIED
        if closed or qualified or self._eraser.enabled or row["etag"] == last["crm_etag"]:  # or only read again (R78)
            self.away.add(crm_id)
        if self._eraser.enabled and not closed:
            self.events.append(reports.erased(crm_id))

    def _of_merged(self, crm_id: str, row: Mapping[str, Any], last: Mapping[str, Any]) -> None:
        """A record whose person was merged away: what changes in it is ignored as long as somebody is left (D44)."""
        known, version = self._survivor(last["became_person"]), row["etag"]
        survivor = self._survivors.get(known, known) if known is not None else None
        if survivor is None and version != last["crm_etag"]:
            return
        self.away.add(crm_id)
        self.versions[last["link_id"]] = version
        if survivor is not None and survivor in self._deleted and not row["@merged"]:
            self._orphans[crm_id] = (self._deleted[survivor], last["link_id"])
        elif survivor is not None and survivor not in self._deleted:
            self.of_survivors.append({**last, "person_id": survivor})

    def _without_survivor(self, entity: Entity) -> None:
        """Nobody is left of a merge: what is updated later than that gets a new person (R77)."""
        if self._orphans:
            later = updated_later(self._engine, entity, {crm_id: at for crm_id, (at, _) in self._orphans.items()})
            self.away -= later
            for crm_id in later:  # held, it is an update still
                del self.versions[self._orphans[crm_id][1]]
            self._orphans = {}

    def _erased(self, rows: pl.DataFrame) -> None:
        """Records of persons who were deleted and must stay so (D52)."""
        if not self._eraser.enabled:
            return
        email = rows["email"] if "email" in rows.columns else pl.Series([None] * rows.height, dtype=pl.String)
        erased = self._eraser.erased(list(zip(rows["id"].to_list(), email.to_list(), strict=True)))
        self.away |= erased
        self.events += [reports.erased(crm_id) for crm_id in sorted(erased)]

    def _survivor(self, person: int | None) -> int | None:
        """Who is left of a merge in the end; None where that person was deleted since: then R77 holds."""
        for _ in range(_HOPS):
            if person is None:
                return None
            statuses = [LinkStatus.ACTIVE, LinkStatus.CREATING, LinkStatus.SUSPENDED, LinkStatus.PERSON_DELETED]
            met = self._links.by_person([person], statuses=[*statuses, LinkStatus.PERSON_MERGED]).to_pylist()
            last = max(met, key=lambda row: (row["changed_at"], row["link_id"]), default=None)
            if last is None or last["status"] != LinkStatus.PERSON_MERGED:
                return person if last is None or last["status"] != LinkStatus.PERSON_DELETED else None
            person = last["became_person"]
        return person

    def _reopened(self, leads: list[str], contacts: pl.DataFrame) -> None:
        """Leads opened again before this run saw that they had become contacts (D41)."""
        known = contacts.filter(pl.col("origin").is_in(leads)).select("origin", "id")
        links = {row["crm_id"]: row for row in self._links.by_crm(known["origin"].to_list()).to_pylist()}
        for lead, contact in known.iter_rows():
            if lead in links:
                became = {"became_crm": contact, "person_id": links[lead]["person_id"]}
                self.events.append(reports.reactivated(lead, became))

    def _qualified_before(self, rows: Mapping[Entity, pl.DataFrame], leads: pl.DataFrame) -> set[str]:
        """Leads that were contacts already when they were first met: their person is that of the contact (R67)."""
        closed = leads.filter(pl.col("@state") == QUALIFIED)
        contacts = rows[Entity.CONTACT].filter(pl.col("allowed"))
        here = set(contacts["id"].to_list())
        linked = set(self._links.by_crm(closed["@contact"].drop_nulls().to_list())["crm_id"].to_pylist())
        named = closed.filter(pl.col("@contact").is_in([*here, *linked]))["id"].to_list()
        born = closed.filter(pl.col("id").is_in(contacts["origin"].drop_nulls().to_list()))["id"].to_list()
        return {*named, *born}


def _over(code: str, crm_id: str) -> dict[str, object]:
    return {"kind": "over", "code": code, "crm_id": crm_id}
