"""The Airflow connection type `dynamics`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leadsync_hooks.service_hook import ServiceHook

if TYPE_CHECKING:
    from include.leadsync.clients.dynamics import DynamicsClient


class DynamicsHook(ServiceHook):
    """Credentials of an app registration with an application user in the organisation."""

    conn_name_attr = "dynamics_conn_id"
    default_conn_name = "dynamics_default"
    conn_type = "dynamics"
    hook_name = "Microsoft Dynamics 365"

    def __init__(self, dynamics_conn_id: str = default_conn_name) -> None:
        super().__init__(dynamics_conn_id)

    def client(self) -> DynamicsClient:
        """A client without a budget, for a handful of calls by hand, whose caller looks on; runs use the engine's."""
        from include.leadsync.clients.budget import NullBudget
        from include.leadsync.clients.dynamics import DynamicsClient
        from include.leadsync.clients.retry import RetryPolicy
        from include.leadsync.clients.transport import RequestsTransport
        from include.leadsync.clock import SystemClock

        return DynamicsClient(
            self.get_conn(),
            transport=RequestsTransport(),
            budget=NullBudget(),
            clock=SystemClock(),
            retry=RetryPolicy(attempts=3),
        )

    def _greet(self) -> str:
        client = self.client()
        me = client.who_am_i()
        return f"Dynamics {client.version()} answers; this application is user {me.user_id}."
