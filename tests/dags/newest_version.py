"""The API through which tasks speak with Airflow, in the one version that is spoken here.

Airflow keeps nine, for workers that are older than its server, and builds the routes of all of them before the first
task: 4 s of CPU. Here every task has the server's own code.
"""

from __future__ import annotations


def keep_the_newest_version() -> None:
    """Forget the older versions, and the routes that only they have; before the API is built in this process."""
    from airflow.api_fastapi.execution_api import versions
    from airflow.api_fastapi.execution_api.routes import execution_api_router
    from cadwyn import HeadVersion, Version, VersionBundle
    from cadwyn.route_generation import _DELETED_ROUTE_TAG

    versions.bundle = VersionBundle(HeadVersion(), Version(versions.bundle.versions[0].value))
    routes = execution_api_router.routes
    routes[:] = [route for route in routes if _DELETED_ROUTE_TAG not in getattr(route, "tags", ())]
