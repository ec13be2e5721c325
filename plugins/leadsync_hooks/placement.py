"""Refuses storage that the workers cannot share (DECISIONS 15)."""

from __future__ import annotations

from collections.abc import Mapping

_ONE_HOST = "LocalExecutor"


def unshared_storage(executor: str, state_url: str, environment: Mapping[str, str]) -> str | None:
    """What has to be set before tasks on several hosts or containers can work together; None when all is well.

    Args:
        executor: Airflow's `[core] executor`, possibly several with aliases.
        state_url: SQLAlchemy URL of the state store.
        environment: of this process; Astro sets ASTRONOMER_ENVIRONMENT in its containers.
    """
    names = {part.split(":")[0].rpartition(".")[2].strip() for part in executor.split(",")}
    one_host = names <= {_ONE_HOST} and not environment.get("ASTRONOMER_ENVIRONMENT")
    if one_host:
        return None
    missing = []
    if state_url.startswith("sqlite"):
        missing.append("LEADSYNC_STATE_URL to a PostgreSQL URL (postgresql+psycopg://user@host/database)")
    if not environment.get("LEADSYNC_STAGING"):
        missing.append("LEADSYNC_STAGING to a place that all of them reach (s3://…, abfs://… or a shared folder)")
    if not missing:
        return None
    return (
        f"tasks run on several hosts or containers here ({', '.join(sorted(names))}), and each would have a state"
        f" of its own: set {' and '.join(missing)}; nothing was read or written"
    )
