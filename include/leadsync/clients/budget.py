"""The API budget as the clients see it: ask before each call, tell what the service complained about.

The real one, shared by all processes, is `state.budget.SharedBudget` (P7).
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from include.leadsync.model import System


class Budget(Protocol):
    """Leave to call a service."""

    def call(self, system: System, rows: int = 1, *, within: float | None = None) -> AbstractContextManager[object]:
        """Wait for a free slot, hold it for the length of one HTTP attempt.

        `rows` counts towards Dynamics' daily entitlement (each part of a batch counts, dataverse-api §12.2).
        `within` is how many seconds the caller can wait at most; the budget's own bound may be shorter.

        Raises:
            Throttled: no slot within the bound.
        """
        ...

    def penalise(self, system: System, seconds: float) -> None:
        """The service itself said "too much" (606, 607, 615, 429): nobody calls it for `seconds`."""
        ...


class NullBudget:
    """No limit at all; for tests and one-off checks."""

    def call(
        self,
        system: System,  # noqa: ARG002
        rows: int = 1,  # noqa: ARG002
        *,
        within: float | None = None,  # noqa: ARG002
    ) -> AbstractContextManager[object]:
        """Let every call pass."""
        return nullcontext()

    def penalise(self, system: System, seconds: float) -> None:
        """Forget the complaint."""
