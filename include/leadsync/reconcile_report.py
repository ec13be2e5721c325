"""What a full compare found and what becomes of it, as rows: ids and names, no values (P10)."""

from __future__ import annotations

import polars as pl

from include.leadsync.context import Engine, Json, RunRequest
from include.leadsync.link.step import slices
from include.leadsync.merge import Change
from include.leadsync.model import OperationKind
from include.leadsync.no_rows import no_rows
from include.leadsync.reconcile import TWINS

FILE = "findings.csv"
FINDING_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "found": pl.String,
    "entity": pl.String,
    "link_id": pl.Int64,
    "person_id": pl.Int64,
    "crm_id": pl.String,
    "field": pl.String,
    "direction": pl.String,
    "rule": pl.String,
    "fate": pl.String,
}
MEANING = {
    "differs": "fields that differ: the rule writes them",
    "left": "fields that differ and that their direction, winner or filter leaves as they are",
    "baseline": "fields on which both sides agree and only the baseline did not",
    "unlinked": "records without a link that have a person: linked now",
    "missed": "records that no cycle had met: they get a person",
    "system_field": "persons whose Microsoft … fields were wrong: put right",
    "twin": "persons without a link that carry the id of a linked record: merge them, or clear the id",
}
"""What may be found, in words; events of the link step (`record_deleted`, `person_missing`, …) go by their own code."""


def write_findings(engine: Engine, run: RunRequest) -> dict[str, Json]:
    """Stage the findings as CSV; returns their counts and the path."""
    found = _findings(engine, run)
    path = engine.staging(run).write_text(FILE, found.write_csv())
    counts = dict(found.group_by("found").len().sort("found").iter_rows())
    return {"found": counts, "findings": path}


def _findings(engine: Engine, run: RunRequest) -> pl.DataFrame:
    staging = engine.staging(run)
    parts = [no_rows(FINDING_SCHEMA)]
    for entity, number in slices(engine, run):
        pairs = staging.read(f"pairs.{entity.value}.{number}").with_row_index("row")
        subject = pairs.select("row", pl.lit(entity.value).alias("entity"), "link_id", "person_id", "crm_id", "create")
        decisions = staging.read(f"decisions.{entity.value}.{number}").join(subject, on="row")
        known = decisions.filter(pl.col("link_id") > 0)
        found = (
            pl.when(pl.col("change") == Change.CONVERGED.value)
            .then(pl.lit("baseline"))
            .when(pl.col("direction").is_null())
            .then(pl.lit("left"))
            .otherwise(pl.lit("differs"))
        )
        parts.append(_shaped(known.with_columns(found.alias("found"))))
        new = pl.when(pl.col("create").is_null()).then(pl.lit("unlinked")).otherwise(pl.lit("missed"))
        parts.append(_shaped(subject.filter(pl.col("link_id") < 0).with_columns(new.alias("found"))))
    plan = staging.read("plan").unique(["op_id", "field"], keep="first", maintain_order=True)
    system = plan.filter(pl.col("kind") == OperationKind.LINK.value, pl.col("link_id") > 0, pl.col("rule") == "D12")
    parts.append(_shaped(system.with_columns(pl.lit("system_field").alias("found"))))
    events = staging.read("events")
    parts.append(_shaped(events.with_columns(pl.col("code").alias("found"))))
    parts.append(_shaped(staging.read(TWINS).with_columns(pl.lit("twin").alias("found"), pl.lit("D11").alias("rule"))))
    return _with_fates(pl.concat(parts), plan, staging.read("refused")["op_id"].to_list(), _held(engine, run))


def _held(engine: Engine, run: RunRequest) -> list[str]:
    summary = engine.staging(run).read_json("plan_summary")
    return [*summary["held_ops"], *summary["kept_ops"]]


def _with_fates(found: pl.DataFrame, plan: pl.DataFrame, refused: list[str], held: list[str]) -> pl.DataFrame:
    """`fate` of what is to be written: planned, refused or held."""
    where = ["link_id", "direction", "field"]
    known = plan.select(*where, "op_id").unique(where)
    fate = (
        pl.when(pl.col("op_id").is_in(refused))
        .then(pl.lit("refused"))
        .when(pl.col("op_id").is_in(held))
        .then(pl.lit("held"))
        .when(pl.col("op_id").is_not_null())
        .then(pl.lit("planned"))
    )
    joined = found.drop("fate").join(known, on=where, how="left", maintain_order="left")
    return joined.with_columns(fate.alias("fate")).select(list(FINDING_SCHEMA))


def _shaped(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select(
        (pl.col(name) if name in rows.columns else pl.lit(None)).cast(kind).alias(name)
        for name, kind in FINDING_SCHEMA.items()
    )
