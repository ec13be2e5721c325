"""Sync Person to Microsoft: create a CRM record if there is none, do nothing if there is one (R47, R48).

A linked person → no action. An unlinked CRM record with the same e-mail address is linked, not
duplicated (D24): contacts are searched first, then leads; more than one → held; none → create, under
a GUID chosen here and stored before anything is sent (D34).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from uuid import uuid4

import polars as pl
import pyarrow as pa

from include.leadsync.context import Engine
from include.leadsync.fields import Wire, canonical_rows
from include.leadsync.link.frames import empty_side, events, unlinked_pairs
from include.leadsync.link.people import People
from include.leadsync.model import Entity, Lane, LinkStatus
from include.leadsync.schema import Schema
from include.leadsync.state import Links

_OPEN_STATE = 0  # lead Open, contact Active


@dataclass
class RequestOutcome:
    """What the requests of a run lead to: pairs per entity, and events that settle the rest."""

    pairs: dict[Entity, list[pl.DataFrame]]
    events: pl.DataFrame


class Requests:
    """Answers the pending requests of a run."""

    def __init__(
        self,
        engine: Engine,
        schema: Schema,
        people: People,
        claimed: set[int],
        arrived: Mapping[str, int | None],
        next_id: Iterator[int],
    ) -> None:
        """`claimed`: persons that this run has linked. `arrived`: CRM records it links or makes a person of."""
        self._engine, self._schema, self._people = engine, schema, people
        self._claimed, self._arrived, self._next_id = claimed, arrived, next_id
        self._links = Links(engine.store)
        self._events: list[dict[str, object]] = []
        self._pairs: dict[Entity, list[pl.DataFrame]] = {entity: [] for entity in Entity}

    def answer(self, requests: pl.DataFrame, raw_persons: pa.Table) -> RequestOutcome:
        """`requests`: request_id, person_id, sync_as, owner, … ; `raw_persons`: the persons as read."""
        persons = self._people.canonical(raw_persons, Entity.LEAD)
        known = set(persons["id"].to_list())
        linked = {row["person_id"]: row for row in self._links.by_person(sorted(known)).to_pylist()}
        addresses = dict(zip(persons["id"].to_list(), persons["sys_email"].to_list(), strict=True))
        matches = self._matches({addresses[p] for p in known if p not in linked and addresses[p]})
        answered: set[object] = set()
        for request in requests.iter_rows(named=True):
            person = request["person_id"]
            if person in answered:
                self._settle(request, "no_action", "already_requested", "the same person is requested already", "R50")
            elif person not in known:
                self._settle(request, "failed", "person_missing", f"person {person} does not exist in Marketo", "R47")
            elif person in linked:
                self._already(request, linked[person])
            elif person in self._claimed:
                message = "the person was just linked to a CRM record that arrived in this run"
                self._settle(request, "linked", "linked_by_arrival", message, "D24")
            else:
                same_address = matches.setdefault(addresses[person], []) if addresses[person] else []
                self._find_or_create(request, raw_persons, same_address)
            answered.add(person)
        return RequestOutcome(self._pairs, events(self._events))

    def _already(self, request: Mapping[str, object], link: Mapping[str, object]) -> None:
        if link["status"] == LinkStatus.CREATING:
            self._settle(request, "no_action", "in_process", "the person is already in the sync process", "R50", link)
            return
        message = f"the person is linked to {link['entity']} {link['crm_id']}; updates move in the background only"
        self._settle(request, "no_action", "already_linked", message, "R48", link)

    def _find_or_create(self, request: Mapping[str, object], raw: pa.Table, found: list[_Match]) -> None:
        """`found`: CRM records with the person's address; what this request adds to them is added here too."""
        free = [match for match in found if match.owner is None]
        entity, person = Entity(str(request["sync_as"])), int(str(request["person_id"]))
        self._claimed.add(person)
        if not found:
            crm_id = str(uuid4())
            self._add(entity, request, raw, crm_id=crm_id, row=None)
            found.append(_Match(entity, crm_id, f"person {person}", True, pl.DataFrame()))
        elif not free:
            message = (
                f"{found[0].entity.value} {found[0].crm_id} has this e-mail address and is linked to {found[0].owner}"
            )
            self._settle(request, "held", "taken", message + "; merge the two persons or change the address", "D14")
        elif len(free) > 1:
            ids = ", ".join(match.crm_id for match in free[:5])
            message = f"{len(free)} CRM records have this e-mail address ({ids}); merge them or link one"
            self._settle(request, "held", "several_candidates", message, "D24")
        elif not free[0].open:
            message = f"{free[0].entity.value} {free[0].crm_id} has this e-mail address but is closed; reopen it first"
            self._settle(request, "held", "closed_record", message, "D25")
        else:
            self._add(free[0].entity, request, raw, crm_id=free[0].crm_id, row=free[0].row)
            free[0].owner = f"person {person}"

    def _add(
        self, entity: Entity, request: Mapping[str, object], raw: pa.Table, *, crm_id: str, row: pl.DataFrame | None
    ) -> None:
        names = self._schema.map(entity).names
        person = self._people.canonical(raw, entity).filter(pl.col("id") == request["person_id"])
        link_id = next(self._next_id)
        create = row is None
        fixed = pl.DataFrame(
            {
                "link_id": [link_id],
                "person_id": [request["person_id"]],
                "crm_id": [crm_id],
                "create": pl.Series(["crm" if create else None], dtype=pl.String),
                "status": [LinkStatus.CREATING.value if create else LinkStatus.ACTIVE.value],
                "lane": [int(Lane.REQUEST)],
                "request_id": [request["request_id"]],
                "owner": pl.Series([request["owner"]], dtype=pl.String),
                "c_fresh": [not create],
            }
        )
        side = empty_side(names, pl.String) if row is None else row
        self._pairs[entity].append(unlinked_pairs(fixed, person, side, names))
        if not create:
            message = f"an unlinked {entity.value} {crm_id} has this e-mail address; it was linked, nothing was created"
            self._settle(request, "linked", "linked_by_email", message, "D24")

    def _matches(self, emails: set[str]) -> dict[str, list[_Match]]:
        """E-mail address → CRM records: contacts where there are any, else leads."""
        found: dict[str, list[_Match]] = {}
        for entity in (Entity.CONTACT, Entity.LEAD):
            wanted = sorted(emails - set(found))
            if not wanted:
                continue
            columns: dict[str, Wire] = {
                **self._schema.row_columns(entity),
                "statecode": "integer",
                "emailaddress1": "text",
            }
            raw = self._engine.dynamics.rows_by_email(entity, wanted, columns)
            here = self._index(entity, raw)
            for email, matches in here.items():
                found.setdefault(email, matches)
        return found

    def _index(self, entity: Entity, raw: pa.Table) -> dict[str, list[_Match]]:
        if raw.num_rows == 0:
            return {}
        rows: pl.DataFrame = pl.from_arrow(canonical_rows(raw, self._schema.map(entity)))  # type: ignore[assignment]
        ids = rows["id"].to_list()
        linked = {**self._arrived, **{row["crm_id"]: row["person_id"] for row in self._links.by_crm(ids).to_pylist()}}
        states = raw["statecode"].to_pylist()
        index: dict[str, list[_Match]] = {}
        for position, (crm_id, email) in enumerate(zip(ids, raw["emailaddress1"].to_pylist(), strict=True)):
            person = linked.get(crm_id)
            owner = (f"person {person}" if person else "a person that is being created") if crm_id in linked else None
            match = _Match(entity, crm_id, owner, states[position] == _OPEN_STATE, rows[position : position + 1])
            index.setdefault((email or "").lower(), []).append(match)
        return index

    def _settle(
        self,
        request: Mapping[str, object],
        outcome: str,
        code: str,
        message: str,
        rule: str,
        link: Mapping[str, object] | None = None,
    ) -> None:
        self._events.append(
            {
                "kind": "request",
                "entity": str((link or {}).get("entity", request["sync_as"])),
                "link_id": (link or {}).get("link_id"),
                "crm_id": (link or {}).get("crm_id"),
                "person_id": request["person_id"],
                "request_id": request["request_id"],
                "outcome": outcome,
                "code": code,
                "message": message,
                "rule": rule,
            }
        )


@dataclass
class _Match:
    """A CRM record found by e-mail; `owner` says who has it, None nobody."""

    entity: Entity
    crm_id: str
    owner: str | None
    open: bool
    row: pl.DataFrame
