"""From an Airflow run to what the engine is asked: pure functions over plain values."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from include.leadsync.context import RunRequest

RECONCILE, UNDO = "reconcile", "undo"
BOTH, CONFIGURED = "both", "configured"
"""What forms say for no choice."""
_WORDS = {"yes": True, "true": True, "on": True, "1": True, "no": False, "false": False, "off": False, "0": False}


def engine_run_id(dag_id: str, airflow_run_id: str, run_after: datetime, cleared: int = 0) -> str:
    """`YYYYMMDDTHHMMSSZ-xxxxxx`: the same for every task and every retry of one Airflow run, sorted by time.

    `cleared`: how often Airflow's run was cleared. Begun anew it is another run of the engine, which leaves the
    report of the one before as it is: Airflow's Backfill clears runs that it repeats.
    """
    name = f"{dag_id}/{airflow_run_id}" + (f"#{cleared}" if cleared else "")
    tail = hashlib.sha256(name.encode()).hexdigest()[:6]
    return f"{run_after.astimezone(UTC):%Y%m%dT%H%M%SZ}-{tail}"


def is_switched_on(text: str) -> bool:
    """A yes/no variable; anything that is neither counts as yes, because the switch it guards is a safety."""
    return _WORDS.get(text.strip().lower(), bool(text.strip()))


def run_values(
    kind: str,
    params: Mapping[str, Any],
    *,
    run_id: str,
    dry_run: bool = False,
    interval: tuple[datetime, datetime] | None = None,
) -> dict[str, Any]:
    """The engine's RunRequest as plain JSON values, fit for XCom; `request_of` makes the request of them.

    A cycle with a selection (window, entity or persons) becomes a backfill: it reads the selection afresh and
    leaves the cursors alone.

    Args:
        kind: "cycle", "backfill", "request", "reconcile" or "undo".
        params: the form of the DAG; missing keys mean their defaults.
        run_id: from `engine_run_id`.
        dry_run: plan only, whatever the form says.
        interval: of a run that Airflow's own Backfill made; it is the window then (DECISIONS 27).

    Raises:
        ValueError: the window ends before it begins.
    """
    since, until = (_moment(params.get(name)) for name in ("since", "until"))
    if interval is not None and kind != RECONCILE:  # a full compare has no window
        kind, (since, until) = "backfill", interval
    if since and until and since >= until:
        raise ValueError(f"the window is empty: since {since.isoformat()} is not before until {until.isoformat()}")
    entity, direction = params.get("entity"), params.get("direction")
    values: dict[str, Any] = {
        "run_id": run_id,
        "since": since.isoformat() if since else None,
        "until": until.isoformat() if until else None,
        "entity": None if entity in {None, BOTH} else entity,
        "persons": list(dict.fromkeys(int(person) for person in params.get("persons") or ())),
        "fields": list(params.get("fields") or ()),
        "dry_run": dry_run or bool(params.get("dry_run")),
        "approve": params.get("approve") or None,
        "direction": None if direction in {None, CONFIGURED} else direction,
        "window_on": params.get("window_on") or "modified",
    }
    if kind == UNDO:
        values["undoes"] = params["run"]
    selected = any(values[name] for name in ("since", "until", "entity", "persons"))
    return {"kind": "backfill" if kind == "cycle" and selected else kind, **values}


def request_of(values: Mapping[str, Any]) -> RunRequest:
    """The engine's own form of `run_values`."""
    from include.leadsync.context import RunRequest

    lists = {name: tuple(values.get(name) or ()) for name in ("persons", "fields")}
    return RunRequest(**{**values, **lists})


def _moment(value: str | datetime | None) -> datetime | None:
    """ISO 8601; without an offset it is UTC."""
    if value is None or value == "":
        return None
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
