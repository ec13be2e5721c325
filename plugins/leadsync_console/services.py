"""Both services, as a page may ask them: after a click, on the shared budget, never by just looking."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where people open both systems; None where that is not known."""

    marketo: str | None
    dynamics: str | None

    def person(self, person_id: int | None) -> str | None:
        """Where Marketo shows a person: the detail page of its lead database."""
        if self.marketo is None or person_id is None:
            return None
        return f"{self.marketo}/leadDatabase/loadLeadDetail?{urlencode({'leadId': person_id})}"

    def record(self, entity: str | None, crm_id: str | None) -> str | None:
        """Where Dynamics shows a record."""
        if self.dynamics is None or not entity or not crm_id:
            return None
        return f"{self.dynamics}/main.aspx?{urlencode({'pagetype': 'entityrecord', 'etn': entity, 'id': crm_id})}"


def addresses() -> Addresses:
    """Marketo's as leadsync.yaml says: its REST host does not tell; Dynamics' is that of the connection."""
    from airflow.sdk.exceptions import AirflowException

    from include.leadsync.errors import LeadSyncError
    from leadsync_console.state import settings
    from leadsync_hooks.dynamics import DynamicsHook

    marketo = dynamics = None
    with suppress(LeadSyncError):  # a page is worth showing without its links
        marketo = settings().marketo.web_address
    with suppress(LeadSyncError, AirflowException):
        dynamics = DynamicsHook().get_conn().host.rstrip("/")
    return Addresses(marketo, dynamics)
