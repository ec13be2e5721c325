"""What is wrong now, as the state store shows it. No service is called (R156, D96)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from include.leadsync.clock import Clock
from include.leadsync.config import Settings
from include.leadsync.field_memory import SET_ASIDE
from include.leadsync.filter_memory import UNREADABLE
from include.leadsync.measures import last_done
from include.leadsync.model import Lane, OperationState, System
from include.leadsync.state import Outbox, SharedBudget, StateStore
from include.leadsync.state.arrow import from_micros
from include.leadsync.state.schema import activity, run
from include.leadsync.state.store import Transaction

KINDS = ("sync_down", "rights", "configuration", "schema", "quota", "backlog", "held_plan")
"""Every kind of trouble; docs/operations.md has an entry for each."""

_ENDED = ("done", "failed", "planned")
_RIGHTS, _CONFIGURATION = "AccessRefused", ("FixConfiguration", "ConfigurationInvalid", "NameUnknown")
_OPEN = sa.literal_column("open") == sa.literal_column("1")  # word for word as in the partial indexes
_AT_MOST = 50  # facts about the schema, held plans: more of them are no more news
_LONGEST = 500


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that is wrong. `key` is the same for as long as it lasts; `text` holds counts and ids, no value."""

    key: str
    kind: str
    text: str
    since: datetime


def troubles(store: StateStore, settings: Settings, clock: Clock) -> list[Trouble]:
    """Everything that is wrong now, the gravest first."""
    now, limits = clock.now(), settings.alerts
    with store.read() as tx:
        found = [
            *_down(tx, now, timedelta(minutes=limits.sync_down_minutes)),
            *_refused(tx),
            *_schema(tx),
            *_backlog(store, tx, now, limits.backlog_minutes, limits.backlog_operations),
            *_held(store, tx),
        ]
    found += _quotas(store, settings, clock) if limits.quota_share else []
    return sorted(found, key=lambda trouble: (KINDS.index(trouble.kind), trouble.key))


def _down(tx: Transaction, now: datetime, limit: timedelta) -> Iterator[Trouble]:
    """No cycle has come to its end for too long. A store without any cycle is not down: nobody has begun."""
    cycles = run.c.kind == "cycle"
    last = last_done(tx)
    if last is None:
        last = tx.execute(sa.select(run.c.started_at).where(cycles).order_by(run.c.started_at).limit(1)).scalar()
    if not limit or last is None or now - from_micros(last) <= limit:
        return
    latest = _latest(tx, cycles)
    how = f"; the last one {latest['outcome']}: {latest['error']}" if latest and latest["error"] else ""
    dry = "; runs are dry: the variable leadsync_dry_run or the form says so" if latest and latest["dry"] else ""
    minutes = round((now - from_micros(last)) / timedelta(minutes=1))
    yield Trouble(
        "sync_down", "sync_down", f"no cycle has come to its end for {minutes} minutes{how}{dry}", from_micros(last)
    )


def _refused(tx: Transaction) -> Iterator[Trouble]:
    """The last run failed with what no later run can pass: a right is missing, or the configuration is wrong."""
    latest = _latest(tx, sa.true())
    if latest is None or latest["outcome"] != "failed":
        return
    if latest["class"] == _RIGHTS:
        yield Trouble("rights", "rights", f"run {latest['run_id']}: {latest['error']}", latest["at"])
    elif latest["class"] in _CONFIGURATION:
        yield Trouble("configuration", "configuration", f"run {latest['run_id']}: {latest['error']}", latest["at"])


def _latest(tx: Transaction, which: sa.ColumnElement[bool]) -> dict[str, Any] | None:
    columns = (run.c.run_id, run.c.finished_at, run.c.outcome, run.c.report_json)
    ended = sa.select(*columns).where(which, run.c.outcome.in_(_ENDED)).order_by(run.c.started_at.desc()).limit(1)
    row = tx.execute(ended).one_or_none()
    if row is None:
        return None
    report = json.loads(row.report_json or "{}")
    return {
        "run_id": row.run_id,
        "outcome": row.outcome,
        "at": from_micros(row.finished_at),
        "class": report.get("class"),
        "error": str(report.get("error") or "")[:_LONGEST],
        "dry": row.outcome == "planned",
    }


def _schema(tx: Transaction) -> Iterator[Trouble]:
    """A mapped column is gone, hidden or of another type; or the filter cannot be read, so that nothing comes in."""
    columns = (activity.c.key, activity.c.code, activity.c.entity, activity.c.field, activity.c.message, activity.c.at)
    facts = sa.select(*columns).where(_OPEN, activity.c.code.in_([SET_ASIDE, UNREADABLE]))
    for row in tx.execute(facts.order_by(activity.c.activity_id).limit(_AT_MOST)):
        what = " ".join(str(part) for part in (row.entity, row.field) if part)
        yield Trouble(
            f"schema:{row.key}"[:200], "schema", f"{row.code}, {what}: {row.message}"[:_LONGEST], from_micros(row.at)
        )


def _backlog(store: StateStore, tx: Transaction, now: datetime, minutes: int, most: int) -> Iterator[Trouble]:
    """Writes wait longer than they may, or there are more of them. A loader that keeps up leaves none that is old.

    First syncs and backfills wait for everything else by design; they count by their number only.
    """
    groups: dict[str, list[dict[str, Any]]] = {}
    for group in Outbox(store).depth(tx).to_pylist():
        if group["state"] == OperationState.PENDING.value:
            groups.setdefault(group["direction"], []).append(group)
    for direction, waiting in groups.items():
        count = sum(group["count"] for group in waiting)
        urgent = [group["oldest"] for group in waiting if group["lane"] != int(Lane.BACKFILL)]
        late = bool(minutes and urgent and now - min(urgent) > timedelta(minutes=minutes))
        if late or (most and count > most):
            since = min(urgent) if late else min(group["oldest"] for group in waiting)
            text = (
                f"{count} {direction} writes wait, the oldest for {round((now - since) / timedelta(minutes=1))} minutes"
            )
            yield Trouble(f"backlog:{direction}", "backlog", text, since)


def _held(store: StateStore, tx: Transaction) -> Iterator[Trouble]:
    for plan in Outbox(store).held(tx).to_pylist()[:_AT_MOST]:
        text = f"plan {plan['plan_hash']} waits for approval: {plan['ops']} operations on {plan['links']} links"
        yield Trouble(f"held_plan:{plan['plan_hash']}", "held_plan", text, plan["created_at"])


def _quotas(store: StateStore, settings: Settings, clock: Clock) -> Iterator[Trouble]:
    for system in System:
        usage = SharedBudget(store, system, settings.limits.of(system), clock).usage()
        if usage.today >= settings.alerts.quota_share * usage.daily_limit:
            unit = "calls" if system is System.MARKETO else "rows"
            text = (
                f"{system.value}: {usage.today} of {usage.daily_limit} {unit} that this sync may use in a day are used"
            )
            yield Trouble(f"quota:{system.value}", "quota", text, clock.now())
