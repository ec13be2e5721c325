"""The engine's figures → Airflow's metrics interface (StatsD or OpenTelemetry, as [metrics] in airflow.cfg says)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from leadsync_hooks.airflow_names import stats

MEASURED = "measured"
"""Key under which the engine hands measures over (`include.leadsync.measures`)."""


def emit(measures: Iterable[Mapping[str, Any]]) -> None:
    """Send each as counter, gauge or timer; without a metrics backend this does nothing."""
    for measure in measures:
        name, value, tags = measure["name"], measure["value"], dict(measure["tags"])
        if measure["kind"] == "count":
            stats.incr(name, int(value), tags=tags)
        elif measure["kind"] == "gauge":
            stats.gauge(name, value, tags=tags)
        else:
            stats.timing(name, timedelta(seconds=value), tags=tags)
