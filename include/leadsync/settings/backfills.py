"""The section `backfill`: what happens to records when a field joins the map (R95–R97, D69)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from include.leadsync.settings.section import Section


class Backfills(Section):
    """Backfills of fields over all links."""

    direction: Literal["inbound", "outbound", "by_type"] = "inbound"
    records_per_cycle: Annotated[int, Field(ge=0, le=1_000_000)] = 5_000
    sweep_hours: Annotated[int, Field(ge=0, le=8_760)] = 24
