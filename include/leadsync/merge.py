"""Three-way comparison of person and CRM record against the baseline: what changed, and who wins.

Pure functions of (base, person, CRM record, policy): no clock, no order, no batch size has a say.
Rules: D1 collision = both sides differ from the base and from each other; D2 one side changed →
it goes across; D3 equal changes write nothing; R40/R41 winner by type; D4 no baseline → every
difference is a collision and empty never beats a value; D86 and DECISIONS 3 for consent.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

import polars as pl

from include.leadsync.model import Direction, Entity, FieldMap, Flow, SyncField, System, Winner
from include.leadsync.no_rows import no_rows


class Change(StrEnum):
    """What happened to a field since the baseline."""

    PERSON = "person_changed"
    CRM = "crm_changed"
    CONVERGED = "converged"
    COLLISION = "collision"
    FIRST_LINK = "first_link"
    OVERWRITTEN = "overwritten"  # an edit that a write of ours ran over and that the rule lets go
    UNDONE = "undone"  # a write of an earlier run, taken back by hand (P9)


DECISION_SCHEMA = {
    "row": pl.UInt32,
    "field": pl.String,
    "change": pl.String,
    "direction": pl.String,  # null: nothing to write
    "base": pl.String,
    "person": pl.String,
    "crm": pl.String,
    "after": pl.String,
    "rule": pl.String,
}
"""One row per field of a pair that differs from its baseline; `row` is the pair's position."""

FEW = 1000
"""Rows of which it is asked at once, field by field, whether anything differs at all."""
_OUT, _IN = Direction.OUTBOUND.value, Direction.INBOUND.value
_BY_TYPE = {Entity.LEAD: (System.MARKETO, "R40"), Entity.CONTACT: (System.DYNAMICS, "R41")}


def merge(pairs: pl.DataFrame, field_map: FieldMap, first_link: System | None = None) -> pl.DataFrame:
    """Compare every pair of one entity; returns `DECISION_SCHEMA`.

    `pairs` is wide as `baseline` describes it (`b. n. p. c.` and sparse `ps. cs.` columns). `first_link`: who
    wins where there is no baseline; None is by type (D4). Cost: one vectorised comparison per field; only
    cells that differ are gathered (facts: performance).
    """
    parts = list(_decisions(pairs, field_map, first_link))
    if not parts:
        return no_rows(DECISION_SCHEMA)
    return pl.concat(parts).sort("row", "field")


def _decisions(pairs: pl.DataFrame, field_map: FieldMap, first_link: System | None) -> Iterator[pl.DataFrame]:
    columns = set(pairs.columns)
    fields = [field for field in field_map.fields if pairs.height > FEW or _differs(pairs, field.name, columns)]
    if not fields:
        return
    # All fields in one query: polars spreads them over the cores.
    moved = pairs.select(pl.arg_where(_moved(field.name, columns)).implode().alias(field.name) for field in fields)
    for field in fields:
        rows = moved[field.name].explode(empty_as_null=False)
        if len(rows):
            yield _classify(_cells(pairs, field, rows, columns), field, field_map.entity, first_link)


def _differs(pairs: pl.DataFrame, name: str, columns: set[str]) -> bool:
    """Whether a side differs from the base in any row: of a few rows that is asked faster than in which ones."""
    person_base, crm_base = _bases(name, columns)
    return not (pairs[f"p.{name}"].equals(pairs[person_base]) and pairs[f"c.{name}"].equals(pairs[crm_base]))


def _bases(name: str, columns: set[str]) -> tuple[str, str]:
    """Columns with the base of one field as the person and as the CRM record spells it."""
    base, of_person, of_crm = f"b.{name}", f"ps.{name}", f"cs.{name}"
    return of_person if of_person in columns else base, of_crm if of_crm in columns else base


def _moved(name: str, columns: set[str]) -> pl.Expr:
    """Whether a side differs from the base as that side spells it."""
    person_base, crm_base = _bases(name, columns)
    return pl.col(f"p.{name}").ne_missing(pl.col(person_base)) | pl.col(f"c.{name}").ne_missing(pl.col(crm_base))


def _cells(pairs: pl.DataFrame, field: SyncField, rows: pl.Series, columns: set[str]) -> pl.DataFrame:
    """The cells of one field in these rows."""
    name = field.name
    person, crm, base = pl.col(f"p.{name}"), pl.col(f"c.{name}"), pl.col(f"b.{name}")
    person_base, crm_base = _bases(name, columns)
    cells = pairs.select(
        base.gather(rows).alias("base"),
        person.gather(rows).alias("person"),
        crm.gather(rows).alias("crm"),
        pl.col(f"n.{name}").gather(rows).alias("unlinked"),
        # Gathered before they are compared: comparing whole columns once more would double the cost.
        person.gather(rows).ne_missing(pl.col(person_base).gather(rows)).alias("moved_p"),
        crm.gather(rows).ne_missing(pl.col(crm_base).gather(rows)).alias("moved_c"),
    )
    return cells.with_columns(rows.cast(pl.UInt32).alias("row"))


