"""CRM records that were held because nobody could say whose they are: looked at again now and then (D13).

What they wait for happens in Marketo – a merge, an id written by hand – and no feed tells it of persons without a link.
"""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from include.leadsync.context import Engine, RunRequest
from include.leadsync.link.by_email import SEVERAL, UNPLACED
from include.leadsync.link.frames import SEVERAL_CARRY
from include.leadsync.no_rows import frame_of, no_rows
from include.leadsync.state import ActivityLog, Metadata

_EVERY = timedelta(hours=1)
_AT_ONCE = 1_000
_LOOKED = "held_records"


def held_records(engine: Engine, run: RunRequest) -> pl.DataFrame:
    """Held records whose time has come: entity, crm_id. Once an hour, a thousand at a time."""
    nobody = no_rows({"entity": pl.String, "crm_id": pl.String})
    if not run.incremental or run.dry_run:
        return nobody
    codes = (SEVERAL, UNPLACED, SEVERAL_CARRY)
    waiting = frame_of(ActivityLog(engine.store).waiting_records(codes, _AT_ONCE))
    if waiting.is_empty():
        return nobody
    kept = Metadata(engine.store)
    if kept.get("leadsync", _LOOKED, not_before=engine.now() - _EVERY) is not None:
        return nobody
    kept.put("leadsync", _LOOKED, run.run_id)
    return waiting.unique(maintain_order=True).cast({"entity": pl.String, "crm_id": pl.String})
