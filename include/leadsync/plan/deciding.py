"""What to do about every field of a slice of pairs: the merge, and everything that knows better than the merge."""

from __future__ import annotations

import polars as pl

from include.leadsync import undoing
from include.leadsync.approval import APPROVED
from include.leadsync.backfills import staged_stretch
from include.leadsync.column_security import without_hidden_clears
from include.leadsync.context import Engine, RunRequest
from include.leadsync.load.outcome import Fate
from include.leadsync.merge import merge
from include.leadsync.model import Entity, FieldMap, System
from include.leadsync.no_rows import no_rows
from include.leadsync.plan.blocked import SCHEMA as BLOCKED_SCHEMA
from include.leadsync.plan.blocked import expected, without_blocked
from include.leadsync.plan.concurrent import restored_edits
from include.leadsync.plan.opting_out import in_doubt, with_opt_outs, without_lifts
from include.leadsync.plan.refresh import refreshed
from include.leadsync.plan.suspended import without_writes
from include.leadsync.plan.undoing import (
    judged,
    left_over,
    taken_back,
    taken_up,
    unfinished_undos,
    with_landed_undos,
)
from include.leadsync.plan.unfinished import last_plans, unfinished_edits
from include.leadsync.schema import Schema, current_schema
from include.leadsync.state import Echoes, Links

_SUPERSEDED = f"^({APPROVED}|{Fate.UNKNOWN.value} |{Fate.CONFLICT.value} )"
"""Pattern of the `dirty` reasons of links whose operations were superseded before they were done."""

_ECHO = {"person_id": pl.Int64, "field": pl.String, "op_id": pl.String}