def _classify(cells: pl.DataFrame, field: SyncField, entity: Entity, first_link: System | None) -> pl.DataFrame:
    equal = pl.col("person").eq_missing(pl.col("crm"))
    change = (
        pl.when(equal)
        .then(pl.lit(Change.CONVERGED))
        .when(pl.col("unlinked"))
        .then(pl.lit(Change.FIRST_LINK))
        .when(pl.col("moved_p") & pl.col("moved_c"))
        .then(pl.lit(Change.COLLISION))
        .when(pl.col("moved_p"))
        .then(pl.lit(Change.PERSON))
        .otherwise(pl.lit(Change.CRM))
    )
    cells = cells.with_columns(change.alias("change"))
    direction, rule = _verdict(field, entity, first_link)
    decided = cells.with_columns(direction.alias("direction"), rule.alias("rule"), pl.lit(field.name).alias("field"))
    after = (
        pl.when(pl.col("direction") == _OUT)
        .then(pl.col("person"))
        .when(pl.col("direction") == _IN)
        .then(pl.col("crm"))
        .when(equal)
        .then(pl.col("person"))
        .otherwise(pl.col("base"))
    )
    return decided.with_columns(after.alias("after")).select(
        pl.col(name).cast(dtype) for name, dtype in DECISION_SCHEMA.items()
    )


def _verdict(field: SyncField, entity: Entity, first_link: System | None) -> tuple[pl.Expr, pl.Expr]:
    """Direction of the write (null: none) and the rule that decided, per touched cell."""
    change = pl.col("change")
    winner_direction, winner_rule = _winner(field, entity, first_link)
    direction = (
        pl.when(change == Change.CONVERGED)
        .then(None)
        .when(change == Change.PERSON)
        .then(pl.lit(_OUT))
        .when(change == Change.CRM)
        .then(pl.lit(_IN))
        .otherwise(winner_direction)
    )
    rule = (
        pl.when(change == Change.CONVERGED)
        .then(pl.lit("D3"))
        .when(change.is_in([Change.PERSON.value, Change.CRM.value]))
        .then(pl.lit("D2"))
        .otherwise(winner_rule)
    )
    flow = Flow.INBOUND if field.rule.outbound_on_create_only and field.rule.flow is Flow.BOTH else field.rule.flow
    if flow is Flow.INBOUND:  # what the person shows has no say; the CRM record's changes go across
        crm_speaks = pl.col("moved_c") & (change != Change.CONVERGED)
        direction = pl.when(crm_speaks).then(pl.lit(_IN)).otherwise(None)
        rule = pl.when(crm_speaks).then(pl.lit("inbound")).otherwise(pl.lit("inbound-only"))
    elif flow is Flow.OUTBOUND:
        person_speaks = pl.col("moved_p") & (change != Change.CONVERGED)
        direction = pl.when(person_speaks).then(pl.lit(_OUT)).otherwise(None)
        rule = pl.when(person_speaks).then(pl.lit("outbound")).otherwise(pl.lit("outbound-only"))
    if field.rule.inbound_write_once:
        direction, rule = _write_once(direction, rule, flow)
    return direction, rule


def _write_once(direction: pl.Expr, rule: pl.Expr, flow: Flow) -> tuple[pl.Expr, pl.Expr]:
    """What the person shows stays; where it may go out, its own change does (R104, D66)."""
    kept = (direction == _IN) & pl.col("person").is_not_null()
    speaks = pl.col("moved_p") & pl.lit(flow is Flow.BOTH)
    stays = pl.when(kept & speaks).then(pl.lit(_OUT)).when(kept).then(None).otherwise(direction)
    return stays, pl.when(kept).then(pl.lit("R104")).otherwise(rule)


def _winner(field: SyncField, entity: Entity, first_link: System | None) -> tuple[pl.Expr, pl.Expr]:
    """Who survives where both sides differ: policy of the field, then the exceptions by name."""
    person, crm, unlinked = pl.col("person"), pl.col("crm"), pl.col("unlinked")
    policy = field.rule.winner
    system, rule = _BY_TYPE[entity]
    if policy in {Winner.MARKETO, Winner.DYNAMICS}:
        system, rule = System(policy.value), "D5"
    # Empty never beats a value: always under never_blank, else only where there is no baseline (D4).
    keeps_value = pl.lit(value=True) if policy is Winner.NEVER_BLANK else unlinked
    direction: pl.Expr = (
        pl.when(keeps_value & person.is_null())
        .then(pl.lit(_IN))
        .when(keeps_value & crm.is_null())
        .then(pl.lit(_OUT))
        .when(unlinked)
        .then(pl.lit(_towards(first_link or system)))
        .otherwise(pl.lit(_towards(system)))
    )
    reason: pl.Expr = pl.when(unlinked).then(pl.lit("D4")).otherwise(pl.lit(rule if keeps_value is unlinked else "D5"))
    if policy is Winner.OPT_OUT:
        # With a baseline a boolean cannot truly collide; without one an opt-out wins on both types (DECISIONS 3).
        opted_out = pl.when(person == "true").then(pl.lit(_OUT)).when(crm == "true").then(pl.lit(_IN))
        direction, reason = opted_out.otherwise(direction), pl.lit("D86")
    return direction, reason


def _towards(winner: System) -> str:
    """The direction in which the winner's value travels."""
    return _OUT if winner is System.MARKETO else _IN
