"""The section `lifecycle`: what conversions, merges and deletions lead to where there is a choice (D36-D53)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from include.leadsync.model import Entity
from include.leadsync.settings.filters import RecordCondition
from include.leadsync.settings.section import ATTRIBUTE, Section

Allowed = tuple[RecordCondition, ...]


class AllowedRecords(Section):
    """Which records may be closed or deleted: per entity conditions that must all hold; null is none at all."""

    lead: Allowed | None = None
    contact: Allowed | None = None

    def of(self, entity: Entity) -> Allowed | None:
        """The conditions of one entity."""
        return self.lead if entity is Entity.LEAD else self.contact


class DeleteInDynamics(Section):
    """What becomes of the CRM record of a person that was deleted in Marketo (D53)."""

    action: Literal["no", "deactivate", "delete"] = "no"
    dry_run: bool = True
    at_most: Annotated[int, Field(ge=1, le=10_000)] = 10
    allow: AllowedRecords = AllowedRecords()


class Lifecycle(Section):
    """Choices of D37, D40, D42, D44, D52, D53; docs/lifecycle.md shows what each row of its tables does."""

    conversion_reference: Annotated[str, Field(pattern=ATTRIBUTE, max_length=128)] | None = None
    conversion_into_linked: Literal["propose", "merge_in_marketo"] = "propose"
    dynamics_merge: Literal["propose", "merge_in_marketo"] = "propose"
    marketo_merge: Literal["ignore", "write_to_survivor", "merge_in_dynamics"] = "ignore"
    respect_marketo_delete: bool = False
    delete_in_dynamics: DeleteInDynamics = DeleteInDynamics()
