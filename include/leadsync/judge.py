"""The validate step: every planned value is judged before anything is stored for writing (ARCHITECTURE §5.6).

Staged: `failures` (op_id, field, value, code, message, rule), `refused` (op_id of operations that are not
written), `dropped` (op_id, field: single values left out under `on_invalid: field`), `report.html`.
"""

from __future__ import annotations

import polars as pl
import pyarrow as pa

from include.leadsync.context import Engine, Json, RunRequest
from include.leadsync.model import Direction, Entity, OperationKind
from include.leadsync.no_rows import frame_of, no_rows
from include.leadsync.quiet import is_quiet
from include.leadsync.schema import staged_schema
from include.leadsync.validate import ReportSection, render_report, validate_writes

FAILURE_SCHEMA = dict.fromkeys(("op_id", "field", "value", "code", "message", "rule"), pl.String)
REPORT = "report.html"
_JUDGED_APART = ["entity", "kind", "direction"]


def validate(engine: Engine, run: RunRequest) -> dict[str, Json]:
    """Judge the plan; returns counts and the path of the report.

    The sync's own Microsoft … fields are not judged: no user value is in them.
    """
    if is_quiet(engine, run):
        report = engine.staging(run).write_text(REPORT, render_report(run.run_id, [], made_at=engine.now()))
        return {"operations": 0, "refused": 0, "failures": 0, "report": report}
    staging, schema = engine.staging(run), staged_schema(engine, run)
    plan = staging.read("plan")
    plan = plan.filter(~plan["system"])
    on_invalid = engine.settings.policies.on_invalid
    sections: list[ReportSection] = []
    dropped = no_rows({"op_id": pl.String, "field": pl.String})
    for rows in plan.partition_by(_JUDGED_APART, maintain_order=True):
        entity, kind, direction = (rows[name][0] for name in _JUDGED_APART)
        field_map = schema.map(entity)
        writes: pa.Table = rows.select(pl.col("op_id").alias("op"), "field", pl.col("after").alias("value")).to_arrow()
        verdicts = validate_writes(writes, field_map, OperationKind(kind), Direction(direction), on_invalid)
        sections.append(ReportSection(Entity(entity), OperationKind(kind), Direction(direction), verdicts))
        if on_invalid == "field":
            kept = frame_of(verdicts.accepted(writes).select(["op", "field"]))
            lost = rows.select("op_id", "field").join(
                kept, left_on=["op_id", "field"], right_on=["op", "field"], how="anti"
            )
            dropped = pl.concat([dropped, lost.filter(~pl.col("op_id").is_in(verdicts.failed_ops))])
    failures, refused = _collected(sections)
    closed = _closed(plan, staging.read("closed"))
    if closed.height:
        failures = pl.concat([failures.filter(~pl.col("op_id").is_in(closed["op_id"].to_list())), closed])
    refused = sorted({*refused, *closed["op_id"].to_list()})
    staging.write("failures", failures)
    staging.write("refused", pl.DataFrame({"op_id": refused}, schema={"op_id": pl.String}))
    staging.write("dropped", dropped)
    summary = staging.read_json("plan_summary")
    report = staging.write_text(REPORT, render_report(run.run_id, sections, made_at=engine.now()))
    return {"operations": summary["operations"], "refused": len(refused), "failures": failures.height, "report": report}


def _closed(plan: pl.DataFrame, closed: pl.DataFrame) -> pl.DataFrame:
    """One failure for each operation that would write to a CRM record that is closed (D59)."""
    if closed.is_empty():
        return no_rows(FAILURE_SCHEMA)
    outbound = pl.col("direction") == Direction.OUTBOUND.value
    rows = plan.filter(outbound & (pl.col("kind") == OperationKind.UPDATE.value))
    told = rows.unique("op_id", keep="first", maintain_order=True).join(closed, on="link_id")
    nothing = pl.lit(None, pl.String)
    return told.select(
        "op_id",
        nothing.alias("field"),
        nothing.alias("value"),
        pl.lit("closed_record").alias("code"),
        "message",
        pl.lit("D59").alias("rule"),
    )


def _collected(sections: list[ReportSection]) -> tuple[pl.DataFrame, list[str]]:
    refused = [op for section in sections for op in section.verdicts.failed_ops]
    found = [section.verdicts.failures for section in sections if section.verdicts.failures.num_rows]
    failures = [frame_of(table).rename({"op": "op_id"}).select(list(FAILURE_SCHEMA)) for table in found]
    return pl.concat([no_rows(FAILURE_SCHEMA), *failures]), refused
