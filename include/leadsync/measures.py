"""What a run did and where the sync stands, as figures for a metrics system; docs/airflow.md lists them.

Tags are names of steps, tables, directions and systems; there is no id and no value among them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

import sqlalchemy as sa

from include.leadsync.clock import Clock
from include.leadsync.config import Settings
from include.leadsync.model import System
from include.leadsync.state import ActivityLog, Outbox, SharedBudget, StateStore, Transaction
from include.leadsync.state.arrow import from_micros
from include.leadsync.state.schema import run

MEASURED = "measured"
"""Key of a step's result under which its measures travel to whoever emits them."""

_FAILED = ("refused", "unknown", "conflict")
_PERSON = "person"


@dataclass(frozen=True, slots=True)
class Measure:
    """A figure. `kind`: "count" adds up, "gauge" is a state, "seconds" a duration."""

    kind: Literal["count", "gauge", "seconds"]
    name: str
    value: float
    tags: Mapping[str, str] = field(default_factory=dict)


def of_step(
    step: str, run_kind: str, result: Mapping[str, Any], seconds: float, calls: Mapping[str, int]
) -> list[Measure]:
    """What one step did. `calls`: requests to each system, log-ins aside."""
    tags = {"step": step, "kind": run_kind}
    measures = [Measure("seconds", "leadsync.step.seconds", seconds, tags)]
    measures += [Measure("count", "leadsync.api.calls", n, {"system": name, **tags}) for name, n in calls.items()]
    return [*measures, *_OF_STEP.get(step, _nothing)(result)]


def of_state(store: StateStore, settings: Settings, clock: Clock) -> list[Measure]:
    """Where the sync stands: backlog, open failures, held plans, quotas, seconds since the last whole cycle."""
    now = clock.now()
    with store.read() as tx:
        groups, held = Outbox(store).depth(tx).to_pylist(), Outbox(store).held(tx).num_rows
        failures = ActivityLog(store).open_count(tx)
        last = last_done(tx)
    measures = [Measure("gauge", "leadsync.failures.open", failures), Measure("gauge", "leadsync.plans.held", held)]
    for direction in ("inbound", "outbound"):
        for state in ("pending", "in_flight", "parked", "held"):
            mine = [group for group in groups if (group["direction"], group["state"]) == (direction, state)]
            tags = {"direction": direction, "state": state}
            oldest = max(((now - group["oldest"]) / timedelta(seconds=1) for group in mine), default=0.0)
            measures.append(Measure("gauge", "leadsync.backlog", sum(group["count"] for group in mine), tags))
            measures.append(Measure("gauge", "leadsync.backlog.oldest_seconds", oldest, tags))
    for system in System:
        usage = SharedBudget(store, system, settings.limits.of(system), clock).usage()
        measures.append(Measure("gauge", "leadsync.quota.used", usage.today, {"system": system.value}))
        measures.append(Measure("gauge", "leadsync.quota.limit", usage.daily_limit, {"system": system.value}))
    if last is not None:
        since = (now - from_micros(last)) / timedelta(seconds=1)
        measures.append(Measure("gauge", "leadsync.last_cycle.seconds_ago", since))
    return measures


def last_done(tx: Transaction) -> int | None:
    """When the last whole cycle ended, in microseconds; looked for from the newest run on, of a hundred thousand."""
    done = sa.select(run.c.finished_at).where(run.c.kind == "cycle", run.c.outcome == "done")
    last: int | None = tx.execute(done.order_by(run.c.started_at.desc()).limit(1)).scalar()
    return last


def _extracted(result: Mapping[str, Any]) -> Iterator[Measure]:
    for stream, counts in result.items():
        if isinstance(counts, Mapping):
            read = sum(counts.get(name, 0) for name in ("read", "changed", "unchanged", "deleted"))
            system = System.MARKETO if stream == _PERSON else System.DYNAMICS
            yield Measure("count", "leadsync.records.read", read, {"table": stream, "system": system.value})


def _merged(result: Mapping[str, Any]) -> Iterator[Measure]:
    yield Measure("count", "leadsync.collisions", result.get("collision", 0))


def _planned(result: Mapping[str, Any]) -> Iterator[Measure]:
    for name, count in (result.get("by_kind") or {}).items():
        direction, _, kind = name.partition("_")
        yield Measure("count", "leadsync.operations.planned", count, {"direction": direction, "operation": kind})


def _enqueued(result: Mapping[str, Any]) -> Iterator[Measure]:
    yield Measure("count", "leadsync.operations.refused", result.get("parked", 0))
    yield Measure("count", "leadsync.operations.held", result.get("held", 0))


def _loaded(result: Mapping[str, Any]) -> Iterator[Measure]:
    for name, count in result.items():
        direction, _, fate = name.partition("_")
        if direction in {"inbound", "outbound"}:
            if fate == "done":
                yield Measure("count", "leadsync.records.written", count, {"direction": direction})
            elif fate in _FAILED:
                yield Measure("count", "leadsync.records.failed", count, {"direction": direction, "fate": fate})


def _nothing(result: Mapping[str, Any]) -> Iterator[Measure]:
    del result
    return iter(())


_OF_STEP = {"extract": _extracted, "merge": _merged, "plan": _planned, "enqueue": _enqueued, "load": _loaded}
