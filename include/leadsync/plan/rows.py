"""Decisions about fields → rows of the plan, grouped into operations."""

from __future__ import annotations

import hashlib
from string import Formatter
from typing import TypeVar

import polars as pl

from include.leadsync.config import SyncFilter, SystemFields
from include.leadsync.merge import Change
from include.leadsync.model import Direction, Entity, FieldMap, Flow, Lane, OperationKind, SyncField
from include.leadsync.plan.consent import LIFT, consent_update
from include.leadsync.plan.refresh import asked_for

Frame = TypeVar("Frame", pl.DataFrame, pl.LazyFrame)

PLAN_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "op_id": pl.String,
    "link_id": pl.Int64,
    "entity": pl.String,
    "person_id": pl.Int64,
    "crm_id": pl.String,
    "version": pl.Int64,
    "direction": pl.String,
    "kind": pl.String,
    "lane": pl.Int64,
    "field": pl.String,
    "system": pl.Boolean,
    "base": pl.String,
    "before": pl.String,
    "after": pl.String,
    "change": pl.String,
    "lost": pl.String,
    "rule": pl.String,
    "request_id": pl.String,
    "binds": pl.String,
}
"""One row per intended field write. `before` is what the target shows now, `lost` the value that
loses a collision; `system` marks a Microsoft … field that the sync itself owns (D12)."""

_OPERATION = ("link_id", "direction", "kind", "lane")
_IN, _OUT = Direction.INBOUND.value, Direction.OUTBOUND.value


def update_rows(pairs: pl.DataFrame, decisions: pl.DataFrame, field_map: FieldMap) -> pl.DataFrame:
    """Writes that the merge decided on, for pairs of which both sides exist."""
    writes = decisions.filter(pl.col("direction").is_not_null())
    if writes.is_empty():
        return pl.DataFrame(schema=PLAN_SCHEMA)
    consent = [f.name for f in field_map.fields if f.rule.consent]
    outbound = pl.col("direction") == _OUT
    differs = pl.col("change").is_in([Change.COLLISION.value, Change.FIRST_LINK.value])
    loser = pl.when(outbound).then(pl.col("crm")).otherwise(pl.col("person"))
    joined = _with_pair(pairs, writes).with_columns(
        pl.lit(field_map.entity.value).alias("entity"),
        pl.lit(OperationKind.UPDATE.value).alias("kind"),
        pl.when(pl.col("field").is_in(consent))
        .then(pl.lit(int(Lane.CONSENT)))
        .when(asked_for())
        .then(pl.lit(int(Lane.BACKFILL)))
        .otherwise(pl.col("lane"))
        .alias("lane"),
        pl.lit(value=False).alias("system"),
        loser.alias("before"),
        pl.when(pl.col("field").is_in(consent) & (pl.col("after") == "false"))
        .then(pl.lit(LIFT))
        .otherwise(pl.col("rule"))
        .alias("rule"),
        pl.when(differs).then(loser).alias("lost"),
    )
    return shaped(joined)


def create_rows(pairs: pl.DataFrame, field_map: FieldMap) -> pl.DataFrame:
    """Everything that goes into records that do not exist yet (D32)."""
    pairs = pairs.filter(pl.col("create").is_not_null())
    if pairs.is_empty():
        return pl.DataFrame(schema=PLAN_SCHEMA)
    parts = [shaped(_creations(pairs.lazy(), field, field_map)) for field in field_map.fields]
    return pl.concat(parts).collect() if parts else pl.DataFrame(schema=PLAN_SCHEMA)


def _creations(pairs: pl.LazyFrame, field: SyncField, field_map: FieldMap) -> pl.LazyFrame:
    name, rule = field.name, field.rule
    inbound = (pl.col("create") == "person") & pl.lit(rule.flow is not Flow.OUTBOUND)
    goes_out = rule.flow is not Flow.INBOUND and field.dynamics.creatable and not rule.outbound_on_update_only
    outbound = (pl.col("create") == "crm") & pl.lit(goes_out)
    crm = pl.col(f"c.{name}")
    if rule.consent:  # writing false would re-subscribe everyone with that address (D88)
        crm = pl.when(crm != "false").then(crm)
    person, change = pl.col(f"p.{name}"), pl.lit("created")
    if rule.default_on_create:  # marked, so that the default travels back to the person afterwards
        change = pl.when(outbound & person.is_null()).then(pl.lit("defaulted")).otherwise(change)
        person = pl.coalesce(person, default_value(rule.default_on_create, field_map))
    after = pl.when(inbound).then(crm).when(outbound).then(person)
    return (
        pairs.with_columns(after.alias("after"))
        .filter(pl.col("after").is_not_null())
        .with_columns(
            pl.lit(field_map.entity.value).alias("entity"),
            pl.when(pl.col("create") == "person").then(pl.lit(_IN)).otherwise(pl.lit(_OUT)).alias("direction"),
            pl.lit(OperationKind.CREATE.value).alias("kind"),
            pl.lit(name).alias("field"),
            pl.lit(value=False).alias("system"),
            pl.lit(None, pl.String).alias("base"),
            pl.lit(None, pl.String).alias("before"),
            change.alias("change"),
            pl.lit(None, pl.String).alias("lost"),
            pl.when(pl.col("create") == "person").then(pl.lit("R31")).otherwise(pl.lit("R47")).alias("rule"),
        )
    )


