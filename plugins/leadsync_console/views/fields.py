"""The field map: as configured, with what runs found of each field; and changed, after a look at what follows."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, Depends, Form, HTTPException, Query
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from include.leadsync.config import Paths
from include.leadsync.console import map_impact, map_saving
from include.leadsync.console.asking import QuestionInvalid, choice_of
from include.leadsync.console.field_table import field_table
from include.leadsync.console.known_fields import choosable, known_fields, suggested
from include.leadsync.console.map_proposal import ACTIONS, MapChange, Proposal, digest, propose
from include.leadsync.console.map_saving import FileChanged, NotWritable
from include.leadsync.fields.compatibility import MARKETO_TYPES
from include.leadsync.model import Entity, Flow, Winner
from leadsync_console.access import may_write
from leadsync_console.audit import audited
from leadsync_console.page import HEADERS, Page, PageDep
from leadsync_console.services import impact_of_added, metadata_afresh
from leadsync_console.state import config_body, settings, store
from leadsync_hooks.engine import executor

router = APIRouter()
_ENTITIES = tuple(entity.value for entity in Entity)
_FLOWS = tuple(flow.value for flow in Flow)
_WINNERS = tuple(winner.value for winner in Winner)
_TYPES = tuple(kind.value for kind in MARKETO_TYPES)
_Text = Annotated[str, Query(max_length=300)]
_FormText = Annotated[str, Form(max_length=300)]


@router.get("/fields")
def fields(page: PageDep, entity: _Text = "") -> HTMLResponse:
    """All entries, or those of one entity."""
    wanted = choice_of("entity", entity, _ENTITIES)
    configured = settings()
    with store() as state:
        rows = field_table(configured, state)
    return page.show(
        "fields.html", rows=[row for row in rows if wanted in (None, row["entity"])], entity=wanted, entities=_ENTITIES
    )


@router.get("/fields/new")
def new(page: PageDep, entity: _Text = "lead", live: _Text = "") -> HTMLResponse:
    """The form for a pair that joins, with what both systems offer; they are asked afresh on a click only."""
    _writers_only(page)
    of = Entity(choice_of("entity", entity, _ENTITIES) or Entity.LEAD)
    configured = settings()
    with store() as state:
        trouble = metadata_afresh(state) if live == "1" else None
        known = known_fields(state)
    free = choosable(configured, known, of) if known else {"marketo": [], "dynamics": []}
    return page.show(
        "field_new.html",
        entity=of.value,
        entities=_ENTITIES,
        free=free,
        suggestions=suggested(known, of, free) if known else [],
        as_of=known.as_of if known else None,
        trouble=trouble,
        flows=_FLOWS,
        winners=_WINNERS,
        types=_TYPES,
    )


@router.get("/fields/entry")
def entry(page: PageDep, entity: _Text = "", field: _Text = "") -> HTMLResponse:
    """The form for a pair that is there."""
    _writers_only(page)
    of = choice_of("entity", entity, _ENTITIES)
    found = settings().fields.of(Entity(of)).get(field) if of else None
    if found is None:
        raise HTTPException(404, page.say("fields.unknown"))
    return page.show("field_entry.html", entity=of, field=field, entry=found, flows=_FLOWS, winners=_WINNERS)


def _wanted(
    action: str,
    entity: str,
    field: str,
    column: str,
    kind: str,
    direction: str,
    winner: str,
    consent: str,
) -> MapChange:
    """What a form says. Raises `QuestionInvalid`."""
    what, of = choice_of("action", action, ACTIONS), choice_of("entity", entity, _ENTITIES)
    if what is None or of is None or not field.strip().isidentifier():
        raise QuestionInvalid("field", "an action, an object and the REST name of a field")
    return MapChange(
        next(one for one in ACTIONS if one == what),
        Entity(of),
        field.strip(),
        column.strip() or None,
        choice_of("type", kind, _TYPES),
        choice_of("direction", direction, _FLOWS) or Flow.BOTH.value,
        choice_of("winner", winner, _WINNERS),
        consent == "1",
    )


def _asked(
    action: _Text = "",
    entity: _Text = "",
    field: _Text = "",
    column: _Text = "",
    type: _Text = "",  # noqa: A002 - as the key of the map is called
    direction: _Text = "",
    winner: _Text = "",
    consent: _Text = "",
) -> MapChange:
    return _wanted(action, entity, field, column, type, direction, winner, consent)


def _sent(
    action: _FormText = "",
    entity: _FormText = "",
    field: _FormText = "",
    column: _FormText = "",
    type: _FormText = "",  # noqa: A002
    direction: _FormText = "",
    winner: _FormText = "",
    consent: _FormText = "",
) -> MapChange:
    return _wanted(action, entity, field, column, type, direction, winner, consent)


@router.get("/fields/proposal")
def proposal(page: PageDep, change: Annotated[MapChange, Depends(_asked)]) -> HTMLResponse:
    """What a change would do: the file's diff, every mistake, and how many records it touches. Nothing is changed."""
    _writers_only(page)
    return _proposed(page, change)


