"""`check`: is everything there that a run needs? One line per point, with what to do (R23 in this project's terms)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from include.leadsync.config import field_warnings
from include.leadsync.context import Engine, RunRequest, new_run_id
from include.leadsync.errors import LeadSyncError
from include.leadsync.model import Entity, System
from include.leadsync.preflight import rights, surroundings
from include.leadsync.preflight.native import look_for_native_sync
from include.leadsync.recover import require_setup
from include.leadsync.schema import Schema, current_schema
from include.leadsync.state import Runs


@dataclass(frozen=True)
class Point:
    """One checked point; `detail` of a failed one ends with what to do."""

    name: str
    passed: bool
    detail: str
    rule: str | None = None


def check(engine: Engine) -> list[Point]:
    """All points, in the order in which they build on each other; a failed one stops only what cannot be seen then."""
    seen = _Points()
    seen.look("state store", lambda: _state(engine))
    seen.look("staging", lambda: _staging(engine))
    seen.look(_MARKETO, lambda: f"{engine.marketo.usage()} calls used today", "R23")
    seen.look(_DYNAMICS, lambda: f"signed in as user {engine.dynamics.who_am_i().user_id}", "R23")
    seen.look("native sync", lambda: look_for_native_sync(engine), "D21", _MARKETO)
    seen.look("Marketo rights", lambda: rights.in_marketo(engine), "R23", _MARKETO)
    seen.look("Dynamics user", lambda: rights.user(engine), "R17", _DYNAMICS)
    for entity in Entity:
        seen.look(f"rights on {entity.value}", partial(rights.table, engine, entity), "R23", _DYNAMICS)
        seen.look(f"change tracking of {entity.value}", partial(_tracking, engine, entity), "D91", _DYNAMICS)
    seen.look(_MAP, lambda: _fields(engine), "D67", _MARKETO, _DYNAMICS)
    looking: list[tuple[str, Callable[[Schema], str], str]] = [
        ("rights on tables pointed to", partial(rights.pointed_to, engine), "R21"),
        *((f"columns of {e.value}", partial(_columns, e), "R21") for e in Entity),
        *((f"required columns of {e.value}", partial(_required, e), "D31") for e in Entity),
        *((f"filter of {e.value}", partial(_filter, e), "D68") for e in Entity),
    ]
    for name, look, rule in looking:
        seen.look(name, partial(_with_schema, engine, look), rule, _MAP)
    seen.look("Marketo set-up", lambda: _setup(engine), "D12", _MAP)
    seen.look("request channels", lambda: _channels(engine), "D22", _MARKETO)
    seen.look("partitions", lambda: _partitions(engine), "D20", _MARKETO)
    for system in System:
        seen.look(f"{system.value} quota", partial(surroundings.quota, engine, system), "P7", _CONNECTION[system])
        seen.look(f"{system.value} clock", partial(surroundings.clock, engine, system), "D63")
    return seen.points


_MARKETO, _DYNAMICS, _MAP = "Marketo connection", "Dynamics connection", "field map against both systems"
_CONNECTION = {System.MARKETO: _MARKETO, System.DYNAMICS: _DYNAMICS}


class _Points:
    """The points so far. What needs one that failed is not looked at: it would fail alike, or pass on old knowledge."""

    def __init__(self) -> None:
        self.points: list[Point] = []

    def look(self, name: str, look: Callable[[], str], rule: str | None = None, *needs: str) -> None:
        """Add a point; `needs` are names of earlier ones."""
        first = [point.name for point in self.points if point.name in needs and not point.passed]
        if first:
            self.points.append(Point(name, passed=False, detail=f"not looked at: first {', '.join(first)}", rule=rule))
            return
        try:
            self.points.append(Point(name, passed=True, detail=look(), rule=rule))
        except LeadSyncError as error:
            self.points.append(Point(name, passed=False, detail=str(error), rule=rule))


def _with_schema(engine: Engine, look: Callable[[Schema], str]) -> str:
    return look(current_schema(engine))


def _columns(entity: Entity, schema: Schema) -> str:
    return rights.columns(schema, entity)


def _required(entity: Entity, schema: Schema) -> str:
    return rights.required_columns(schema, entity)


def _filter(entity: Entity, schema: Schema) -> str:
    return rights.filter_column(schema, entity)


def _partitions(engine: Engine) -> str:
    settings = engine.settings.creation
    named = {rule.partition for rule in settings.partitions} | {settings.default_partition} - {None}
    if not named:
        return "none are configured"
    missing = sorted(str(name) for name in named - set(engine.marketo.partitions()))
    if missing:
        raise LeadSyncError(f"Marketo shows this API user no partition {', '.join(missing)}; see creation.partitions")
    return ", ".join(sorted(str(name) for name in named))


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
    counts = ", ".join(f"{len(field_map.fields)} of {entity.value}" for entity, field_map in schema.maps.items())
    aside = [
        f"{entity.value}.{name} set aside: {reason}"
        for entity, field_map in schema.maps.items()
        for name, reason in field_map.quarantined.items()
    ]
    return " · ".join([f"fields: {counts}", *aside, *field_warnings(schema.maps)])


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
    marked = engine.settings.marketo.system_fields.backfilled_at
    if marked not in {field.name for field in current_schema(engine).marketo}:
        return f"look at this: {marked} is missing, so backfills carry no mark (D19); `setup` creates it"
    return "custom fields and activity type are there"
