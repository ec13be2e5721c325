"""Both services, as a page may ask them: after a click, on the shared budget, never by just looking."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

if TYPE_CHECKING:
    from include.leadsync.state import StateStore


def looked_up(state: StateStore, text: str) -> tuple[list[dict[str, Any]], list[tuple[str, str]]]:
    """Whom an address or a name fits, and (system, reason) for each that could not be asked."""
    from airflow.sdk.exceptions import AirflowException

    from include.leadsync.clock import SystemClock
    from include.leadsync.config import Paths, load_settings
    from include.leadsync.console.lookup import WebEngine, look_up
    from include.leadsync.console.run_history import told
    from include.leadsync.errors import FixConfiguration, redact
    from leadsync_hooks.engine import connections

    paths = Paths.from_environment()
    try:
        reached = connections()
    except (AirflowException, FixConfiguration) as error:
        return [], [("Airflow", told(redact(str(error))) or "")]
    engine = WebEngine(load_settings(paths.config), paths, reached, state, SystemClock())
    found, troubles = look_up(engine, text)
    return found, [(system, told(str(error)) or "") for system, error in troubles]


def record_address(entity: str, crm_id: str) -> str | None:
    """Where Dynamics shows a record; None when the connection is not set up."""
    from airflow.sdk.exceptions import AirflowException

    from include.leadsync.errors import LeadSyncError
    from leadsync_hooks.dynamics import DynamicsHook

    try:
        host = DynamicsHook().get_conn().host
    except (LeadSyncError, AirflowException):
        return None
    return f"{host.rstrip('/')}/main.aspx?{urlencode({'pagetype': 'entityrecord', 'etn': entity, 'id': crm_id})}"
