"""Figures reach Airflow's metrics, ids reach its log lines, counts reach the events of assets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.contextvars import get_contextvars

from include.leadsync import logs
from include.leadsync.measures import MEASURED as ENGINES
from include.leadsync.measures import Measure
from leadsync_hooks import assets
from leadsync_hooks.airflow_names import stats
from leadsync_hooks.engine import bind_logs
from leadsync_hooks.measuring import MEASURED, emit


class Backend:
    """What a StatsD or OpenTelemetry logger of Airflow is asked."""

    def __init__(self) -> None:
        self.got: list[tuple[Any, ...]] = []

    def incr(self, stat: str, **given: Any) -> None:
        self.got.append(("incr", stat, given["count"], given["tags"]))

    def gauge(self, stat: str, value: float, **given: Any) -> None:
        self.got.append(("gauge", stat, value, given["tags"]))

    def timing(self, stat: str, dt: timedelta, **given: Any) -> None:
        self.got.append(("timing", stat, dt, given["tags"]))


@pytest.fixture
def backend() -> Iterator[Backend]:
    from airflow.sdk._shared.observability.metrics import stats as held

    before = (held._factory, held._backend, held._export_legacy_names)
    recorder: Any = Backend()
    stats.initialize(factory=lambda: recorder, export_legacy_names=True)
    yield recorder
    held._factory, held._backend, held._export_legacy_names = before


def test_measures_become_counters_gauges_and_timers_of_airflow(backend: Backend) -> None:
    tags = {"direction": "outbound"}
    measures = [
        Measure("count", "leadsync.records.written", 3, tags),
        Measure("gauge", "leadsync.backlog", 7, tags),
        Measure("seconds", "leadsync.step.seconds", 1.5, tags),
    ]
    emit(asdict(measure) for measure in measures)
    assert backend.got == [
        ("incr", "leadsync.records.written", 3, tags),
        ("gauge", "leadsync.backlog", 7, tags),
        ("timing", "leadsync.step.seconds", timedelta(seconds=1.5), tags),
    ]


def test_engine_and_airflow_agree_where_measures_are() -> None:
    assert MEASURED == ENGINES


def test_ids_that_the_engine_binds_are_in_airflows_log_context_while_they_hold() -> None:
    bind_logs()
    bind_logs()
    try:
        assert len(logs.BRIDGES) == 1
        with logs.about(run="r1", step="load"), logs.about(link=7, request=None):
            assert get_contextvars() == {"run": "r1", "step": "load", "link": 7}
        assert get_contextvars() == {}
    finally:
        logs.BRIDGES.clear()


def test_the_event_of_an_asset_has_the_run_and_its_counts_and_nothing_else() -> None:
    events = {asset: SimpleNamespace(extra={}) for asset in assets.BOTH_SYSTEMS}
    assets.describe(
        events,
        assets.BOTH_SYSTEMS,
        "r1",
        {"outbound_done": 3, "handed_over": False, "report": "/a/path", "person": {"read": 1}},
    )
    assert [event.extra for event in events.values()] == [{"run": "r1", "outbound_done": 3}] * 3
