"""Sync Person to Microsoft: create a CRM record if there is none, do nothing if there is one (R47, R48).

A linked person → no action. An unlinked CRM record whose id the person carries (D11), or with the same e-mail address,
is linked, not duplicated (D24): contacts are searched first, then leads; more than one → held; none → create, under a
GUID chosen here and stored before anything is sent (D34).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from uuid import uuid4

import polars as pl
import pyarrow as pa

from include.leadsync.context import Engine
from include.leadsync.link.accounts import Accounts
from include.leadsync.link.candidates import Candidate, Candidates
from include.leadsync.link.frames import empty_side, events, unlinked_pairs
from include.leadsync.link.named import named_ids
from include.leadsync.link.owners import Owners
from include.leadsync.link.people import People
from include.leadsync.model import Entity, Lane, LinkStatus
from include.leadsync.schema import Schema
from include.leadsync.state import Links

Request = Mapping[str, object]

_BY_EMAIL, _BY_ID = "has this e-mail address", "is named in the person's Microsoft Id"
"""How a record was found, in words."""


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
        freed: Collection[int],
        left: Collection[int],
    ) -> None:
        """`claimed`: persons that this run has linked. `arrived`: CRM records it links or makes a person of.

        `freed`: persons whose link ends in this run, because their record was deleted or went into one that another
        link has. `left`: links that end in it because their person was deleted, or merged into one that has another
        record: theirs are free.
        """
        self._freed = set(freed)
        self._schema, self._people = schema, people
        self._claimed, self._next_id = claimed, next_id
        self._settings = engine.settings.requests
        self._links = Links(engine.store)
        self._candidates = Candidates(engine, schema, arrived, left)
        self._owners = Owners(engine.dynamics, self._settings.default_owners)
        self._accounts = Accounts(engine.dynamics, self._settings.attach_account)
        self._events: list[dict[str, object]] = []
        self._creations: list[tuple[Request, Entity, str]] = []
        self._found: list[tuple[Request, Candidate]] = []

    def answer(self, requests: pl.DataFrame, raw_persons: pa.Table) -> RequestOutcome:
        """`requests`: request_id, person_id, sync_as, owner, … ; `raw_persons`: the persons as read."""
        persons = self._people.canonical(raw_persons, Entity.LEAD)
        known = set(persons["id"].to_list())
        linked = {row["person_id"]: row for row in self._links.by_person(sorted(known - self._freed)).to_pylist()}
        addresses = dict(zip(persons["id"].to_list(), persons["sys_email"].to_list(), strict=True))
        free = {addresses[person] for person in known if person not in linked and addresses[person]}
        candidates = self._candidates.by_email(free) if self._settings.when_found == "link" else {}
        named = self._named(persons.filter(~pl.col("id").is_in(list(linked))))
        self._belonging([candidate for found in candidates.values() for candidate in found], set(named))
        requests = requests.sort(pl.col("person_id").is_in(list(named)), descending=True, maintain_order=True)
        kept_out = self._kept_out(raw_persons)
        unseen = " and ".join(e.value for e in Entity if _address_hidden(self._schema, e))
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
            elif person in kept_out[Entity(str(request["sync_as"]))]:
                message = "the filter on persons keeps this person from syncing; see filter in leadsync.yaml"
                self._settle(request, "held", "kept_out", message, "D73")
            elif person in named:
                self._find_or_create(request, [named[person]], _BY_ID)
            elif unseen and self._settings.when_found == "link":
                message = f"{unseen} hides its e-mail addresses from our user: a record may be there; see `check`"
                self._settle(request, "held", "address_hidden", message, "R21")
            else:
                same_address = candidates.setdefault(addresses[person], []) if addresses[person] else []
                self._find_or_create(request, same_address)
            answered.add(person)
        return RequestOutcome(self._pairs(raw_persons), events(self._events))

    def _named(self, persons: pl.DataFrame) -> dict[int, Candidate]:
        """Persons that carry the id of a record that nobody else has: it is theirs, whatever its address (D11)."""
        ids = named_ids(persons)
        found = self._candidates.by_id(ids.values())
        return {p: found[i] for p, i in ids.items() if i in found and found[i].owner is None}

    def _belonging(self, candidates: list[Candidate], asking: set[int]) -> None:
        """Found by an address, but another person carries their id: nobody else gets them (D14).

        `asking`: persons who get the record that they name in this run, before anybody else.
        """
        free = {candidate.crm_id: candidate for candidate in candidates if candidate.owner is None}
        raw = self._people.by_microsoft_id(sorted(free))
        if raw is None or raw.num_rows == 0:
            return
        named = named_ids(self._people.canonical(raw, Entity.LEAD))
        linked = set(self._links.by_person(sorted(named))["person_id"].to_pylist())
        for person, crm_id in named.items():
            if person not in linked and person not in asking and crm_id in free:
                free[crm_id].owner = f"person {person}"

    def _kept_out(self, raw_persons: pa.Table) -> dict[Entity, set[int]]:
        each = {entity: self._people.canonical(raw_persons, entity) for entity in Entity}
        return {entity: set(persons.filter(~pl.col("sys_allowed"))["id"]) for entity, persons in each.items()}

    def _already(self, request: Request, link: Mapping[str, object]) -> None:
        if link["status"] == LinkStatus.CREATING:
            self._settle(request, "no_action", "in_process", "the person is already in the sync process", "R50", link)
            return
        message = f"the person is linked to {link['entity']} {link['crm_id']}; updates move in the background only"
        rule = "R48"
        if link["entity"] != request["sync_as"]:
            message, rule = f"{message}, and a request converts nothing", "D28" if link["entity"] == "lead" else "R55"
        self._settle(request, "no_action", "already_linked", message, rule, link)

    def _find_or_create(self, request: Request, found: list[Candidate], how: str = _BY_EMAIL) -> None:
        """`found`: CRM records that may be the person's; what this request adds to them is added here too."""
        entity, person = Entity(str(request["sync_as"])), int(str(request["person_id"]))
        if self._settings.when_closed == "create":
            found = [candidate for candidate in found if candidate.open or candidate.owner is not None]
        free = [candidate for candidate in found if candidate.owner is None]
        self._claimed.add(person)
        if not found or (self._settings.when_found == "create" and how == _BY_EMAIL):
            crm_id = str(uuid4())
            self._creations.append((request, entity, crm_id))
            found.append(Candidate(entity, crm_id, f"person {person}", True, pl.DataFrame()))
        elif not free:
            message = f"{found[0].entity.value} {found[0].crm_id} {how} and is linked to {found[0].owner}"
            self._settle(request, "held", "taken", message + "; merge the two persons or change the address", "D14")
        elif len(free) > 1:
            ids = ", ".join(candidate.crm_id for candidate in free[:5])
            message = f"{len(free)} CRM records have this e-mail address ({ids}); merge them or link one"
            self._settle(request, "held", "several_candidates", message, "D24")
        elif not free[0].open:
            message = f"{free[0].entity.value} {free[0].crm_id} {how} but is closed; reopen it first"
            self._settle(request, "held", "closed_record", message, "D25")
        elif self._schema.filters[free[0].entity].blocked:
            message = f"{free[0].entity.value} {free[0].crm_id} {how}, but its filter cannot be read"
            self._settle(request, "held", "filter_unreadable", message, "D68")
        else:
            self._found.append((request, free[0]))
            free[0].owner = f"person {person}"
            where = f"{free[0].entity.value} {free[0].crm_id}"
            message = f"an unlinked {where} {how}; it was linked, nothing was created"
            if not free[0].allowed:
                message += ", and nothing crosses while its filter keeps it out"
            link = {"entity": free[0].entity.value, "crm_id": free[0].crm_id}
            code = "linked_by_email" if how == _BY_EMAIL else "linked_by_id"
            self._settle(request, "linked", code, message, "D24" if how == _BY_EMAIL else "D11", link)

    def _pairs(self, raw_persons: pa.Table) -> dict[Entity, list[pl.DataFrame]]:
        """First links and records to create, in the shape of `frames`."""
        self._owners.look_up(str(request["owner"] or "") for request, _, _ in self._creations)
        pairs: dict[Entity, list[pl.DataFrame]] = {}
        for entity in Entity:
            names = self._schema.map(entity).names
            made = [(request, crm_id) for request, kind, crm_id in self._creations if kind is entity]
            found = [(request, candidate) for request, candidate in self._found if candidate.entity is entity]
            fixed = [self._fixed(request, crm_id, binds) for request, crm_id, binds in self._bound(made, raw_persons)]
            fixed += [
                self._fixed(request, c.crm_id, None, LinkStatus.ACTIVE if c.allowed else LinkStatus.SUSPENDED)
                for request, c in found
            ]
            rows = [candidate.row for _, candidate in found] or [empty_side(names, pl.String)]
            persons = self._people.canonical(raw_persons, entity)
            frame = pl.DataFrame(fixed, schema=_FIXED, orient="row")
            pairs[entity] = [unlinked_pairs(frame, persons, pl.concat(rows), names)] if fixed else []
        return pairs

    def _bound(
        self, made: list[tuple[Request, str]], raw_persons: pa.Table
    ) -> Iterator[tuple[Request, str, str | None]]:
        """Creations with the look-ups they start with; what could not be looked up is told, not failed (D30)."""
        contacts = [int(str(request["person_id"])) for request, _ in made if request["sync_as"] == Entity.CONTACT]
        accounts = self._accounts.of(contacts, raw_persons)
        for request, crm_id in made:
            person = int(str(request["person_id"]))
            owner = self._owners.of(str(request["owner"] or "") or None, person)
            if owner.problem:
                self._notice(request, crm_id, "owner_not_found", f"{owner.problem}; {_instead(owner.row)}", "D30")
            binds = {"ownerid": owner.row, "parentcustomerid_account": accounts.get(person)}
            given = {name: row for name, row in binds.items() if row}
            yield request, crm_id, json.dumps(given) if given else None

    def _fixed(
        self, request: Request, crm_id: str, binds: str | None, status: LinkStatus = LinkStatus.CREATING
    ) -> tuple[object, ...]:
        create = status is LinkStatus.CREATING
        return (
            next(self._next_id),
            request["person_id"],
            crm_id,
            "crm" if create else None,
            status.value,
            int(Lane.REQUEST),
            request["request_id"],
            binds,
            not create,
        )

    def _settle(
        self,
        request: Request,
        outcome: str,
        code: str,
        message: str,
        rule: str,
        link: Mapping[str, object] | None = None,
    ) -> None:
        event = {"kind": "request", "request_id": request["request_id"], "outcome": outcome}
        self._events.append({**event, **self._told(request, code, message, rule), **_of_link(link)})

    def _notice(self, request: Request, crm_id: str, code: str, message: str, rule: str) -> None:
        told = self._told(request, code, message, rule)
        self._events.append({"kind": "notice", **told, "crm_id": crm_id})

    @staticmethod
    def _told(request: Request, code: str, message: str, rule: str) -> dict[str, object]:
        who = {"entity": str(request["sync_as"]), "person_id": request["person_id"]}
        return {**who, "code": code, "message": message, "rule": rule}


def _address_hidden(schema: Schema, entity: Entity) -> bool:
    return any(column.name == "emailaddress1" and column.hidden for column in schema.dynamics[entity])


_FIXED = {
    "link_id": pl.Int64,
    "person_id": pl.Int64,
    "crm_id": pl.String,
    "create": pl.String,
    "status": pl.String,
    "lane": pl.Int64,
    "request_id": pl.String,
    "binds": pl.String,
    "c_fresh": pl.Boolean,
}


def _of_link(link: Mapping[str, object] | None) -> dict[str, object]:
    return {name: link[name] for name in ("entity", "link_id", "crm_id") if name in link} if link else {}


def _instead(row: str | None) -> str:
    return "the default owner got the record" if row else "the record belongs to this application's user"
