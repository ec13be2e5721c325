"""Both services, as a page may ask them: after a click, on the shared budget, never by just looking."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

if TYPE_CHECKING:
    from include.leadsync.console.lookup import WebEngine
    from include.leadsync.console.map_proposal import Proposal
    from include.leadsync.state import StateStore


def looked_up(state: StateStore, text: str) -> tuple[list[dict[str, Any]], list[tuple[str, str]]]:
    """Whom an address or a name fits, and (system, reason) for each that could not be asked."""
    from include.leadsync.console.lookup import look_up
    from include.leadsync.console.run_history import told

    engine, trouble = _engine(state)
    if engine is None:
        return [], [("Airflow", trouble)]
    found, troubles = look_up(engine, text)
    return found, [(system, told(str(error)) or "") for system, error in troubles]


def metadata_afresh(state: StateStore) -> str | None:
    """Read and keep both systems' metadata; returns why it could not be read, None when it was."""
    from include.leadsync.console.known_fields import read_afresh
    from include.leadsync.console.run_history import told
    from include.leadsync.errors import LeadSyncError

    engine, trouble = _engine(state)
    if engine is None:
        return trouble
    try:
        read_afresh(engine)
    except LeadSyncError as error:
        return told(str(error))
    return None


def impact_of_added(state: StateStore, proposal: Proposal) -> tuple[dict[str, Any] | None, str | None]:
    """What the backfill of a new field would write, by a sample of the links; or why nobody could be asked."""
    from include.leadsync.console.map_impact import of_added
    from include.leadsync.console.run_history import told
    from include.leadsync.errors import LeadSyncError

    engine, trouble = _engine(state)
    if engine is None:
        return None, trouble
    try:
        return of_added(engine, proposal), None
    except LeadSyncError as error:
        return None, told(str(error))


def _engine(state: StateStore) -> tuple[WebEngine | None, str]:
    """An engine on that store; or why Airflow's connections cannot be used."""
    from airflow.sdk.exceptions import AirflowException

    from include.leadsync.clock import SystemClock
    from include.leadsync.config import Paths, load_settings
    from include.leadsync.console.lookup import WebEngine
    from include.leadsync.console.run_history import told
    from include.leadsync.errors import FixConfiguration, redact
    from leadsync_hooks.engine import connections

    paths = Paths.from_environment()
    try:
        reached = connections()
    except (AirflowException, FixConfiguration) as error:
        return None, told(redact(str(error))) or ""
    return WebEngine(load_settings(paths.config), paths, reached, state, SystemClock()), ""


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
