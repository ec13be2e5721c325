"""Taking writes of an earlier run back, in the run that was asked to and in those that finish what it left (P9).

A value is put back only where the side it was written to still shows it and the other side has not moved since; any
edit since is kept. What is put back does not cross: the other side keeps its value, and both count as agreed from then
on (base of the written side, spelling of the other), so nothing moves before somebody edits either of them. Consent is
the exception: an opt-out that is put back goes to both sides, and a lift is never made by an undo (D86, R148).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import polars as pl

from include.leadsync.merge import DECISION_SCHEMA, Change
from include.leadsync.model import Direction, FieldMap, LinkStatus, OperationState, SyncField
from include.leadsync.no_rows import no_rows
from include.leadsync.plan.consent import MASTER
from include.leadsync.plan.refresh import UNDO
from include.leadsync.undoing import (
    ALREADY,
    EDITED,
    GONE,
    IN_MOTION,
    KEPT_OUT,
    NEVER_LIFTED,
    RESTORED,
    UNMAPPED,
    listed,
)

_IN, _OUT = Direction.INBOUND.value, Direction.OUTBOUND.value
_OPT_OUT, _ADDRESS = "true", "email"
WAITING_SCHEMA = {"link_id": pl.Int64} | dict.fromkeys(("field", "direction", "before", "after"), pl.String)
"""Writes of undos that did not end: `before` is what the target showed when they were planned."""


def unfinished_undos(plans: list[list[Mapping[str, Any]]]) -> pl.DataFrame:
    """What the last plans of links (`unfinished.last_plans`) were to take back and have not, `WAITING_SCHEMA`."""
    rows = [
        {"link_id": row["link_id"], "direction": row["direction"]} | {n: write[n] for n in ("field", "before", "after")}
        for plan in plans
        for row in plan
        if row["state"] != OperationState.DONE and Change.UNDONE in row["payload"]
        for write in json.loads(row["payload"])["writes"]
        if write["change"] == Change.UNDONE
    ]
    return pl.DataFrame(rows, schema=WAITING_SCHEMA, orient="row") if rows else no_rows(WAITING_SCHEMA)


def with_landed_undos(pairs: pl.DataFrame, waiting: pl.DataFrame) -> pl.DataFrame:
    """`pairs` in which the value of an undo that arrived unheard is no edit of the side it was written to."""
    if waiting.is_empty():
        return pairs
    for (field, direction), here in waiting.group_by("field", "direction", maintain_order=True):
        side = "c" if direction == _OUT else "p"
        if f"{side}.{field}" not in pairs.columns:
            continue
        known = here.select("link_id", "after", pl.lit(value=True).alias("sent")).unique("link_id")
        values = pairs.select("link_id").join(known, on="link_id", how="left", maintain_order="left")
        arrived = values["sent"].fill_null(value=False) & pairs[f"{side}.{field}"].eq_missing(values["after"])
        usual = f"{side}s.{field}" if f"{side}s.{field}" in pairs.columns else f"b.{field}"
        spelled = pl.when(arrived).then(values["after"]).otherwise(pl.col(usual)).alias(f"{side}s.{field}")
        pairs = pairs.with_columns(spelled)
    return pairs


def judged(cells: pl.DataFrame, pairs: pl.DataFrame, decisions: pl.DataFrame, field_map: FieldMap) -> pl.DataFrame:
    """`cells` (`undoing.CELL_SCHEMA`) of these pairs with `row`, `base`, `present`, `other` and their `fate`."""
    parts = []
    for field in field_map.fields:
        here = cells.filter(pl.col("field") == field.name)
        if here.is_empty():
            continue
        shown = _shown(pairs, field.name).join(here, on="link_id", maintain_order="left")
        moved = shown.join(decisions.select("row", "field"), on=["row", "field"], how="semi")["row"].implode()
        parts.append(shown.with_columns(_present().alias("present"), _fate(field, moved).alias("fate")))
    empty = _shown(pairs.clear(), None).join(cells.clear(), on="link_id").with_columns(present="before", fate="field")
    return pl.concat([empty, *parts])


def _present() -> pl.Expr:
    """What the side shows that was written to."""
    return pl.when(pl.col("direction") == _OUT).then("crm").otherwise("person")


def _fate(field: SyncField, moved: pl.Expr | pl.Series) -> pl.Expr:
    """What becomes of the cells of one field. `moved`: rows in which either side has changed it since."""
    outbound, present = pl.col("direction") == _OUT, _present()
    spelled = pl.when(outbound).then("crm_base").otherwise("person_base")
    same_crm, same_person = pl.col("crm_id") == pl.col("now_crm"), pl.col("person_id") == pl.col("now_person")
    same_record = pl.when(outbound).then(same_crm).otherwise(same_person)
    as_written = present.eq_missing(pl.col("after"))
    as_written |= pl.col("base").eq_missing(pl.col("after")) & present.eq_missing(spelled)
    lifts = pl.lit(field.rule.consent) & pl.col("before").ne_missing(_OPT_OUT)
    # Who opted out under the new address may be subscribed under the old one (R149).
    lifts |= pl.lit(field.name == _ADDRESS) & ~outbound & pl.col("opted_out")
    return (
        pl.when(~same_record.fill_null(value=False))
        .then(pl.lit(GONE))
        .when(present.eq_missing(pl.col("before")))
        .then(pl.lit(ALREADY))
        .when(~as_written | pl.col("row").is_in(moved))
        .then(pl.lit(EDITED))
        .when(lifts)
        .then(pl.lit(NEVER_LIFTED))
        .when(pl.col("status") == LinkStatus.SUSPENDED)
        .then(pl.lit(KEPT_OUT))
        .otherwise(pl.lit(RESTORED))
    )


def _shown(pairs: pl.DataFrame, name: str | None) -> pl.DataFrame:
    """One field of the pairs: row, link_id, what each side shows and how it spells the base."""
    nothing = pl.lit(None, pl.String)
    base = pl.col(f"b.{name}") if name else nothing

    def spelled(side: str) -> pl.Expr:
        return pl.col(f"{side}s.{name}") if f"{side}s.{name}" in pairs.columns else base

    return pairs.select(
        pl.int_range(pl.len(), dtype=pl.UInt32).alias("row"),
        "link_id",
        "status",
        pl.col("person_id").alias("now_person"),
        pl.col("crm_id").alias("now_crm"),
        base.alias("base"),
        (pl.col(f"p.{name}") if name else nothing).alias("person"),
        (pl.col(f"c.{name}") if name else nothing).alias("crm"),
        spelled("p").alias("person_base"),
        spelled("c").alias("crm_base"),
        (pl.col(f"p.{MASTER}").eq_missing(_OPT_OUT) if f"p.{MASTER}" in pairs.columns else pl.lit(value=False)).alias(
            "opted_out"
        ),
    )


def taken_back(cells: pl.DataFrame, field_map: FieldMap) -> pl.DataFrame:
    """Decisions for what `judged` restores, `DECISION_SCHEMA`."""
    restored = cells.filter(pl.col("fate") == RESTORED)
    consent = [field.name for field in field_map.fields if field.rule.consent]
    plain = restored.filter(~pl.col("field").is_in(consent))
    both = restored.filter(pl.col("field").is_in(consent)).drop("direction").unique(["row", "field"])
    towards = [
        both.filter(pl.col(side).ne_missing(_OPT_OUT)).with_columns(pl.lit(way).alias("direction"))
        for side, way in (("person", _IN), ("crm", _OUT))
    ]
    return pl.concat(_decisions(part, after="before") for part in (plain, *towards))


def taken_up(waiting: pl.DataFrame, pairs: pl.DataFrame, decisions: pl.DataFrame, field_map: FieldMap) -> pl.DataFrame:
    """Decisions for undos that did not end and that nothing has overtaken, `DECISION_SCHEMA`.

    Where the value stands already nothing is written (no direction): it only becomes the base.
    """
    parts = [no_rows(DECISION_SCHEMA)]
    for field in field_map.fields:
        here = waiting.filter(pl.col("field") == field.name)
        if here.is_empty():
            continue
        shown = _shown(pairs, field.name).join(here, on="link_id", maintain_order="left")
        shown = shown.filter(pl.col("status") != LinkStatus.SUSPENDED)
        shown = shown.join(decisions.select("row", "field"), on=["row", "field"], how="anti")
        present = _present()
        arrived = shown.filter(present.eq_missing(pl.col("after")))
        settled = arrived.with_columns(pl.lit(None, pl.String).alias("direction"), base="after")
        parts += [_decisions(settled), _decisions(shown.filter(present.ne_missing(pl.col("after"))))]
    return pl.concat(parts)


def _decisions(cells: pl.DataFrame, after: str = "after") -> pl.DataFrame:
    fixed = (pl.lit(Change.UNDONE.value).alias("change"), pl.lit(UNDO).alias("rule"), pl.col(after).alias("after"))
    return cells.with_columns(fixed).select(pl.col(name).cast(dtype) for name, dtype in DECISION_SCHEMA.items())


def left_over(cells: pl.DataFrame, done: pl.DataFrame, busy: list[int], met: list[int]) -> pl.DataFrame:
    """Cells that no slice had, as rows of the list: `busy` links are being changed, `met` links were looked at."""
    rest = cells.join(done, on=["link_id", "field", "direction"], how="anti")
    fate = (
        pl.when(pl.col("link_id").is_in(busy))
        .then(pl.lit(IN_MOTION))
        .when(pl.col("link_id").is_in(met))
        .then(pl.lit(UNMAPPED))
        .otherwise(pl.lit(GONE))
    )
    return listed(rest.with_columns(fate.alias("fate")))
