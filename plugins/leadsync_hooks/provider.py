"""What Airflow is told about the connection types `marketo` and `dynamics`.

A connection type can only be registered by a provider, found through the entry point in
`leadsync_provider-0.1.0.dist-info` beside this package; plugins/ must be on PYTHONPATH when Airflow starts.
"""

from __future__ import annotations

from typing import Any

_AUTHORITY = "https://login.microsoftonline.com"
_VERIFY = {
    "label": "Certificate authorities",
    "schema": {"type": ["string", "null"]},
    "description": "Path of a CA file; empty uses the usual ones",
}


def get_provider_info() -> dict[str, Any]:
    """Airflow's provider description: hooks, connection types and the forms of the UI."""
    return {
        "package-name": "leadsync-provider",
        "name": "Lead Sync",
        "description": "Connections to Adobe Marketo Engage and Microsoft Dynamics 365.",
        "connection-types": [_marketo(), _dynamics()],
    }


def _marketo() -> dict[str, Any]:
    return {
        "connection-type": "marketo",
        "hook-class-name": "leadsync_hooks.marketo.MarketoHook",
        "hook-name": "Marketo",
        "conn-fields": {"verify": _VERIFY},
        "ui-field-behaviour": {
            "hidden-fields": ["schema", "port"],
            "relabeling": {"host": "Base URL", "login": "Client Id", "password": "Client Secret"},
            "placeholders": {
                "host": "https://123-ABC-456.mktorest.com (without /rest)",
                "login": "Admin > LaunchPoint > your service > Client Id",
                "password": "Client Secret of the same service",
            },
        },
    }


def _dynamics() -> dict[str, Any]:
    return {
        "connection-type": "dynamics",
        "hook-class-name": "leadsync_hooks.dynamics.DynamicsHook",
        "hook-name": "Microsoft Dynamics 365",
        "conn-fields": {
            "tenant_id": {
                "label": "Tenant ID",
                "schema": {"type": ["string", "null"]},
                "description": "Directory (tenant) ID of the app registration",
            },
            "authority": {
                "label": "Login authority",
                "schema": {"type": ["string", "null"], "default": _AUTHORITY},
                "description": "Another one only for national clouds and the sandbox",
            },
            "verify": _VERIFY,
        },
        "ui-field-behaviour": {
            "hidden-fields": ["schema", "port"],
            "relabeling": {"host": "Organisation URL", "login": "Client ID", "password": "Client Secret"},
            "placeholders": {
                "host": "https://contoso.crm.dynamics.com",
                "login": "Application (client) ID of the app registration",
                "password": "Value of a client secret of that app",
            },
        },
    }