@router.get("/fields/leadsync.yaml")
def file(page: PageDep, change: Annotated[MapChange, Depends(_asked)]) -> Response:
    """The whole file as it would be, for where it cannot be saved from here."""
    _writers_only(page)
    with store() as state:
        found = propose(state, Paths.from_environment().config, config_body(), change)
    if found.problems:
        raise HTTPException(409, page.say("fields.has_problems"))
    name = {"Content-Disposition": 'attachment; filename="leadsync.yaml"'}
    return Response(found.body, media_type="application/yaml", headers={**HEADERS, **name})


@router.post("/fields", dependencies=[Depends(may_write)], response_model=None)
def save(
    page: PageDep,
    user: GetUserDep,
    change: Annotated[MapChange, Depends(_sent)],
    was: Annotated[str, Form(pattern="^[0-9a-f]{16}$")],
) -> HTMLResponse | RedirectResponse:
    """Save what was looked at, on the file that was looked at; else show it anew on the file as it is now."""
    path = Paths.from_environment().config
    with store() as state:
        found = propose(state, path, config_body(), change)
    if found.was != was:
        return _proposed(page, change, changed=True)
    if found.problems:
        return _proposed(page, change, status=409)
    if reason := _obstacle():
        raise NotWritable(reason)
    after = digest(found.body)
    lines = [f"{sign}{line}" for sign, line in found.diff if sign in "+-"][:20]
    detail = {"action": change.action, "entity": change.entity.value, "field": change.name, "lines": lines}
    try:
        with audited(user, "fields", {**detail, "before": was, "after": after}):
            map_saving.save(path, was, found.body)
    except FileChanged:
        return _proposed(page, change, changed=True)
    return page.back_to(f"/fields?entity={change.entity.value}", "map_saved")


def _proposed(page: Page, change: MapChange, *, changed: bool = False, status: int = 200) -> HTMLResponse:
    """`changed`: somebody else has saved since the form was shown."""
    metadata: str | None = None
    with store() as state:
        if not changed and _is_old(state, page):
            metadata = metadata_afresh(state)
        found = propose(state, Paths.from_environment().config, config_body(), change)
        away = metadata is not None and found.change.action == "add"  # who did not answer just now is not asked again
        impact, trouble = (None, metadata) if away else _impact(state, found)
    return page.show(
        "field_proposal.html",
        status=409 if changed else status,
        changed=changed,
        proposal=found,
        change=found.change,
        impact=impact,
        trouble=trouble,
        metadata_trouble=metadata,
        obstacle=_obstacle(),
        line=lambda problem: problem.file.rpartition(":")[2] if ":" in problem.file else "",
        backfill=settings().backfill.direction,
    )


def _is_old(state: Any, page: Page) -> bool:
    """Whether a run would read the metadata anew by now."""
    known = known_fields(state)
    return known is None or page.now - known.as_of > timedelta(minutes=settings().metadata_minutes)


def _impact(state: Any, found: Proposal) -> tuple[dict[str, Any] | None, str | None]:
    if found.change.action != "add":
        return map_impact.of_synced(state, found.change), None
    if found.problems or found.pair is None:
        return None, None
    return impact_of_added(state, found)


def _obstacle() -> str | None:
    paths = Paths.from_environment()
    return map_saving.obstacle(paths.config, executor(), shared=paths.config_shared)


def _writers_only(page: Page) -> None:
    if not page.can_write:
        raise HTTPException(403, page.say("fields.no_right"))
