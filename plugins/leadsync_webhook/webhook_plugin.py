"""Tells Airflow about the endpoint. Every Airflow process loads this file, so it imports next to nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from functools import cached_property
from typing import Any

from airflow.plugins_manager import AirflowPlugin

_Message = MutableMapping[str, Any]
_App = Callable[[_Message, Callable[[], Awaitable[_Message]], Callable[[_Message], Awaitable[None]]], Awaitable[None]]


class EndpointOnDemand:
    """The ASGI app, built on the first request."""

    @cached_property
    def _app(self) -> _App:
        from leadsync_webhook.endpoint import build

        return build()

    async def __call__(
        self,
        scope: _Message,
        receive: Callable[[], Awaitable[_Message]],
        send: Callable[[_Message], Awaitable[None]],
    ) -> None:
        """Hand the request on."""
        await self._app(scope, receive, send)


class LeadSyncWebhook(AirflowPlugin):
    """`/leadsync-webhook`: outside the console's login, because Marketo cannot log in (DECISIONS 28)."""

    name = "leadsync_webhook"
    fastapi_apps: list[dict[str, Any]] = [  # noqa: RUF012 - so declared by Airflow
        {"app": EndpointOnDemand(), "url_prefix": "/leadsync-webhook", "name": "Lead Sync webhook"}
    ]
