"""Deletions: confirmed before they count, crossing as a flag only (R75–R81, D50, D51, DECISIONS 20)."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from include.leadsync.context import Engine
from include.leadsync.errors import AccessRefused
from include.leadsync.link.frames import DELETED_UNTOLD, events
from include.leadsync.model import Entity, LinkStatus
from include.leadsync.state import Links

_SAMPLE = 5
"""Rows known to live that must be readable before an absent row counts as deleted."""


def removed_rows(engine: Engine, entity: Entity, suspects: Sequence[str], living: Sequence[str]) -> pl.DataFrame:
    """Events for CRM records that are reported or found gone.

    `suspects`: ids from change tracking, from a missed read, or absent from a full read.
    `living`: ids read in this run. Raises `AccessRefused` when rows known to live cannot be
    read either: then it is rights that are lost, not rows.
    """
    links = Links(engine.store)
    linked: pl.DataFrame = pl.from_arrow(links.by_crm(sorted(set(suspects))))  # type: ignore[assignment]
    # A record that is still to be created is absent too, and must not be taken for deleted; one whose person is
    # to be created existed, unless it is unknown whether that person exists by now.
    waiting = (pl.col("status") == LinkStatus.CREATING) & pl.col("person_id").is_null() & pl.col("dirty").is_null()
    existing = pl.col("status").is_in([LinkStatus.ACTIVE, LinkStatus.SUSPENDED]) | waiting
    linked = linked.filter((pl.col("entity") == entity.value) & existing & ~pl.col("crm_id").is_in(list(living)))
    if linked.is_empty():
        return events([])
    ids = linked["crm_id"].to_list()
    sample = [crm_id for crm_id in living if crm_id not in set(ids)][:_SAMPLE] or links.sample(
        entity, _SAMPLE, excluding=ids
    )
    fate = engine.dynamics.probe(entity, [*ids, *sample])
    if sample and not any(fate.get(crm_id) == "exists" for crm_id in sample):
        raise AccessRefused(
            "Dynamics",
            "unreadable",
            f"{len(ids)} {entity.value} rows look deleted, but rows known to live cannot be read either",
            f"Give the application user organisation-level read on {entity.value}; nothing was flagged as deleted.",
        )
    return events([_event(entity, row, fate.get(row["crm_id"], "unreadable")) for row in linked.iter_rows(named=True)])


def _event(entity: Entity, link: dict[str, object], fate: str) -> dict[str, object]:
    common = {"entity": entity.value, **{key: link[key] for key in ("link_id", "person_id", "crm_id")}}
    if fate == "gone" and link["status"] == LinkStatus.SUSPENDED:
        message = "the CRM record was deleted in Dynamics while its filter kept it out; the person stays as it is"
        return {**common, "kind": "crm_deleted", "code": DELETED_UNTOLD, "message": message, "rule": "R119"}
    if fate == "gone":
        message = "the CRM record was deleted in Dynamics; the person stays and is flagged"
        return {**common, "kind": "crm_deleted", "code": "crm_deleted", "message": message, "rule": "R75"}
    if fate == "exists":
        return {
            **common,
            "kind": "refreshed",
            "code": "exists",
            "message": "reported deleted but readable",
            "rule": "D51",
        }
    message = "the CRM record cannot be read any more; unreadable is not deleted, so nothing was flagged"
    return {**common, "kind": "held", "code": "unreadable", "message": message, "rule": "D51"}


def removed_persons(engine: Engine, deleted: Sequence[int], missing: Sequence[int]) -> pl.DataFrame:
    """Events for persons deleted in Marketo (CRM record untouched, R76) and for those that cannot be found."""
    linked: pl.DataFrame = pl.from_arrow(Links(engine.store).by_person(sorted({*deleted, *missing})))  # type: ignore[assignment]
    gone = set(deleted)
    rows: list[dict[str, object]] = []
    for link in linked.iter_rows(named=True):
        common = {key: link[key] for key in ("entity", "link_id", "person_id", "crm_id")}
        if link["person_id"] in gone:
            message = (
                "the person was deleted in Marketo; the CRM record is untouched, its next update makes a new person"
            )
            rows.append(
                {**common, "kind": "person_deleted", "code": "person_deleted", "message": message, "rule": "R76"}
            )
        else:
            message = "the person cannot be found in Marketo; merged or out of reach, the link is left as it is"
            rows.append({**common, "kind": "held", "code": "person_missing", "message": message, "rule": "R173"})
    return events(rows)
