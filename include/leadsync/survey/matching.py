"""Who belongs to whom among the people of both systems: pure functions over keys (D11, D13-D15, D101).

Ids first: a person that carries the id of a record, or whose id a record carries, is that record's. Then, where that
is asked for, the e-mail address: exactly one person that nobody else claims, in the record's partition. Of several
records with one address a contact goes before a lead, an active lead before a closed one, then the latest (D15).
A lead that became a contact has no person beside that of the contact, as the cycle sees it (R67).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import polars as pl

from include.leadsync.extract.identity import QUALIFIED
from include.leadsync.no_rows import no_rows

MATCH: Final = {"entity": pl.String, "crm_id": pl.String, "person_id": pl.Int64, "how": pl.String}
ALONE: Final = {"kind": pl.String, "entity": pl.String, "id": pl.String}
"""Whoever has no partner: `record` (the cycle makes a person of it) or `person` (nothing happens), and its id."""
CONFLICT: Final = {
    "code": pl.String,
    "entity": pl.String,
    "crm_id": pl.String,
    "person_id": pl.Int64,
    "detail": pl.String,
}

MEANING: Final = {
    "several_carry_id": ("D11", "several persons carry the id of one record; keep it on one of them, or merge them"),
    "several_records": ("D11", "one person is claimed by several records; keep the id of the right one"),
    "record_missing": ("D11", "the person carries the id of a record that does not exist or cannot be read"),
    "record_merged": ("D42", "the record was merged into another one, named in detail"),
    "type_mismatch": (
        "D11",
        "Microsoft Type says otherwise than the table of the record; it is linked, the type put right",
    ),
    "linked_otherwise": ("D14", "the state store links one of the two to somebody else; that link stays"),
    "several_candidates": (
        "D13",
        "several persons without a record have the address; nothing is linked until they are merged",
    ),
    "shared_address": ("D15", "another record of the same address goes first; this one gets a person of its own"),
}
"""Code → rule and what it means."""


CLAIMED_TWICE: Final = ("several_carry_id", "several_records")
"""Conflicts whose records the cycle must not take for new ones, though it may see no id on anybody."""
_NAMED: Final = 10  # ids of candidates that a conflict names


@dataclass(frozen=True)
class Matched:
    """`matches` as MATCH, `conflicts` as CONFLICT, `alone` as ALONE; the numbers count records left over.

    `converted`: leads that go on as contacts.
    """

    matches: pl.DataFrame
    conflicts: pl.DataFrame
    alone: pl.DataFrame
    already_linked: int
    kept_out: int
    converted: int

    @property
    def to_create(self) -> int:
        """Records of which the cycle makes persons."""
        return self.alone.filter(pl.col("kind") == "record").height

    @property
    def persons_alone(self) -> int:
        """Persons without a record."""
        return self.alone.filter(pl.col("kind") == "person").height


def match(
    rows: pl.DataFrame, persons: pl.DataFrame, claims: pl.DataFrame, linked: pl.DataFrame, *, by_email: bool
) -> Matched:
    """Pair rows and persons.

    `rows`: entity, id, email, state, merged, master, contact, origin, allowed, place, modified. `persons`: id, email,
    type, place. `claims`: person_id, crm_id. `linked`: person_id, crm_id of the links that exist.
    """
    persons = persons.unique("id", keep="last")
    claims = claims.unique().filter(pl.col("person_id").is_in(persons["id"].implode()))
    matches, already, conflicts = _by_id(rows, persons, claims, linked)
    spoken_for = pl.concat(
        [claims.join(rows, left_on="crm_id", right_on="id", how="semi"), linked.select("person_id", "crm_id")]
    )
    became = _became(rows)
    claimed = pl.col("id").is_in(spoken_for["crm_id"].drop_nulls().implode())
    as_lead = became.filter(pl.col("id").is_in(spoken_for["crm_id"].drop_nulls().implode()))
    on_its_way = pl.col("id").is_in(as_lead["contact"].implode())  # the link of its lead will be its own
    converted = ~claimed & pl.col("id").is_in(became["id"].implode())
    open_rows = rows.filter(~pl.col("merged") & ~claimed & ~on_its_way & ~converted)
    unlinked = persons.filter(~pl.col("id").is_in(spoken_for["person_id"].drop_nulls().implode()))
    held = pl.Series([], dtype=pl.String)
    if by_email:
        found, doubts = _by_email(open_rows.filter("allowed"), unlinked)
        matches, held = pl.concat([matches, found]), doubts.filter(pl.col("code") == "several_candidates")["crm_id"]
        conflicts.append(doubts)
    rest = open_rows.filter(~pl.col("id").is_in(matches["crm_id"].implode()))
    to_create = rest.filter(pl.col("allowed") & ~pl.col("id").is_in(held.implode()))
    nobody = unlinked.filter(~pl.col("id").is_in(matches["person_id"].implode()))
    return Matched(
        matches.sort("entity", "crm_id"),
        pl.concat(conflicts).sort("code", "entity", "crm_id", "person_id"),
        pl.concat([_alone("record", to_create), _alone("person", nobody)]),
        already.height,
        rest.filter(~pl.col("allowed")).height,
        rows.filter(converted).height,
    )


def _by_id(
    rows: pl.DataFrame, persons: pl.DataFrame, claims: pl.DataFrame, linked: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame, list[pl.DataFrame]]:
    """Pairs by the id that the person carries, those that are linked already, and what stands against a pair."""
    conflicts = [no_rows(CONFLICT)]
    gone = claims.join(rows, left_on="crm_id", right_on="id", how="anti")
    conflicts.append(_told("record_missing", gone))
    known = claims.join(rows, left_on="crm_id", right_on="id")
    merged = known.filter(pl.col("merged") & pl.col("master").is_not_null())
    conflicts.append(_told("record_merged", merged.with_columns(detail="master")))
    known = known.join(merged, on=["person_id", "crm_id"], how="anti")
    already = known.join(linked, on=["person_id", "crm_id"], how="semi")
    known = known.join(already, on=["person_id", "crm_id"], how="anti")
    busy = pl.col("person_id").is_in(linked["person_id"].drop_nulls().implode()) | pl.col("crm_id").is_in(
        linked["crm_id"].drop_nulls().implode()
    )
    conflicts.append(_told("linked_otherwise", known.filter(busy)))
    free = known.filter(~busy)
    many_persons, many_records = free["crm_id"].is_duplicated(), free["person_id"].is_duplicated()
    conflicts.append(_told("several_carry_id", free.filter(many_persons)))
    conflicts.append(_told("several_records", free.filter(many_records & ~many_persons)))
    by_id = free.filter(~many_persons & ~many_records).with_columns(how=pl.lit("id"))
    typed = by_id.join(persons.select("id", "type"), left_on="person_id", right_on="id")
    wrong = typed.filter(pl.col("type").str.to_lowercase().ne(pl.col("entity")).fill_null(value=False))
    conflicts.append(_told("type_mismatch", wrong.with_columns(detail=pl.lit("person says ") + pl.col("type"))))
    return by_id.select(list(MATCH)), already, conflicts


def _became(rows: pl.DataFrame) -> pl.DataFrame:
    """Qualified leads with the contact they became, where its filter allows that: id, contact."""
    contacts = rows.filter((pl.col("entity") == "contact") & pl.col("allowed"))
    leads = rows.filter((pl.col("entity") == "lead") & (pl.col("state") == QUALIFIED))
    named = leads.join(contacts.select(contact="id"), on="contact", how="semi").select("id", "contact")
    born = contacts.select(id="origin", contact="id").join(leads.select("id"), on="id", how="semi")
    return pl.concat([named, born]).unique()


def _alone(kind: str, rows: pl.DataFrame) -> pl.DataFrame:
    entity = pl.col("entity") if "entity" in rows.columns else pl.lit(None)
    named = rows.sort("id").select(pl.lit(kind).alias("kind"), entity.cast(pl.String).alias("entity"), "id")
    return named.with_columns(pl.col("id").cast(pl.String))


def _by_email(rows: pl.DataFrame, persons: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    key = ["email", "place"]
    candidates = (
        persons.filter(pl.col("email").is_not_null())
        .group_by(key)
        .agg(
            pl.len().alias("_persons"),
            pl.col("id").min().alias("person_id"),
            pl.col("id").sort().head(_NAMED).cast(pl.String).str.join(" ").alias("_some"),
        )
    )
    ordered = rows.filter(pl.col("email").is_not_null()).sort(
        (pl.col("entity") != "contact").cast(pl.Int8),
        (pl.col("state") != 0).cast(pl.Int8),
        "modified",
        "id",
        descending=[False, False, True, False],
        nulls_last=True,
    )
    met = ordered.join(candidates, on=key, how="inner", nulls_equal=True, maintain_order="left").rename(
        {"id": "crm_id"}
    )
    several = met.filter(pl.col("_persons") > 1)
    single = met.filter(pl.col("_persons") == 1)
    first = single.unique("person_id", keep="first", maintain_order=True)
    others = single.join(first, on="crm_id", how="anti")
    named = pl.format("{} persons: {}", "_persons", "_some")
    doubts = [
        _told("several_candidates", several.with_columns(person_id=pl.lit(None, pl.Int64), detail=named)),
        _told("shared_address", others),
    ]
    return first.with_columns(how=pl.lit("email")).select(list(MATCH)), pl.concat(doubts)


def _told(code: str, rows: pl.DataFrame) -> pl.DataFrame:
    named = rows.with_columns(pl.lit(code).alias("code"))
    return named.select(
        (pl.col(name) if name in named.columns else pl.lit(None)).cast(dtype).alias(name)
        for name, dtype in CONFLICT.items()
    )
