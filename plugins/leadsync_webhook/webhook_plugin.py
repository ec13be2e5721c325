"""Tells Airflow about the endpoint. Every Airflow process loads this file, so it imports next to nothing."""

from __future__ import annotations

from typing import Any

from airflow.plugins_manager import AirflowPlugin

from leadsync_hooks.on_demand import OnDemand


class LeadSyncWebhook(AirflowPlugin):
    """`/leadsync-webhook`: outside the console's login, because Marketo cannot log in (DECISIONS 28)."""

    name = "leadsync_webhook"
    fastapi_apps: list[dict[str, Any]] = [  # noqa: RUF012 - so declared by Airflow
        {"app": OnDemand("leadsync_webhook.endpoint"), "url_prefix": "/leadsync-webhook", "name": "Lead Sync webhook"}
    ]
