"""Steps as OpenLineage sees them: which datasets of which system each one reads and writes.

Names follow OpenLineage's convention: the namespace is the system, the name the object in it. No name holds a
credential, and no event a value.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from leadsync_hooks.airflow_names import lineage_event

if TYPE_CHECKING:
    from include.leadsync import model

Dataset = tuple[str, str]
_TABLES = ("lead", "contact")


def datasets(
    connections: Mapping[model.System, model.Connection], staging_url: str, state_url: str
) -> dict[str, Dataset]:
    """Everything that a run touches, by its short name: person, lead, contact, changes, plan, outbox."""
    from include.leadsync.model import System

    marketo, dynamics = (urlsplit(connections[system].host).hostname for system in (System.MARKETO, System.DYNAMICS))
    space, folder = _folder(staging_url)
    return {
        "person": (f"marketo://{marketo}", "leads"),
        **{table: (f"dataverse://{dynamics}", table) for table in _TABLES},
        "changes": (space, f"{folder}/changes"),
        "plan": (space, f"{folder}/plan"),
        "outbox": _table(state_url),
    }


def flow(step: str, stream: str | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Short names of what a step reads and writes; the same as the tasks' inlets and outlets say."""
    everything = ("person", *_TABLES)
    flows: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
        "compare": (everything, ("changes",)),
        "extract": ((stream or "person",), ("changes",)),
        "plan": (("changes",), ("plan",)),
        "enqueue": (("plan",), ("outbox",)),
        "load": (("outbox",), everything),
        "request": (("person",), everything),
    }
    return flows.get(step, ((), ()))


def event_of(
    step: str, stream: str | None, run_id: str, result: Mapping[str, Any], places: Mapping[str, Dataset]
) -> Any:
    """What the OpenLineage provider sends for one finished step; `result` is what the step returned."""
    read, written = flow(step, stream)
    rows = {"outbox": result.get("operations"), "plan": result.get("field_writes")}
    if step == "load":
        rows["person"] = result.get("inbound_done", 0)
    outputs = {places[name]: rows.get(name) if isinstance(rows.get(name), int) else None for name in written}
    return lineage_event((places[name] for name in read), outputs, run_id)


def _folder(url: str) -> Dataset:
    """`s3://bucket` and the key below it; `file` and the path of a local folder."""
    parts = urlsplit(url)
    if not parts.scheme or parts.scheme == "file":
        return "file", (parts.path or url).rstrip("/")
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}", parts.path.strip("/") or "."


def _table(url: str) -> Dataset:
    """The table of operations in the state store."""
    from sqlalchemy import make_url

    parts = make_url(url)
    if parts.get_backend_name() == "sqlite":
        return "file", str(parts.database)
    return f"postgres://{parts.host}:{parts.port or 5432}", f"{parts.database}.public.operation"
