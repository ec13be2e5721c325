"""The rules of a collision, row by row, in plain Python: what the vectorised merge must agree with."""

from __future__ import annotations

from typing import NamedTuple

from include.leadsync.model import Entity, Flow, SyncField, Winner


class Decided(NamedTuple):
    change: str
    direction: str | None
    after: str | None


def decide(
    field: SyncField,
    entity: Entity,
    base: str | None,
    person: str | None,
    crm: str | None,
    *,
    linked: bool,
    person_base: str | None = None,
    crm_base: str | None = None,
) -> Decided | None:
    """One cell. `person_base`, `crm_base`: the base as that side spells it. None: nothing changed."""
    moved_p, moved_c = person != person_base, crm != crm_base
    if not moved_p and not moved_c:
        return None
    if person == crm:
        return Decided("converged", None, person)
    if not linked:
        change = "first_link"
    elif moved_p and moved_c:
        change = "collision"
    else:
        change = "person_changed" if moved_p else "crm_changed"
    direction = _direction(field, entity, change, person, crm, moved_p=moved_p, moved_c=moved_c)
    if field.rule.inbound_write_once and direction == "inbound" and person is not None:  # it stays, and may go out
        direction = "outbound" if moved_p and field.rule.flow is Flow.BOTH else None
    return Decided(change, direction, {"outbound": person, "inbound": crm, None: base}[direction])


def _direction(  # noqa: C901, PLR0911 - the rules one after another, as the fact sheet has them
    field: SyncField, entity: Entity, change: str, person: str | None, crm: str | None, *, moved_p: bool, moved_c: bool
) -> str | None:
    rule = field.rule
    if rule.flow is Flow.INBOUND or (rule.flow is Flow.BOTH and rule.outbound_on_create_only):
        return "inbound" if moved_c else None
    if rule.flow is Flow.OUTBOUND:
        return "outbound" if moved_p else None
    if change == "person_changed":
        return "outbound"
    if change == "crm_changed":
        return "inbound"
    if rule.winner is Winner.OPT_OUT:
        if person == "true":
            return "outbound"
        if crm == "true":
            return "inbound"
    if change == "first_link" or rule.winner is Winner.NEVER_BLANK:
        if person is None:
            return "inbound"
        if crm is None:
            return "outbound"
    if rule.winner is Winner.MARKETO:
        return "outbound"
    if rule.winner is Winner.DYNAMICS:
        return "inbound"
    return "outbound" if entity is Entity.LEAD else "inbound"
