"""Where two different values met (R40–R43)."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse

from include.leadsync.console import collisions as model
from include.leadsync.console.asking import choice_of, number_of, text_of
from leadsync_console.page import PageDep
from leadsync_console.state import store

router = APIRouter()
_ENTITIES = ("lead", "contact")
_WINNERS = ("marketo", "dynamics")
_Text = Annotated[str, Query(max_length=500)]


@router.get("/collisions")
def collisions(
    page: PageDep,
    field: _Text = "",
    entity: _Text = "",
    kind: _Text = "",
    winner: _Text = "",
    rule: _Text = "",
    q: _Text = "",
    before: _Text = "",
) -> HTMLResponse:
    """A page of collisions, newest first."""
    wanted = model.Wanted(
        field=text_of("field", field),
        entity=choice_of("entity", entity, _ENTITIES),
        kind=choice_of("kind", kind, model.KINDS),
        winner=choice_of("winner", winner, _WINNERS),
        rule=text_of("rule", rule),
        text=text_of("q", q),
    )
    with store() as state:
        found = model.browse(state, wanted, number_of("before", before))
    return page.show(
        "collisions.html", found=found, wanted=wanted, entities=_ENTITIES, kinds=model.KINDS, winners=_WINNERS
    )
