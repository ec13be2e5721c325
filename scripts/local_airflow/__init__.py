"""Airflow on this machine without Docker, Astro or root: SQLite, LocalExecutor, simple login.

`LocalAirflow` starts it, waits until it is healthy, speaks to it over REST and leaves nothing running.
"""

from scripts.local_airflow.rest import AirflowRest, DagRun, RestFailed
from scripts.local_airflow.server import LocalAirflow, StartFailed

__all__ = ["AirflowRest", "DagRun", "LocalAirflow", "RestFailed", "StartFailed"]
