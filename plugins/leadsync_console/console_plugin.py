"""Tells Airflow about the web pages. Every Airflow process loads this file, so it imports next to nothing."""

from __future__ import annotations

from typing import Any

from airflow.plugins_manager import AirflowPlugin

from leadsync_hooks.on_demand import OnDemand


class LeadSyncConsole(AirflowPlugin):
    """Pages under `/leadsync`, and the entry *Lead Sync* in the navigation that shows them inside the Airflow UI."""

    name = "leadsync_console"
    fastapi_apps: list[dict[str, Any]] = [  # noqa: RUF012 - so declared by Airflow
        {"app": OnDemand("leadsync_console.pages"), "url_prefix": "/leadsync", "name": "Lead Sync"}
    ]
    external_views: list[dict[str, Any]] = [  # noqa: RUF012 - so declared by Airflow
        {"name": "Lead Sync", "href": "/leadsync/", "destination": "nav", "url_route": "lead-sync"}
    ]
