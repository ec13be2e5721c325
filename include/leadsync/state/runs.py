"""Runs: what each was asked to do, how it ended, and its report."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from include.leadsync.state.arrow import from_micros
from include.leadsync.state.schema import run
from include.leadsync.state.statements import Prepared
from include.leadsync.state.store import StateStore, Transaction, fetch

Json = Any

_RUN_ID = sa.bindparam("of_run", type_=sa.Text())
_REPORT = sa.select(run.c.report_json).where(run.c.run_id == _RUN_ID)
_KNOWN_REPORT = Prepared(_REPORT)
_REPORT_TO_CHANGE = Prepared(_REPORT.with_for_update())
_OF_RUN = sa.update(run).where(run.c.run_id == _RUN_ID)
_CHANGE_REPORT = Prepared(_OF_RUN.values(report_json=sa.bindparam("report")))
_END = Prepared(
    _OF_RUN.values(report_json=sa.bindparam("report"), outcome=sa.bindparam("how"), finished_at=sa.bindparam("now"))
)


@dataclass(frozen=True, slots=True)
class Run:
    """One run. `window` is what it was asked for, `report` what it did; both JSON objects."""

    run_id: str
    kind: str
    started_at: datetime
    finished_at: datetime | None
    outcome: str | None
    window: dict[str, Json]
    report: dict[str, Json]


class Runs:
    """The run table."""

    def __init__(self, store: StateStore) -> None:
        self._store = store

    def start(
        self, run_id: str, kind: str, window: Mapping[str, Json] | None = None, tx: Transaction | None = None
    ) -> None:
        """Note that a run began; a repeat with the same id (a retried task) changes nothing."""
        row = {"run_id": run_id, "kind": kind, "started_at": self._store.micros(), "window_json": _dump(window or {})}
        with self._store.within(tx) as connection:
            self._store.insert_if_absent(connection, run, row, ("run_id",))

    def finish(
        self, run_id: str, outcome: str, report: Mapping[str, Json] | None = None, tx: Transaction | None = None
    ) -> None:
        """Note how a run ended, in one word (done, failed, skipped) and in full."""
        with self._store.within(tx) as connection:
            known = _KNOWN_REPORT.value(connection, {"of_run": run_id})
            whole = json.loads(known or "{}") | dict(report or {})
            whole.pop("progress", None)
            ended = {"now": self._store.micros(), "how": outcome, "report": _dump(whole)}
            _END.change(connection, {"of_run": run_id, **ended})

    def note(self, run_id: str, step: str, result: Mapping[str, Json], tx: Transaction | None = None) -> None:
        """Add what one step did to a run's report; steps that run side by side do not overwrite each other."""
        self._add(run_id, "steps", step, result, tx)

    def tell_progress(self, run_id: str, step: str, row: Mapping[str, Json], tx: Transaction | None = None) -> None:
        """How far a step is, in place of what it said before (`progress`); gone when the run ends."""
        self._add(run_id, "progress", step, row, tx)

    def _add(self, run_id: str, part: str, step: str, row: Mapping[str, Json], tx: Transaction | None) -> None:
        with self._store.within(tx) as connection:
            known = _REPORT_TO_CHANGE.value(connection, {"of_run": run_id})
            report = json.loads(known or "{}")
            report.setdefault(part, {})[step] = dict(row)
            _CHANGE_REPORT.change(connection, {"of_run": run_id, "report": _dump(report)})

    def get(self, run_id: str, tx: Transaction | None = None) -> Run | None:
        """One run by its id."""
        return self._one(sa.select(run).where(run.c.run_id == run_id), tx)

    def latest(self, kind: str | None = None, outcome: str | None = None, tx: Transaction | None = None) -> Run | None:
        """The run that started last, of a kind and with an outcome if named."""
        statement = sa.select(run).order_by(run.c.started_at.desc(), run.c.run_id.desc()).limit(1)
        if kind is not None:
            statement = statement.where(run.c.kind == kind)
        if outcome is not None:
            statement = statement.where(run.c.outcome == outcome)
        return self._one(statement, tx)

    def recent(self, limit: int = 50, tx: Transaction | None = None) -> pa.Table:
        """The last runs, newest first: run_id, kind, started_at, finished_at, outcome, window_json, report_json."""
        statement = sa.select(*run.columns).order_by(run.c.started_at.desc(), run.c.run_id.desc()).limit(limit)
        with self._store.look(tx) as connection:
            return fetch(connection, statement)

    def _one(self, statement: sa.Select[Any], tx: Transaction | None) -> Run | None:
        with self._store.look(tx) as connection:
            row = connection.execute(statement).one_or_none()
        if row is None:
            return None
        return Run(
            row.run_id,
            row.kind,
            from_micros(row.started_at),
            None if row.finished_at is None else from_micros(row.finished_at),
            row.outcome,
            json.loads(row.window_json or "{}"),
            json.loads(row.report_json or "{}"),
        )


def _dump(document: Mapping[str, Json]) -> str:
    return json.dumps(document, ensure_ascii=False, sort_keys=True)