def filter_rows(pairs: pl.DataFrame, one: SyncFilter) -> pl.DataFrame:
    """The filter column of CRM records that are created: without it their default may be No (R118, D71)."""
    made = pairs.filter(pl.col("create") == "crm")
    if not one.set_on_create or made.is_empty():
        return pl.DataFrame(schema=PLAN_SCHEMA)
    return shaped(
        made.with_columns(
            pl.lit("false" if one.keeps_out else "true").alias("after"),
            pl.lit(one.column).alias("field"),
            pl.lit(one.entity.value).alias("entity"),
            pl.lit(_OUT).alias("direction"),
            pl.lit(OperationKind.CREATE.value).alias("kind"),
            pl.lit(value=True).alias("system"),
            pl.lit("created").alias("change"),
            pl.lit("D71").alias("rule"),
        )
    )


def default_value(template: str, field_map: FieldMap) -> pl.Expr:
    """A default such as "Lead from {company}" as an expression over the person's columns (D31)."""
    parts: list[pl.Expr] = []
    for literal, name, _, _ in Formatter().parse(template):
        parts.append(pl.lit(literal))
        if name:
            known = name in field_map.names
            parts.append(pl.col(f"p.{name}").fill_null("") if known else pl.lit(""))
    text = pl.concat_str(parts).str.replace_all(r"\s+", " ").str.strip_chars()
    return pl.when(text != "").then(text)


def system_rows(pairs: pl.DataFrame, entity: Entity, names: SystemFields) -> pl.DataFrame:
    """Microsoft Id, Type, is Deleted and Merged Into on persons that gain a CRM record (R8, R9, D12, D36, D47).

    `names`: the Marketo names of the fields. Only what differs from what the person shows, also where
    somebody changed them: users cannot edit them (R9). Where the CRM record is still to be created they follow
    its acknowledgement (`load.announce`).
    """
    type_text = entity.value.capitalize()
    new = (pl.col("link_id") < 0) | (pl.col("status") == "creating") | pl.col("p_fresh")
    new = new & pl.col("create").ne_missing("crm")
    wanted = [
        (names.id, pl.col("crm_id"), pl.col("sys_id"), pl.lit(value=True)),
        (names.type, pl.lit(type_text), pl.col("sys_type"), pl.lit(value=True)),
        (names.merged_into, pl.lit(None, pl.String), pl.col("sys_merged"), pl.col("create").ne_missing("person")),
        (
            names.is_deleted,
            pl.lit("false"),
            pl.when(pl.col("sys_deleted").fill_null(value=False)).then(pl.lit("true")).otherwise(pl.lit("false")),
            pl.col("create").ne_missing("person"),
        ),
    ]
    parts = []
    for name, after, before, applies in wanted:
        rows = pairs.filter(new & applies & after.ne_missing(before)).with_columns(
            after.alias("after"),
            before.alias("before"),
            pl.lit(name).alias("field"),
            pl.lit(entity.value).alias("entity"),
            pl.lit(_IN).alias("direction"),
            pl.when(pl.col("create") == "person").then(pl.lit("create")).otherwise(pl.lit("link")).alias("kind"),
            pl.col("lane").clip(lower_bound=int(Lane.INCREMENT)).alias("lane"),
            pl.lit(value=True).alias("system"),
            pl.lit(None, pl.String).alias("base"),
            pl.lit("linked").alias("change"),
            pl.lit(None, pl.String).alias("lost"),
            pl.lit("D12").alias("rule"),
        )
        parts.append(shaped(rows))
    return pl.concat(parts)


def with_operation_ids(plan: pl.DataFrame, run_id: str) -> pl.DataFrame:
    """Group rows into operations: one per link, direction, kind and lane, and one for each consent field.

    The id is a digest of link, version and what would be written, so that planning the same again gives the
    same id. A link still to be made counts as one of this run: what an earlier link of the same records
    has done may have to be done again (D47, D48, R77).
    """
    if plan.is_empty():
        return plan
    alone = pl.when(consent_update()).then(pl.col("field")).otherwise(pl.lit("")).alias("_alone")
    ordered = plan.with_columns(alone).sort(*_OPERATION, "field")
    content = pl.concat_str(
        pl.col("field"), pl.col("after").fill_null("\x00"), pl.col("before").fill_null("\x00"), separator="\x01"
    )
    key = pl.concat_str(
        pl.when(pl.col("link_id") < 0).then(pl.lit(run_id)).otherwise(pl.col("link_id").cast(pl.String)),
        pl.coalesce("crm_id", pl.lit("-")),
        pl.col("person_id").cast(pl.String).fill_null("-"),
        *_OPERATION[1:],
        "version",
        separator="|",
    ).first()
    group = [*_OPERATION, "_alone"]
    grouped = ordered.group_by(group, maintain_order=True).agg(
        content.str.join("\x02").alias("_content"), key.alias("_key")
    )
    texts = zip(grouped["_key"].to_list(), grouped["_content"].to_list(), strict=True)
    digests = [hashlib.sha256(f"{key}|{text}".encode()).hexdigest()[:32] for key, text in texts]
    ids = grouped.select(group).with_columns(pl.Series("op_id", digests, dtype=pl.String))
    return ordered.drop("op_id").join(ids, on=group, how="left", maintain_order="left").select(list(PLAN_SCHEMA))


def _with_pair(pairs: pl.DataFrame, decisions: pl.DataFrame) -> pl.DataFrame:
    fixed = pairs.select("link_id", "person_id", "crm_id", "version", "lane", "request_id", "binds")
    return decisions.join(fixed.with_row_index("row"), on="row", how="left", maintain_order="left")


def shaped(frame: Frame) -> Frame:
    """The columns of `PLAN_SCHEMA`; those that are not there are null."""
    there = frame.collect_schema()
    return frame.select(
        (pl.col(name) if name in there else pl.lit(None)).cast(dtype).alias(name) for name, dtype in PLAN_SCHEMA.items()
    )
