"""The sync filter of each entity as types (R112–R119, D68–D74)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from include.leadsync.fields.operators import Operator
from include.leadsync.model import Entity
from include.leadsync.settings.section import ATTRIBUTE, RestName, Section

Plain = str | int | float | bool


class RecordCondition(Section):
    """A condition on a column of Dynamics (D73)."""

    column: Annotated[str, Field(pattern=ATTRIBUTE, max_length=128)]
    operator: Operator
    values: tuple[Plain, ...] = ()


class PersonCondition(Section):
    """A condition on a field of the person (D73)."""

    field: RestName
    operator: Operator
    values: tuple[Plain, ...] = ()


class EntityFilter(Section):
    """Which records of one entity are synced (R112–R119, D68–D74)."""

    column: Annotated[str, Field(pattern=ATTRIBUTE, max_length=128)] | None = "new_synctomkto"
    keeps_out: bool = False
    records: tuple[RecordCondition, ...] = ()
    persons: tuple[PersonCondition, ...] = ()
    outbound: Literal["suspend", "continue"] = "suspend"
    set_on_create: bool = True


class Filters(Section):
    """The sync filter of each entity."""

    lead: EntityFilter = EntityFilter()
    contact: EntityFilter = EntityFilter()

    def of(self, entity: Entity) -> EntityFilter:
        """The filter of one entity."""
        return self.lead if entity is Entity.LEAD else self.contact
