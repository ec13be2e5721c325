"""Deletions: confirmed before they count, crossing as a flag only (R75–R81, D50, D51, DECISIONS 20)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import polars as pl

from include.leadsync.context import Engine
from include.leadsync.errors import AccessRefused
from include.leadsync.link.frames import DELETED_UNTOLD, FLAGGED, events
from include.leadsync.link.reports import PROPOSAL
from include.leadsync.model import Entity, LinkStatus
from include.leadsync.no_rows import frame_of
from include.leadsync.state import Links
from include.leadsync.state.schema import LIVE

_SAMPLE = 5
"""Rows known to live that must be readable before an absent row counts as deleted."""


def removed_rows(
    engine: Engine, entity: Entity, reported: Sequence[str], absent: Sequence[str], living: Sequence[str]
) -> pl.DataFrame:
    """Events for CRM records that are reported or found gone.

    `reported`: ids from change tracking; `absent`: from a missed read, or not in a full read.
    `living`: ids read in this run. Raises `AccessRefused` when rows known to live cannot be
    read either: then it is rights that are lost, not rows.
    """
    links = Links(engine.store)
    linked = frame_of(links.by_crm(sorted({*reported, *absent})))
    # A record that is still to be created is absent too, and must not be taken for deleted, unless its deletion is
    # reported: then it existed. One whose person is to be created existed, unless that person may exist by now.
    waiting = (pl.col("status") == LinkStatus.CREATING) & pl.col("person_id").is_null() & pl.col("dirty").is_null()
    made = (pl.col("status") == LinkStatus.CREATING) & pl.col("person_id").is_not_null()
    existing = pl.col("status").is_in([LinkStatus.ACTIVE, LinkStatus.SUSPENDED]) | waiting
    existing |= made & pl.col("crm_id").is_in(list(reported))
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
    """Events for persons deleted in Marketo (CRM record untouched, R76) and for those that cannot be found.

    A person whose CRM record was deleted before is gone for good: what it was merged with, or its record restored, is
    somebody new (R77, R80).
    """
    persons = sorted({*deleted, *missing})
    if not persons:
        return events([])
    linked = frame_of(Links(engine.store).by_person(persons, statuses=[*LIVE, LinkStatus.CRM_DELETED]))
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
        elif link["status"] in LIVE:
            message = "the person cannot be found in Marketo; merged or out of reach, the link is left as it is"
            rows.append({**common, "kind": "held", "code": "person_missing", "message": message, "rule": "R173"})
    return events(rows)


def ending_first(found: pl.DataFrame, link_ids: Collection[int], message: str, rule: str) -> pl.DataFrame:
    """The events of `removed_persons` where other links have these records in the same run.

    The old ones, `link_ids`, end before those are stored.
    """
    if not link_ids:
        return found
    mine = (pl.col("kind") == "person_deleted") & pl.col("link_id").is_in(list(link_ids))
    return found.with_columns(
        pl.when(mine).then(pl.lit("ended")).otherwise("kind").alias("kind"),
        pl.when(mine).then(pl.lit(LinkStatus.PERSON_DELETED.value)).otherwise("status").alias("status"),
        pl.when(mine).then(pl.lit(message)).otherwise("message").alias("message"),
        pl.when(mine).then(pl.lit(rule)).otherwise("rule").alias("rule"),
    )


def going_on_untold(found: pl.DataFrame, renewed: Collection[int]) -> pl.DataFrame:
    """Events of `fates` where some persons, `renewed`, have another CRM record in the same run.

    They are not told that their old one went into another (D37, D42), and nobody is asked to merge them.
    """
    if not renewed:
        return found
    mine = pl.col("person_id").is_in(list(renewed)).fill_null(value=False)
    ended = mine & (pl.col("kind") == "ended") & (pl.col("outcome") == FLAGGED).fill_null(value=False)
    told = found.with_columns(pl.when(~ended).then(pl.col("outcome")).alias("outcome"))
    return told.filter(~(mine & (pl.col("kind") == "held") & (pl.col("code") == PROPOSAL)))


def going_on(removed: pl.DataFrame, renewed: Mapping[int, str]) -> pl.DataFrame:
    """The events of `removed_rows` where some persons have another CRM record in the same run: they are not told.

    `renewed`: person → that record. Their old links end before the new ones are stored.
    """
    if removed.is_empty() or not renewed:
        return removed
    mine = (pl.col("kind") == "crm_deleted") & pl.col("person_id").is_in(list(renewed))
    record = pl.col("person_id").replace_strict(dict(renewed), default=None, return_dtype=pl.String)
    message = pl.format("the CRM record was deleted in Dynamics; the person goes on with {}", record)
    return removed.with_columns(
        pl.when(mine).then(pl.lit("ended")).otherwise("kind").alias("kind"),
        pl.when(mine).then(pl.lit(LinkStatus.CRM_DELETED.value)).otherwise("status").alias("status"),
        pl.when(mine).then(record).otherwise("became_crm").alias("became_crm"),
        pl.when(mine).then(message).otherwise("message").alias("message"),
        pl.when(mine).then(pl.lit("D13")).otherwise("rule").alias("rule"),
    )
