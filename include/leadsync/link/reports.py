"""What is said of conversions and merges: event rows (`frames.EVENT_SCHEMA`) with their rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from include.leadsync.link.by_email import SEVERAL
from include.leadsync.link.frames import DELETED_UNTOLD, FLAGGED, MERGED_AWAY, SEVERAL_CARRY, SUPERSEDED
from include.leadsync.link.resolution import Claim, End, Move, Successor
from include.leadsync.model import Entity, LinkStatus

Event = dict[str, object]

PROPOSAL, DUPLICATES, REACTIVATED = "merge_proposed", "crm_duplicates", "lead_reactivated"
DROPPED = "dropped_by_conversion"
_LINK = "link"
_ENDS = {"deactivate": "deactivated", "delete": "deleted"}


def moved(move: Move) -> list[Event]:
    """The history of a link that goes on with another record, another person, or both."""
    told: list[Event] = []
    about = _about(move.claim)
    if move.successor:
        converted = move.converted
        status = LinkStatus.CONVERTED if converted else LinkStatus.CRM_MERGED
        what = "qualified into" if converted else "merged into"
        message = f"{move.claim.entity.value} {move.claim.crm_id} was {what} {_name(move)}; the person goes on with it"
        told.append(
            _event("moved", about, status.value, message, "D36" if converted else "D43", status, became=move.crm_id)
        )
    if move.person_moved:
        message = f"person {move.claim.person_id} was merged into {move.person_id}, who goes on with {_name(move)}"
        status = LinkStatus.PERSON_MERGED
        told.append(
            {**_event("moved", about, status.value, message, "D44", status), "became_person": move.person_id,
             "became_crm": move.crm_id}
        )  # fmt: skip
    return told


def arrived_instead(move: Move) -> list[Event]:
    """The history of a link whose CRM record could not be made, and turned up; nothing holds that one any more."""
    message = f"{_name(move)} has arrived for the person, for whom none could be made; it is theirs"
    status = LinkStatus.CRM_MERGED
    told = _event("moved", _about(move.claim), "linked_by_arrival", message, "D13", status, became=move.crm_id)
    over: list[Event] = [{"kind": "over", "code": code, "crm_id": move.crm_id} for code in (SEVERAL, SEVERAL_CARRY)]
    return [told, *over]


def several_wait(entity: Entity, crm_id: str, persons: Sequence[int]) -> Event:
    """A record that arrived with the address of several persons who wait for one (D13)."""
    who = ", ".join(map(str, sorted(persons)[:5]))
    message = f"persons {who} have this e-mail address and wait for a CRM record; merge them in Marketo, or change it"
    about: Event = {"kind": "held", "entity": entity.value, "crm_id": crm_id}
    return {**about, "code": SEVERAL, "message": f"{message}; it is looked at every hour", "rule": "D13"}


def ended(end: End, *, flagged: bool, merging: bool = False) -> list[Event]:
    """A link ends because another one has its record, its person, or both. `merging`: its record is merged, too."""
    claim, about = end.move.claim, _about(end.move.claim)
    became: Event = {"became_crm": end.kept.crm_id, "became_person": end.kept.person_id}
    if end.record_taken and end.move.successor:
        status = LinkStatus.CONVERTED if end.move.converted else LinkStatus.CRM_MERGED  # where its record is found now
        what = "qualified into" if end.qualified else "merged into"
        message = f"{claim.entity.value} {claim.crm_id} was {what} {_name(end.kept)}, which has a person of its own"
        rule = "D37" if end.qualified else "D42"
        superseded = SUPERSEDED if end.qualified else MERGED_AWAY
        code = DELETED_UNTOLD if claim.status == LinkStatus.SUSPENDED else superseded
        flag = FLAGGED if flagged else None
        return [{**_event("ended", about, code, message, rule, status), **became, "outcome": flag}]
    status = LinkStatus.PERSON_MERGED
    message = f"person {claim.person_id} was merged into {end.move.person_id}, who has {_name(end.kept)}"
    if not end.move.person_moved:  # the survivor had asked for one that could not be made yet
        message = f"a person merged into {claim.person_id} brought {_name(end.kept)}; no other one is made"
    event = {**_event("ended", about, status.value, message, "D44", status), **became}
    if end.record_taken or merging or not claim.made:
        return [event]
    ask = f"{claim.entity.value} {claim.crm_id} and {_name(end.kept)} belong to one person now; merge them in Dynamics"
    duplicate = {"entity": claim.entity.value, "person_id": end.move.person_id, "crm_id": claim.crm_id}
    return [event, {**duplicate, "kind": "held", "code": DUPLICATES, "message": ask, "rule": "D44"}]


def proposal(end: End) -> Event:
    """Two persons for one CRM record: somebody should merge them (D37, D42)."""
    claim = end.move.claim
    ask = f"person {claim.person_id} has no CRM record any more: {_name(end.kept)} belongs to person"
    message = f"{ask} {end.kept.person_id}; merge the first into the second in Marketo"
    rule = "D37" if end.qualified else "D42"
    return {
        "kind": "held",
        "entity": claim.entity.value,
        "person_id": claim.person_id,
        "crm_id": end.kept.crm_id,
        "code": PROPOSAL,
        "message": message,
        "rule": rule,
    }


def persons_merged(loser: int) -> Event:
    """What was asked for is done, or the person was deleted: proposals about it are over."""
    return {"kind": "over", "code": PROPOSAL, "person_id": loser}


def nobody_to_merge_into(crm_id: object) -> Event:
    """The person that others should have been merged into, because it has this record, was deleted."""
    return {"kind": "over", "code": PROPOSAL, "crm_id": crm_id}


def survivor_deleted(claim: Claim) -> Event:
    """The person was merged into one that was deleted since: deleted all the same (R76)."""
    message = "the person was merged in Marketo and then deleted; the CRM record is untouched"
    about = {**_about(claim), "kind": "person_deleted", "code": "person_deleted"}
    return {**about, "message": message, "rule": "R76"}


def circle(claim: Claim) -> Event:
    """Masters that lead back to where they began."""
    message = f"the merges of {claim.entity.value} {claim.crm_id} lead round in a circle; the link is left as it is"
    about = {**_about(claim), "link_id": None}  # an open row about the records, whatever else the link does
    return {**about, "kind": "held", "code": "merge_circle", "message": message, "rule": "D42"}


def unreadable_successor(claim: Claim, step: Successor) -> Event:
    """Its record went into one that is gone, or out of reach."""
    message = f"{claim.entity.value} {claim.crm_id} went into {step.entity.value} {step.crm_id}, which cannot be read"
    about = {**_about(claim), "link_id": None}
    return {**about, "kind": "held", "code": "successor_unreadable", "message": message, "rule": "D51"}


def followed(move: Move) -> list[Event]:
    """What stood in the way of following a record is over."""
    codes = ("merge_circle", "successor_unreadable")
    records = sorted({move.claim.crm_id, move.crm_id})
    return [{"kind": "over", "code": code, "crm_id": crm_id} for code in codes for crm_id in records]


def reactivated(lead: str, became: Mapping[str, object]) -> Event:
    """A lead that became a contact is open again: its person stays with the contact (D41)."""
    contact, person = became["became_crm"], became["person_id"]
    message = f"lead {lead} was opened again after it became contact {contact}; the person stays with the contact"
    about = {"entity": "lead", "person_id": person, "crm_id": lead}
    return {**about, "kind": "held", "code": REACTIVATED, "message": message, "rule": "D41"}


def too_many(action: str, found: int, most: int) -> Event:
    """More records than may be closed or deleted in one cycle: none is (D53)."""
    message = (
        f"{found} persons were deleted whose CRM records may be {_ENDS[action]}; more than {most}: none was touched"
    )
    return {"kind": "notice", "operation": action, "code": "too_many_deletions", "message": message, "rule": "D53"}


def would_end(entity: str, crm_id: str, action: str) -> Event:
    """What a run in earnest would do (D53)."""
    message = f"its person was deleted in Marketo; without dry_run {entity} {crm_id} would be {_ENDS[action]}"
    about: Event = {"kind": "notice", "operation": action, "entity": entity, "crm_id": crm_id}
    return {**about, "code": f"would_{action}", "message": message, "rule": "D53"}


def erased(crm_id: str) -> Event:
    """A record whose person was deleted in Marketo and is not made anew (D52)."""
    message = "its person was deleted in Marketo and stays so; a request makes the person known again"
    return {"kind": "held", "crm_id": crm_id, "code": "person_erased", "message": message, "rule": "D52"}


def dropped(move: Move, person: int, field: str, value: str | None) -> Event:
    """A change that was on its way has no place in the record that took over (D38)."""
    message = f"the change was on its way when the record became {_name(move)}, which has no such field"
    about: Event = {"entity": move.entity.value, "person_id": person, "crm_id": move.crm_id, "operation": _LINK}
    told: Event = {"field": field, "value": value, "code": DROPPED, "message": message, "rule": "D38"}
    return {**about, **told, "kind": "notice"}


def _about(claim: Claim) -> Event:
    return {
        "entity": claim.entity.value,
        "link_id": claim.link_id,
        "person_id": claim.person_id,
        "crm_id": claim.crm_id,
        "operation": _LINK,
    }


def _event(
    kind: str, about: Event, code: str, message: str, rule: str, status: LinkStatus, became: str | None = None
) -> Event:
    told = {"code": code, "message": message, "rule": rule}
    return {**about, **told, "kind": kind, "status": status.value, "became_crm": became}


def _name(move: Move) -> str:
    return f"{move.entity.value} {move.crm_id}"
