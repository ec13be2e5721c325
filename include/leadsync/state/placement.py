"""Whether the store fits where the tasks run (DECISIONS 15)."""

from __future__ import annotations

from include.leadsync.errors import ConfigurationInvalid, Problem
from include.leadsync.state.engines import parse_url

ONE_HOST = frozenset({"", "none", "localexecutor", "sequentialexecutor", "debugexecutor", "inprocessexecutor"})
"""Executors whose tasks share one host with the scheduler; anything else counts as several hosts."""

_LOCAL_STAGING = ("", "file", "local")


def assert_fits(url: str, staging_url: str, executor: str) -> None:
    """Refuse a SQLite store and local staging where tasks run on several hosts or in several containers.

    `executor`: as Airflow's `[core] executor` names it (a class path and a comma-separated list will do), empty
    for the command line; any other word, say "containers", for several hosts without an executor.

    Raises:
        ConfigurationInvalid: names each of the two that must be shared, and what to set.
    """
    several = [name for name in executor.split(",") if _plain(name) not in ONE_HOST]
    if not several:
        return
    problems = []
    where = f"on several hosts or containers ({', '.join(several)})"
    if parse_url(url).get_backend_name() == "sqlite":
        problems.append(
            Problem("environment", "LEADSYNC_STATE_URL", f"SQLite {where}", "postgresql://user:password@host/database")
        )
    if staging_url.partition("://")[0 if "://" in staging_url else 1] in _LOCAL_STAGING:
        expected = "a place all of them reach: s3://bucket/path, abfs://container@account/path, …"
        problems.append(Problem("environment", "LEADSYNC_STAGING", f"a local folder {where}", expected))
    if problems:
        raise ConfigurationInvalid(problems)


def _plain(executor: str) -> str:
    return executor.strip().rpartition(".")[2].rpartition(":")[2].lower()
