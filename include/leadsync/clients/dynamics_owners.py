"""The e-mail addresses of owners, users and teams, which no row shows beside their ids (R130, D83, D84)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import pyarrow as pa

from include.leadsync.clock import Clock

EMAIL: Final = "_value@email"
"""How the name of a column ends that is the e-mail address of the owner whose id is in the look-up before the `@`."""

_FRESH_SECONDS: Final = 60.0  # an address is not read again for so long: a full read meets an owner many times
_ADDRESSES: Final = {"systemuser": "internalemailaddress", "team": "emailaddress"}

Read = Callable[[str, list[str], str], pa.Table]
"""Table, ids and a column → rows with `id` and that column."""


def is_email(column: str) -> bool:
    """Whether a column is the e-mail address of an owner, which is read apart from the rows."""
    return column.endswith(EMAIL)


class OwnerEmails:
    """Looks addresses up. Disabled users keep theirs (D84)."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: dict[str, tuple[float, str | None]] = {}

    def beside(self, rows: pa.Table, columns: Iterable[str], read: Read) -> pa.Table:
        """The rows with one more text column for each of `columns` that asks for an address; null: it has none."""
        for name in filter(is_email, columns):
            owners: list[str | None] = rows[name.removesuffix("@email")].to_pylist()
            addresses = self._of({owner for owner in owners if owner}, read)
            rows = rows.append_column(name, pa.array([addresses.get(owner or "") for owner in owners], pa.string()))
        return rows

    def _of(self, owners: set[str], read: Read) -> dict[str, str | None]:
        now = self._clock.monotonic()
        fresh = {owner for owner in owners if owner in self._known and now - self._known[owner][0] < _FRESH_SECONDS}
        left = owners - fresh
        found: dict[str, str | None] = {}
        for table, column in _ADDRESSES.items():  # who is no user is a team
            if missing := sorted(left - set(found)):
                rows = read(table, missing, column)
                found |= dict(zip(rows["id"].to_pylist(), rows[column].to_pylist(), strict=True))
        self._known |= {owner: (now, found.get(owner)) for owner in left}
        return {owner: self._known[owner][1] for owner in owners}
