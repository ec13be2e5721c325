"""Accepted pairs become links; whoever has a link already keeps it. Neither system is written to (D11, D18)."""

from __future__ import annotations

import json
from collections.abc import Sequence

import polars as pl
import pyarrow as pa

from include.leadsync.context import Engine, Json, RunRequest
from include.leadsync.errors import FixConfiguration
from include.leadsync.extract.persons import CHANGES, DELETES, MERGES
from include.leadsync.link.arrivals import CLAIMED_TWICE
from include.leadsync.model import LinkStatus
from include.leadsync.plan.first_sync import ACCEPTED, ACCEPTING
from include.leadsync.schema import current_schema
from include.leadsync.state import ActivityLog, Cursors, Layouts, Links, Metadata, Runs, Transaction
from include.leadsync.survey import matching
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
    """Store the links that the survey `surveyed` staged, slice by slice; safe to repeat after a crash.

    Until all of them are stored no run starts (`first_sync.require_whole_acceptance`): it would go by its own rules
    for the rest, which know neither other id fields nor which record of an address goes first.
    """
    outcome = engine.staging(RunRequest(surveyed)).read_json(OUTCOME)
    if outcome is None:
        raise FixConfiguration(f"what the report {surveyed} found is not staged any more; make a new report")
    schema = current_schema(engine)
    if outcome["fields"] != fields_of(schema):
        raise FixConfiguration("the field map changed since the report was made; make a new one")
    run = RunRequest(run_id)
    take_turn(engine, run)
    Runs(engine.store).start(run_id, "accept", {"report": surveyed})
    with engine.store.begin() as tx:
        behind = _begin_feeds(engine, outcome, tx)
        Metadata(engine.store).put("leadsync", ACCEPTING, _again(outcome["report"]), tx)
    stored = skipped = 0
    for entity, number in outcome["slices"]:
        rows = engine.staging(RunRequest(surveyed)).read(f"survey.links.{entity}.{number}")
        with engine.store.begin() as tx:
            new = _without_taken(engine, rows if not behind else _read_afresh(rows), tx)
            fields = [(name, kind) for name, kind in outcome["fields"][entity]]
            layout = Layouts(engine.store).id_of(entity, fields, tx)
            new = new.with_columns(
                pl.when(pl.col("base").is_not_null()).then(pl.lit(layout)).alias("layout_id"),
                created_run=pl.lit(run_id),
            )
            links = Links(engine.store).insert(_arrow(new), tx)
            ActivityLog(engine.store).found(links, run_id, tx)
        stored, skipped = stored + new.height, skipped + rows.height - new.height
        take_turn(engine, run)
    with engine.store.begin() as tx:
        Metadata(engine.store).put("leadsync", CLAIMED_TWICE, _claimed_twice(engine, surveyed, outcome, tx), tx)
        Metadata(engine.store).put("leadsync", ACCEPTED, outcome["report"]["hash"], tx)
        Metadata(engine.store).put("leadsync", ACCEPTING, "", tx)
    counts = {"linked": stored, "linked_meanwhile": skipped}
    Runs(engine.store).finish(run_id, "done", counts)
    end_turn(engine, run)
    return counts


def _without_taken(engine: Engine, rows: pl.DataFrame, tx: Transaction) -> pl.DataFrame:
    links = Links(engine.store)
    persons = links.by_person(rows["person_id"].to_list(), tx)["person_id"].to_pylist()
    records = links.by_crm(rows["crm_id"].to_list(), tx)["crm_id"].to_pylist()
    return rows.filter(~pl.col("person_id").is_in(persons) & ~pl.col("crm_id").is_in(records))


def _begin_feeds(engine: Engine, outcome: dict[str, Json], tx: Transaction) -> bool:
    """Marketo's feeds begin where the survey began, so that no edit, deletion or merge since is lost (P2).

    True when they have gone on from elsewhere: then a cycle may have read, and dropped, an edit of a pair that had no
    link yet.
    """
    cursors, behind = Cursors(engine.store), False
    for stream in (CHANGES, DELETES, MERGES):
        known = cursors.get(stream, tx)
        if known is None:
            cursors.advance(stream, outcome["token"], outcome["as_of"], 0, tx)
        behind |= known is not None and known.token != outcome["token"]
    return behind


def _read_afresh(rows: pl.DataFrame) -> pl.DataFrame:
    """Links whose sides the next cycle looks at, whatever the feeds tell; what they agreed on stands."""
    waits = pl.col("dirty").is_null() & (pl.col("status") == LinkStatus.ACTIVE.value)
    return rows.with_columns(
        pl.when(waits).then(pl.lit("accepted after cycles had run")).otherwise("dirty").alias("dirty")
    )


def _claimed_twice(engine: Engine, surveyed: str, outcome: dict[str, Json], tx: Transaction) -> str:
    """Records that the report names without a decision: the cycle holds them, whatever their address says (D11).

    A report that looked at fewer fields takes nothing off the list.
    """
    conflicts = engine.staging(RunRequest(surveyed)).read("survey.conflicts")
    doubtful = set(conflicts.filter(pl.col("code").is_in(matching.CLAIMED_TWICE))["crm_id"].drop_nulls().to_list())
    if not outcome["id_fields"]:
        doubtful |= set(json.loads(Metadata(engine.store).get("leadsync", CLAIMED_TWICE, tx=tx) or "[]"))
    return json.dumps(sorted(doubtful))


def _again(report: dict[str, Json]) -> str:
    command = "first-sync accept" if report["kind"] == "first-sync" else "rebuild --accept"
    return f"python -m include.leadsync {command} {report['hash']}"


def _arrow(rows: pl.DataFrame) -> pa.Table:
    return rows.to_arrow()
