"""The field map as configured, with what runs found of each field."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse

from include.leadsync.console.asking import choice_of
from include.leadsync.console.field_table import field_table
from leadsync_console.page import PageDep
from leadsync_console.state import settings, store

router = APIRouter()
_ENTITIES = ("lead", "contact")


@router.get("/fields")
def fields(page: PageDep, entity: Annotated[str, Query(max_length=20)] = "") -> HTMLResponse:
    """All entries, or those of one entity."""
    wanted = choice_of("entity", entity, _ENTITIES)
    configured = settings()
    with store() as state:
        rows = field_table(configured, state)
    return page.show(
        "fields.html", rows=[row for row in rows if wanted in (None, row["entity"])], entity=wanted, entities=_ENTITIES
    )
