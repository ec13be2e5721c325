"""The digest: once in 24 hours, what failed in that time, by cause (R155)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from include.leadsync.alerts.telling import Message
from include.leadsync.clock import iso, parse_iso
from include.leadsync.state import Metadata, StateStore
from include.leadsync.state.arrow import to_micros
from include.leadsync.state.schema import activity

_SENT = "digest"
_DAY, _LONGEST = timedelta(days=1), timedelta(days=7)
_CAUSES, _EXAMPLES, _COUNTED = 30, 5, 100_000


def due(store: StateStore, channel: str, hour: int | None, now: datetime) -> datetime | None:
    """Since when the digest that is due now reports, or None. It is due once a day, from `hour` (UTC) on."""
    if hour is None:
        return None
    today = now.replace(hour=hour, minute=0, second=0, microsecond=0)
    latest = today if today <= now else today - _DAY
    before = Metadata(store).get(_SENT, channel)
    last = parse_iso(before) if before else latest - _DAY
    return max(last, now - _LONGEST) if last < latest else None


def sent(store: StateStore, channel: str, now: datetime) -> None:
    """The digest has arrived, or there was nothing to tell."""
    Metadata(store).put(_SENT, channel, iso(now))


def causes(store: StateStore, since: datetime, until: datetime) -> list[dict[str, Any]]:
    """What failed since then, the commonest first: code, direction, entity, field, count, open, examples.

    Of the newest 100,000 rows of the activity log. `examples`: ids of up to five persons or records; no value.
    """
    names = ("code", "direction", "entity", "field")
    keys = [activity.c[name] for name in names]
    newest = sa.select(sa.func.max(activity.c.activity_id)).scalar_subquery() - _COUNTED
    mine = (
        activity.c.activity_id > newest,
        activity.c.at >= to_micros(since),
        activity.c.at < to_micros(until),
        activity.c.outcome.in_(["failed", "held"]),
    )
    still_open = sa.func.sum(activity.c.open).label("still_open")
    counted = sa.select(*keys, sa.func.count().label("count"), still_open).where(*mine).group_by(*keys)
    with store.read() as tx:
        rows = tx.execute(counted.order_by(sa.desc("count"), *keys).limit(_CAUSES)).all()
        found = []
        for row in rows:
            same = [activity.c[name].is_not_distinct_from(getattr(row, name)) for name in names]
            some = sa.select(activity.c.person_id, activity.c.crm_id).where(*mine, *same)
            ids = tx.execute(some.order_by(activity.c.activity_id.desc()).limit(_EXAMPLES)).all()
            examples = [f"person {person}" if person is not None else f"record {crm}" for person, crm in ids]
            counts = {"count": row[-2], "open": int(row.still_open or 0)}
            found.append({name: getattr(row, name) for name in names} | counts | {"examples": examples})
    return found


def digest(store: StateStore, since: datetime, until: datetime, console: str) -> Message | None:
    """The digest of that time in words; None when nothing failed."""
    found = causes(store, since, until)
    if not found:
        return None
    total, still_open = sum(cause["count"] for cause in found), sum(cause["open"] for cause in found)
    lines = [f"{total} failures since {since:%Y-%m-%d %H:%M} UTC, {still_open} of them still open:", ""]
    for cause in found:
        about = " ".join(str(cause[name]) for name in ("direction", "entity", "field") if cause[name])
        some = ", ".join(dict.fromkeys(cause["examples"]))
        lines.append(f"{cause['count']} × {cause['code']} ({about}), {cause['open']} open; for example {some}")
    lines += ["", f"All of them: {console}/errors"]
    return Message(f"Lead Sync: {total} failures in a day, {still_open} open", "\n".join(lines))
