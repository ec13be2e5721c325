"""`check`: is everything there that a run needs? One line per point, with what to do (R23 in this project's terms)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from include.leadsync.config import field_warnings
from include.leadsync.context import Engine, RunRequest, new_run_id
from include.leadsync.errors import LeadSyncError
from include.leadsync.model import Entity
from include.leadsync.recover import require_setup
from include.leadsync.schema import current_schema
from include.leadsync.state import Runs


@dataclass(frozen=True)
class Point:
    """One checked point."""

    name: str
    passed: bool
    detail: str


def check(engine: Engine) -> list[Point]:
    """All points, in the order in which they build on each other; a failed one does not stop the others."""
    return [
        _point("state store", lambda: _state(engine)),
        _point("staging", lambda: _staging(engine)),
        _point("Marketo connection", lambda: f"{engine.marketo.usage()} calls used today"),
        _point("Dynamics connection", lambda: f"signed in as user {engine.dynamics.who_am_i().user_id}"),
        *(_point(f"change tracking of {entity.value}", partial(_tracking, engine, entity)) for entity in Entity),
        _point("field map against both systems", lambda: _fields(engine)),
        _point("Marketo set-up", lambda: _setup(engine)),
        _point("request channels", lambda: _channels(engine)),
    ]


def _point(name: str, look: Callable[[], str]) -> Point:
    try:
        return Point(name, passed=True, detail=look())
    except LeadSyncError as error:
        return Point(name, passed=False, detail=str(error))


def _state(engine: Engine) -> str:
    latest = Runs(engine.store).latest()
    return f"open; last run {latest.run_id} ended {latest.outcome or 'not yet'}" if latest else "open; no run yet"


def _staging(engine: Engine) -> str:
    staging = engine.staging(RunRequest(new_run_id(engine.clock)))
    staging.write_text("check.txt", "written by `check`")
    staging.discard()
    return "can be written"


def _tracking(engine: Engine, entity: Entity) -> str:
    if not engine.dynamics.change_tracking_enabled(entity):
        raise LeadSyncError(
            f"change tracking is off for {entity.value}; an admin can switch it on in the table's settings"
        )
    return "on"


def _fields(engine: Engine) -> str:
    schema = current_schema(engine, refresh=True)
    parts = []
    for entity, field_map in schema.maps.items():
        aside = (
            f", set aside: {'; '.join(f'{k} ({v})' for k, v in field_map.quarantined.items())}"
            if field_map.quarantined
            else ""
        )
        parts.append(f"{entity.value}: {len(field_map.fields)} fields{aside}")
    return " · ".join([*parts, *field_warnings(schema.maps)])


def _channels(engine: Engine) -> str:
    """Lists exist; request fields exist and can be searched (D22)."""
    settings = engine.settings.requests
    fields = {field.name: field for field in engine.marketo.describe()} if settings.fields else {}
    wrong = [f"no static list {name!r}" for name in settings.lists if engine.marketo.find_list(name) is None]
    wrong += [f"no field {name!r}" for name in settings.fields if name not in fields]
    found = [fields[name] for name in settings.fields if name in fields]
    wrong += [f"no way to search for {field.name!r}" for field in found if not field.searchable]
    if wrong:
        remedy = "create them, or take them out of `requests` in leadsync.yaml"
        raise LeadSyncError(f"Marketo has {'; '.join(wrong)}: {remedy}")
    return f"{len(settings.lists)} lists, {len(settings.fields)} fields"


def _setup(engine: Engine) -> str:
    require_setup(engine, current_schema(engine))
    name = engine.settings.marketo.activity_type
    if name not in {kind.api_name for kind in engine.marketo.activity_types()}:
        raise LeadSyncError(f"the custom activity type {name!r} is missing; run `python -m include.leadsync setup`")
    return "custom fields and activity type are there"
