"""The Airflow connection type `marketo`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leadsync_hooks.service_hook import ServiceHook

if TYPE_CHECKING:
    from include.leadsync.clients.marketo import MarketoClient


class MarketoHook(ServiceHook):
    """Credentials of a Marketo API service (LaunchPoint): host, client id, client secret."""

    conn_name_attr = "marketo_conn_id"
    default_conn_name = "marketo_default"
    conn_type = "marketo"
    hook_name = "Marketo"

    def __init__(self, marketo_conn_id: str = default_conn_name) -> None:
        super().__init__(marketo_conn_id)

    def client(self) -> MarketoClient:
        """A client without a budget, for a handful of calls by hand, whose caller looks on; runs use the engine's."""
        from include.leadsync.clients.budget import NullBudget
        from include.leadsync.clients.marketo import MarketoClient
        from include.leadsync.clients.retry import RetryPolicy
        from include.leadsync.clients.transport import RequestsTransport
        from include.leadsync.clock import SystemClock

        return MarketoClient(
            self.get_conn(),
            transport=RequestsTransport(),
            budget=NullBudget(),
            clock=SystemClock(),
            retry=RetryPolicy(attempts=3),
        )

    def _greet(self) -> str:
        fields = self.client().describe()
        return f"Marketo answers; the person database has {len(fields)} fields that this API user can see."
