"""Taking a run back, as its page shows it: what stands against it, and the undos that were made so far (P9)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from include.leadsync.console.asking import containing
from include.leadsync.console.run_history import shaped
from include.leadsync.errors import LeadSyncError
from include.leadsync.staging import Staging
from include.leadsync.state import StateStore
from include.leadsync.state.arrow import to_micros
from include.leadsync.state.schema import ledger, run
from include.leadsync.state.store import fetch
from include.leadsync.undoing import KIND, LISTED, undo_frame

SHOWN = 200
"""Values of an undo that are listed."""

_MOST = 20
_SKEW = timedelta(hours=1)
"""An undo began later than its run; clocks of two hosts may disagree."""


class NotUndone(LeadSyncError):
    """A run cannot be taken back now: `reason` is one of `obstacle`, or "not_looked", "busy", "not_started"."""

    def __init__(self, reason: str, detail: str = "") -> None:
        self.reason, self.detail = reason, detail
        super().__init__(f"the run is not taken back: {reason} {detail}".strip())

    def __reduce__(self) -> tuple[type[NotUndone], tuple[str, str]]:
        return type(self), (self.reason, self.detail)


def obstacle(store: StateStore, about: Mapping[str, Any]) -> str | None:
    """Why a run (`run_history.shaped`) cannot be taken back: "dry", "at_work", "nothing"; None when it can."""
    if about["outcome"] == "planned":
        return "dry"
    if not about["outcome"]:
        return "at_work"
    written = sa.select(ledger.c.entry_id).where(ledger.c.run_id == about["run_id"], ledger.c.op_id.is_not(None))
    with store.read() as tx:
        return None if tx.execute(written.limit(1)).scalar() is not None else "nothing"


def undos_of(store: StateStore, about: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The undos of a run, newest first: as `shaped`, with `dry_run` and `fates` (word → values, as planned)."""
    named = containing(run.c.window_json, f'"undoes": "{about["run_id"]}"')
    since = to_micros(about["started_at"] - _SKEW)
    statement = sa.select(*run.columns).where(run.c.started_at >= since, run.c.kind == KIND, named)
    with store.read() as tx:
        rows = fetch(tx, statement.order_by(run.c.started_at.desc()).limit(_MOST)).to_pylist()
    return [
        one | {"dry_run": bool(one["window"].get("dry_run")), "fates": one["steps"].get("merge", {}).get("undo", {})}
        for one in map(shaped, rows)
    ]


def looked(undos: list[dict[str, Any]], run_id: str) -> dict[str, Any]:
    """The dry run that somebody looked at. Raises `NotUndone` when it is none of this run's, or has not ended."""
    for one in undos:
        if one["run_id"] == run_id and one["dry_run"] and one["outcome"] == "planned":
            return one
    raise NotUndone("not_looked")


def listed(staging_url: str, run_id: str) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """What becomes of each value, the first `SHOWN` (`undoing.LISTED_SCHEMA`), and how many of each fate.

    Empty when this is no undo, has not come so far, or its staging has expired.
    """
    staging = Staging(staging_url, run_id)
    if not (staging.exists(LISTED) and staging.exists("refused")):
        return [], {}
    rows = undo_frame(staging)
    return rows.head(SHOWN).to_dicts(), dict(sorted(Counter(rows["fate"].to_list()).items()))
