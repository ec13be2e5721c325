"""What only the state store can say."""

from __future__ import annotations

from collections.abc import Sequence

from include.leadsync.errors import StopRun


class LinkTaken(StopRun):
    """A person or CRM record already has an active link; a second one is never made (P4, DECISIONS 11).

    Whoever links in parallel loses here: drop what was staged, the next run sees the winner's link.
    `person_ids` and `crm_ids` are those that were taken (or named twice in one go).
    """

    def __init__(self, person_ids: Sequence[int], crm_ids: Sequence[str]) -> None:
        self.person_ids, self.crm_ids = tuple(person_ids), tuple(crm_ids)
        shown = [f"person {person}" for person in self.person_ids[:5]]
        shown += [f"CRM record {crm}" for crm in self.crm_ids[:5]]
        more = len(self.person_ids) + len(self.crm_ids) - len(shown)
        text = ", ".join(shown) + (f" and {more} more" if more else "")
        super().__init__(f"{text or 'a record'} already belongs to another link; nothing was linked twice")

    def __reduce__(self) -> tuple[type[LinkTaken], tuple[tuple[int, ...], tuple[str, ...]]]:
        return type(self), (self.person_ids, self.crm_ids)
