"""What the sync reads and writes, as Airflow assets: their graph is the lineage, their events start other DAGs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from leadsync_hooks.airflow_names import Asset

PERSONS = Asset(name="marketo_persons", uri="x-leadsync://marketo/persons")
LEADS = Asset(name="dynamics_leads", uri="x-leadsync://dynamics/leads")
CONTACTS = Asset(name="dynamics_contacts", uri="x-leadsync://dynamics/contacts")
STAGED = Asset(name="leadsync_staging", uri="x-leadsync://staging/changes")
PLAN = Asset(name="leadsync_plan", uri="x-leadsync://staging/plan")
OUTBOX = Asset(name="leadsync_outbox", uri="x-leadsync://state/outbox")

BOTH_SYSTEMS = [PERSONS, LEADS, CONTACTS]


def describe(events: Any, outlets: list[Asset], run_id: str, counts: Mapping[str, Any]) -> None:
    """Put the engine's run id and the counts of a step's result into the events of its outlets.

    `events`: `outlet_events` of the task's context.
    """
    plain = {name: count for name, count in counts.items() if type(count) is int}
    for asset in outlets:
        events[asset].extra = {"run": run_id, **plain}
