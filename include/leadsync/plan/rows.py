"""Decisions about fields → rows of the plan, grouped into operations."""

from __future__ import annotations

import hashlib
from string import Formatter

import polars as pl

from include.leadsync.config import SyncFilter, SystemFields
from include.leadsync.merge import Change
from include.leadsync.model import Direction, Entity, FieldMap, Flow, Lane, OperationKind, SyncField
from include.leadsync.no_rows import no_rows
from include.leadsync.plan.consent import LIFT, consent_update
from include.leadsync.plan.refresh import asked_for

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


_PLANNED = {name: pl.col(name).cast(dtype) for name, dtype in PLAN_SCHEMA.items()}
_ABSENT = {name: pl.lit(None, dtype).alias(name) for name, dtype in PLAN_SCHEMA.items()}
_OPERATION = ("link_id", "direction", "kind", "lane")
_OF_PAIR = ("link_id", "person_id", "crm_id", "version", "lane", "request_id", "binds")
_IN, _OUT = Direction.INBOUND.value, Direction.OUTBOUND.value


def update_rows(pairs: pl.DataFrame, decisions: pl.DataFrame, field_map: FieldMap) -> pl.DataFrame:
    """Writes that the merge decided on, for pairs of which both sides exist."""
    writes = decisions.filter(decisions["direction"].is_not_null())
    if writes.is_empty():
        return no_rows(PLAN_SCHEMA)
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
    if pairs["create"].null_count() == pairs.height:
        return no_rows(PLAN_SCHEMA)
    pairs = pairs.filter(pl.col("create").is_not_null())
    cells = _first_values(pairs, field_map)
    made = pairs.select("create", *_OF_PAIR).with_row_index("@row")
    inbound = pl.col("create") == "person"
    return shaped(
        cells.join(made, on="@row", how="left", maintain_order="left").with_columns(
            pl.lit(field_map.entity.value).alias("entity"),
            pl.when(inbound).then(pl.lit(_IN)).otherwise(pl.lit(_OUT)).alias("direction"),
            pl.lit(OperationKind.CREATE.value).alias("kind"),
            pl.lit(value=False).alias("system"),
            # Marked, so that the default travels back to the person afterwards.
            pl.when("defaulted").then(pl.lit("defaulted")).otherwise(pl.lit("created")).alias("change"),
            pl.when(inbound).then(pl.lit("R31")).otherwise(pl.lit("R47")).alias("rule"),
        )
    )


_TO_MARKETO, _TO_DYNAMICS = pl.col("create") == "person", pl.col("create") == "crm"
_NEVER = pl.lit(value=False)
_NOTHING = pl.when(_NEVER).then("create")  # a null in every row


def _first_values(pairs: pl.DataFrame, field_map: FieldMap) -> pl.DataFrame:
    """What goes into records that do not exist yet: @row (position of the pair), field, after, defaulted; no nulls."""
    values, defaulted = [], []
    for field in field_map.fields:
        after, by_default = _first_value(field, field_map)
        values.append(after.alias(field.name))
        defaulted.append(by_default.alias(field.name))
    cells = pairs.select(values).with_row_index("@row").unpivot(index="@row", variable_name="field", value_name="after")
    marks = pairs.with_columns(defaulted).select(field_map.names).unpivot(value_name="defaulted")["defaulted"]
    return cells.with_columns(marks).drop_nulls("after")


def _first_value(field: SyncField, field_map: FieldMap) -> tuple[pl.Expr, pl.Expr]:
    """The value of a field in a record to be made, null where there is none; and whether it is only the default."""
    name, rule = field.name, field.rule
    crm, person, by_default = pl.col(f"c.{name}"), pl.col(f"p.{name}"), _NEVER
    comes_in = rule.flow is not Flow.OUTBOUND
    goes_out = rule.flow is not Flow.INBOUND and field.dynamics.creatable and not rule.outbound_on_update_only
    if rule.consent:  # writing false would re-subscribe everyone with that address (D88)
        crm = pl.when(crm != "false").then(crm)
    if rule.default_on_create and goes_out:
        by_default = _TO_DYNAMICS & person.is_null()
        person = pl.coalesce(person, default_value(rule.default_on_create, field_map))
    if not goes_out:
        return (pl.when(_TO_MARKETO).then(crm) if comes_in else _NOTHING), by_default
    outward = pl.when(_TO_DYNAMICS).then(person)
    return (pl.when(_TO_MARKETO).then(crm).otherwise(outward) if comes_in else outward), by_default


def filter_rows(pairs: pl.DataFrame, one: SyncFilter) -> pl.DataFrame:
    """The filter column of CRM records that are created: without it their default may be No (R118, D71)."""
    made = pairs.filter(pairs["create"] == "crm")
    if not one.set_on_create or made.is_empty():
        return no_rows(PLAN_SCHEMA)
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
    new = (pairs["link_id"] < 0) | (pairs["status"] == "creating") | pairs["p_fresh"]
    pairs = pairs.filter(new & pairs["create"].ne_missing("crm"))
    if pairs.is_empty():
        return no_rows(PLAN_SCHEMA)
    type_text = entity.value.capitalize()
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
    due = {name: applies & after.ne_missing(before) for name, after, before, applies in wanted}
    any_due = pairs.select(rows.any().alias(name) for name, rows in due.items()).row(0, named=True)
    parts = [no_rows(PLAN_SCHEMA)]
    for name, after, before, _ in wanted:
        if any_due[name]:
            rows = pairs.filter(due[name]).with_columns(
                after.alias("after"),
                before.alias("before"),
                pl.lit(name).alias("field"),
                pl.lit(entity.value).alias("entity"),
                pl.lit(_IN).alias("direction"),
                pl.when(pl.col("create") == "person").then(pl.lit("create")).otherwise(pl.lit("link")).alias("kind"),
                pl.col("lane").clip(lower_bound=int(Lane.INCREMENT)).alias("lane"),
                pl.lit(value=True).alias("system"),
                pl.lit("linked").alias("change"),
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
    group = [*_OPERATION, "_alone"]
    ordered = plan.with_columns(alone).sort(*group, "field")
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
    grouped = ordered.group_by(group, maintain_order=True).agg(
        content.str.join("\x02").alias("_content"), key.alias("_key"), pl.len().alias("_rows")
    )
    texts = zip(grouped["_key"].to_list(), grouped["_content"].to_list(), strict=True)
    digests = [hashlib.sha256(f"{key}|{text}".encode()).hexdigest()[:32] for key, text in texts]
    ids = pl.Series("op_id", digests, dtype=pl.String).repeat_by(grouped["_rows"])  # sorted, each group is in one piece
    return ordered.with_columns(ids.explode(empty_as_null=False)).select(list(PLAN_SCHEMA))


def _with_pair(pairs: pl.DataFrame, decisions: pl.DataFrame) -> pl.DataFrame:
    return decisions.hstack(pairs[list(_OF_PAIR)][decisions["row"]])


def shaped(frame: pl.DataFrame) -> pl.DataFrame:
    """The columns of `PLAN_SCHEMA`; those that are not there are null."""
    if frame.is_empty():
        return no_rows(PLAN_SCHEMA)
    there = set(frame.columns)
    return frame.select(_PLANNED[name] if name in there else _ABSENT[name] for name in PLAN_SCHEMA)