class Deciding:
    """Decides slice after slice of one run.

    `blocked`: frames of values that a service keeps from us. `left_out`: links with changes that this run leaves to a
    later one.
    """

    def __init__(self, engine: Engine, run: RunRequest, schema: Schema) -> None:
        staging = engine.staging(run)
        self._engine, self._run, self._schema = engine, run, schema
        self._echoes = Echoes(engine.store)
        self._overwritten = pl.concat([staging.read("overwritten"), staging.read("carried")])
        events = staging.read("events")
        self._moved = events["link_id"].filter(events["kind"] == "moved").to_list()
        policy = engine.settings.policies.first_link
        self._first_link = None if policy == "by_type" else System(policy)
        self._matched = staging.read("echoes") if staging.exists("echoes") else no_rows(_ECHO)
        selection = staging.read("selection")
        self._opt_outs, self._versions = staging.read("opt_outs"), _unanswered(engine, selection)
        self._superseded = selected(selection, _SUPERSEDED)
        self.blocked = [no_rows(BLOCKED_SCHEMA)]
        self.left_out: list[int] = []
        self._staging = staging
        self._cells = staging.read(undoing.CELLS) if run.kind == undoing.KIND else None
        self._judged: list[pl.DataFrame] = []
        self._met: list[int] = []

    def decide(self, entity: Entity, pairs: pl.DataFrame) -> pl.DataFrame:
        """The decisions of one slice, `merge.DECISION_SCHEMA`; `row` is the position in `pairs`."""
        pairs = pairs.with_row_index("_row")
        both = pairs.filter(pairs["create"].is_null())
        field_map = self._schema.map(entity)
        plans = last_plans(self._engine.store, both["link_id"].to_list(), self._superseded)
        undos = unfinished_undos(plans)
        both = with_landed_undos(both, undos)
        merged, restored = self._merged(both, unfinished_edits(plans), field_map)
        decisions = merged
        echoes = expected(self._echoes.of_persons(both["person_id"].drop_nulls().to_list()), self._matched)
        settled, kept = without_blocked(decisions, both, echoes, entity, self._engine.now())
        if self._run.incremental:
            decisions = settled
            self.blocked.append(kept)
        else:  # it has not read the feed, which tells a blocked write from an edit
            decisions, unsure = _without(decisions, both, kept)
            self.left_out += unsure
        doubtful = in_doubt(both, self._versions)
        decisions = with_opt_outs(decisions, both, self._opt_outs, doubtful, field_map)
        decisions, concealed = without_hidden_clears(self._engine, decisions, both, field_map)
        self.left_out += concealed
        if concealed:
            current_schema(self._engine, refresh=True)  # the next run sets the column aside
        if not self._run.incremental:  # it has not read the feed: an opt-out may have been made meanwhile
            decisions, waiting = without_lifts(decisions, both, field_map)
            self.left_out += waiting
        stretch = staged_stretch(self._engine, self._run, entity)
        decisions = refreshed(
            decisions, both, field_map, self._engine.settings.backfill.direction, stretch, self._moved
        )
        decisions = without_writes(decisions, both, outbound=self._schema.filters[entity].outbound)
        decisions = self._taking_back(decisions, merged, restored, undos, both, field_map)
        decisions = decisions.with_columns(both["_row"].gather(decisions["row"]).alias("row"))
        if self._run.fields:
            chosen = pl.col("field").is_in(list(self._run.fields))
            self.left_out += pairs["link_id"].gather(decisions.filter(~chosen)["row"].unique()).to_list()
            decisions = decisions.filter(chosen)
        return decisions

    def _merged(
        self, both: pl.DataFrame, unfinished: pl.DataFrame, field_map: FieldMap
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        """The three-way merge, with the edits that no side shows any more taken for what they were; and those edits."""
        decisions = merge(both, field_map, self._first_link)
        restored, taken = restored_edits(both, pl.concat([unfinished, self._overwritten]), field_map)
        if restored.is_empty():
            return decisions, taken
        return pl.concat([decisions.join(taken, on=["row", "field"], how="anti"), restored]), taken

    def _taking_back(
        self,
        decisions: pl.DataFrame,
        merged: pl.DataFrame,
        restored: pl.DataFrame,
        undos: pl.DataFrame,
        both: pl.DataFrame,
        field_map: FieldMap,
    ) -> pl.DataFrame:
        """The decisions with what undos take back; a run that is one decides nothing else, but for lost edits."""
        parts = []
        if self._cells is not None:
            mine = judged(self._cells, both, merged, field_map)
            self._judged.append(undoing.listed(mine))
            self._met += both["link_id"].to_list()
            others = decisions.join(restored, on=["row", "field"], how="anti")
            self.left_out += both["link_id"].gather(others["row"].unique()).to_list()
            decisions = decisions.join(restored, on=["row", "field"], how="semi")
            parts.append(taken_back(mine, field_map))
        if undos.height:
            parts.append(taken_up(undos, both, merged, field_map))
        if not parts:
            return decisions
        undone = pl.concat(parts).unique(["row", "field", "direction"], keep="first", maintain_order=True)
        return pl.concat([decisions, undone]).sort("row", "field")

    def stage_list(self) -> dict[str, int]:
        """Stage what becomes of every write that an undo was asked to take back; returns how many of each fate."""
        if self._cells is None:
            return {}
        known = self._staging.read(undoing.LISTED)
        mine = pl.concat([undoing.listed(self._cells.clear()), *self._judged])
        rest = left_over(self._cells, mine, self._staging.read_json(undoing.BUSY), self._met)
        rows = pl.concat([known.filter(pl.col("fate").is_in(list(undoing.LISTED_ONLY))), mine, rest])
        self._staging.write(undoing.LISTED, rows)
        return dict(rows.group_by("fate").len().sort("fate").iter_rows())


def _without(decisions: pl.DataFrame, both: pl.DataFrame, cells: pl.DataFrame) -> tuple[pl.DataFrame, list[int]]:
    """The decisions without those on `cells` (link_id, field), and the links of these."""
    rows = both.select("link_id").with_row_index("row").join(cells.select("link_id", "field"), on="link_id")
    return decisions.join(rows, on=["row", "field"], how="anti"), rows["link_id"].unique().to_list()


def selected(selection: pl.DataFrame, pattern: str) -> list[int]:
    """Links that this run looks at for a reason of this pattern."""
    if selection.is_empty():
        return []
    return selection.filter(pl.col("reason").str.contains(pattern))["link_id"].drop_nulls().to_list()


def _unanswered(engine: Engine, selection: pl.DataFrame) -> dict[int, str | None]:
    """Links of which nobody knows whether the last write arrived → the version of the record it was meant for."""
    unknown = selected(selection, f"^{Fate.UNKNOWN.value}")
    links = Links(engine.store).by_id(unknown)
    return dict(zip(links["link_id"].to_pylist(), links["crm_etag"].to_pylist(), strict=True))
