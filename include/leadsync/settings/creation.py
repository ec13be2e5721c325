"""The section `creation`: CRM records that have no person yet, and the first sync (D11-D20)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from include.leadsync.model import Entity
from include.leadsync.settings.filters import RecordCondition
from include.leadsync.settings.section import ATTRIBUTE, Section

PartitionName = Annotated[str, Field(min_length=1, max_length=255)]
Conditions = tuple[RecordCondition, ...]


class PartitionRule(Section):
    """New persons of records that fulfil all conditions go into `partition` (D20).

    An entity without conditions (null) never fits; an empty list always does.
    """

    partition: PartitionName
    lead: Conditions | None = None
    contact: Conditions | None = None

    def of(self, entity: Entity) -> Conditions | None:
        """The conditions for one entity."""
        return self.lead if entity is Entity.LEAD else self.contact


class Creation(Section):
    """Choices of D11, D13, D16, D18, D20."""

    when_found: Literal["link", "create"] = "link"
    require_email: bool = False
    partitions: tuple[PartitionRule, ...] = ()
    default_partition: PartitionName | None = None
    first_sync_matches: Annotated[int, Field(ge=0)] = 100
    person_id_column: Annotated[str, Field(pattern=ATTRIBUTE, max_length=128)] | None = None
