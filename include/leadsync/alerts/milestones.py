"""What has come to its end is told once, to every channel: the first sync, and backfills of fields (R157)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from include.leadsync.alerts.telling import Message
from include.leadsync.clock import iso, parse_iso
from include.leadsync.measures import last_done
from include.leadsync.model import Lane, OperationState
from include.leadsync.state import ActivityLog, Links, Metadata, Outbox, StateStore, Transaction
from include.leadsync.state.arrow import from_micros, to_micros
from include.leadsync.state.fields import DONE
from include.leadsync.state.schema import field_job, run
from include.leadsync.sweeping import SWEPT

_TOLD = "milestones"
_FIRST_SYNC = ("leadsync", "first_sync_done")
_UNDER_WAY, _LONG_AGO = "under way", "long ago"
_NEWS = timedelta(days=7)
"""What ended longer ago is no news, to a channel that was added since."""
_YOUNG = timedelta(days=1)
"""A store that is older when it is first looked at had its first sync long ago."""
_MOVING = (OperationState.PENDING.value, OperationState.IN_FLIGHT.value)
_AT_MOST = 50


@dataclass(frozen=True, slots=True)
class Milestone:
    """Something that is done. `key` stands for it for ever; `text` holds counts and names, no value."""

    key: str
    text: str


def reached(store: StateStore, now: datetime) -> list[Milestone]:
    """What has come to its end within the last days; also remembers when the first sync did."""
    with store.begin() as tx:
        waiting = [row for row in Outbox(store).depth(tx).to_pylist() if row["state"] in _MOVING]
        first = _first_sync(store, now, tx, at_rest=not waiting)
        found = [first] if first else []
        if not any(row["lane"] == int(Lane.BACKFILL) for row in waiting):
            found += _backfills(tx, now)
    return found


def unknown_to(store: StateStore, channel: str, now: Sequence[Milestone]) -> list[Milestone]:
    """Those that a channel has not been told."""
    known = set(json.loads(Metadata(store).get(_TOLD, channel) or "[]"))
    return [milestone for milestone in now if milestone.key not in known]


def told(store: StateStore, channel: str, now: Sequence[Milestone]) -> None:
    """This channel knows all of them; what is no news any more is forgotten."""
    Metadata(store).put(_TOLD, channel, json.dumps(sorted(milestone.key for milestone in now)))


def message(done: Sequence[Milestone], console: str) -> Message:
    """In words."""
    subject = done[0].text.partition(":")[0] if len(done) == 1 else f"{len(done)} backfills or first syncs are done"
    lines = [f"{milestone.text}." for milestone in done]
    return Message(f"Lead Sync: {subject}", "\n".join([*lines, "", f"Status: {console}/"]))


def _first_sync(store: StateStore, now: datetime, tx: Transaction, *, at_rest: bool) -> Milestone | None:
    """It is done when, after a whole cycle, there are links and nothing waits to be written or to be read again."""
    kept = Metadata(store)
    known = kept.get(*_FIRST_SYNC, tx=tx)
    if known in (None, _UNDER_WAY):
        begun = tx.execute(sa.select(sa.func.min(run.c.started_at))).scalar()
        if begun is None:
            return None
        linked = Links(store).count(tx=tx) > 0 and Links(store).dirty(1, tx).num_rows == 0
        ended = at_rest and linked and last_done(tx) is not None
        long_ago = known is None and now - from_micros(begun) > _YOUNG
        known = _LONG_AGO if long_ago else iso(now) if ended else _UNDER_WAY
        kept.put(*_FIRST_SYNC, known, tx)
    if known in (_UNDER_WAY, _LONG_AGO) or now - parse_iso(known) > _NEWS:
        return None
    failures = ActivityLog(store).open_count(tx)
    text = f"the first sync is done: {Links(store).count_live()} links in use, {failures} failures open"
    return Milestone("first_sync", text)


def _backfills(tx: Transaction, now: datetime) -> list[Milestone]:
    """Backfills of fields whose last write has been sent; sweeps are nobody's news."""
    columns = [field_job.c[name] for name in ("job_id", "entity", "fields_json", "done")]
    ended = (field_job.c.state == DONE) & (field_job.c.reason != SWEPT)
    lately = field_job.c.changed_at > to_micros(now - _NEWS)
    rows = tx.execute(sa.select(*columns).where(ended, lately).order_by(field_job.c.job_id.desc()).limit(_AT_MOST))
    return [
        Milestone(
            f"backfill:{row.job_id}",
            f"the backfill of {row.entity} {', '.join(json.loads(row.fields_json))} is done:"
            f" {row.done} linked records were looked at",
        )
        for row in rows
    ]
