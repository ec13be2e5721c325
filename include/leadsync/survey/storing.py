"""Accepted pairs become links; whoever has a link already keeps it. Neither system is written to (D11, D18)."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
import pyarrow as pa

from include.leadsync.context import Engine, Json, RunRequest
from include.leadsync.errors import FixConfiguration
from include.leadsync.extract.persons import CHANGES, DELETES
from include.leadsync.plan.first_sync import ACCEPTED
from include.leadsync.schema import current_schema
from include.leadsync.state import ActivityLog, Cursors, Links, Metadata, Runs, Transaction
from include.leadsync.survey.run import OUTCOME, fields_of
from include.leadsync.turn import end_turn, take_turn


def accept(engine: Engine, digest: str, run_id: str, kinds: Sequence[str]) -> dict[str, Json]:
    """Store the links of the report with this hash; returns counts.

    Raises `FixConfiguration` when no report of these kinds has it, its staged files are past their time, or the
    field map changed since; `AnotherRunAtWork` while a cycle is running.
    """
    surveyed = Metadata(engine.store).get("leadsync", f"survey.{digest}")
    found = Runs(engine.store).get(surveyed) if surveyed else None
    if surveyed is None or found is None or found.kind not in kinds:
        raise FixConfiguration(f"no report has the hash {digest!r}; make a new one and accept the hash it shows")
    return store(engine, surveyed, run_id)


def store(engine: Engine, surveyed: str, run_id: str) -> dict[str, Json]:
    """Store the links that the survey `surveyed` staged, slice by slice; safe to repeat after a crash."""
    outcome = engine.staging(RunRequest(surveyed)).read_json(OUTCOME)
    if outcome is None:
        raise FixConfiguration(f"what the report {surveyed} found is not staged any more; make a new report")
    schema = current_schema(engine)
    if outcome["fields"] != fields_of(schema):
        raise FixConfiguration("the field map changed since the report was made; make a new one")
    run = RunRequest(run_id)
    take_turn(engine, run)
    Runs(engine.store).start(run_id, "accept", {"report": surveyed})
    stored = skipped = 0
    for entity, number in outcome["slices"]:
        rows = engine.staging(RunRequest(surveyed)).read(f"survey.links.{entity}.{number}")
        with engine.store.begin() as tx:
            new = _without_taken(engine, rows, tx)
            layout = Links(engine.store).layout(entity, [(name, kind) for name, kind in outcome["fields"][entity]], tx)
            new = new.with_columns(
                pl.when(pl.col("base").is_not_null()).then(pl.lit(layout)).alias("layout_id"),
                created_run=pl.lit(run_id),
            )
            links = Links(engine.store).insert(_arrow(new), tx)
            ActivityLog(engine.store).found(links, run_id, tx)
        stored, skipped = stored + new.height, skipped + rows.height - new.height
        take_turn(engine, run)
    with engine.store.begin() as tx:
        _begin_feeds(engine, outcome, tx)
        Metadata(engine.store).put("leadsync", ACCEPTED, outcome["report"]["hash"], tx)
    counts = {"linked": stored, "linked_meanwhile": skipped}
    Runs(engine.store).finish(run_id, "done", counts)
    end_turn(engine, run)
    return counts


def _without_taken(engine: Engine, rows: pl.DataFrame, tx: Transaction) -> pl.DataFrame:
    links = Links(engine.store)
    persons = links.by_person(rows["person_id"].to_list(), tx)["person_id"].to_pylist()
    records = links.by_crm(rows["crm_id"].to_list(), tx)["crm_id"].to_pylist()
    return rows.filter(~pl.col("person_id").is_in(persons) & ~pl.col("crm_id").is_in(records))


def _begin_feeds(engine: Engine, outcome: dict[str, Json], tx: Transaction) -> None:
    """Marketo's feeds begin where the survey began, so that no edit since then is lost (P2)."""
    cursors = Cursors(engine.store)
    for stream in (CHANGES, DELETES):
        if cursors.get(stream, tx) is None:
            cursors.advance(stream, outcome["token"], outcome["as_of"], 0, tx)


def _arrow(rows: pl.DataFrame) -> pa.Table:
    return rows.to_arrow()
