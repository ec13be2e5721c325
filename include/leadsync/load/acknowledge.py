"""What a link looks like after some of its writes were acknowledged.

The base of a written field becomes what was written; a side that shows it otherwise keeps that as a
spelling (D8), learnt from what the service returned.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from include.leadsync.baseline import close_base, open_base
from include.leadsync.load.outcome import Outcome, Write
from include.leadsync.merge import Change
from include.leadsync.model import Canonical, Direction, LinkStatus, OperationKind

DEFAULTED = "defaulted"
"""Change of a write whose value came from the field map: it is not agreed until the person has it too."""


class LinkState:
    """One stored link, opened for change."""

    def __init__(self, row: Mapping[str, Any], layout: Sequence[str], names: Sequence[str]) -> None:
        stored, unlinked = open_base(row["base"], layout)
        self._unlinked = set(unlinked)  # fields on which both sides never agreed
        self.row = row
        self.names = names
        self.base: dict[str, Canonical] = {name: stored.get(name) for name in names}
        self.sides = {side: _opened(row, side) for side in ("person", "crm")}
        self.changes: dict[str, Any] = {}

    def acknowledge(self, outcome: Outcome) -> None:
        """Take over the writes of one acknowledged operation."""
        operation = outcome.operation
        outbound = operation.direction == Direction.OUTBOUND
        target, other = ("crm", "person") if outbound else ("person", "crm")
        for write in operation.writes:
            if write.system or write.field not in self.base or write.change == DEFAULTED:
                continue
            if write.change == Change.UNDONE:
                self._taken_back(write, other)
            shown = (outcome.shown or {}).get(write.field, write.after) if outbound else write.after
            there, waits = self.sides[other].get(write.field, (write.after, False))
            if waits and there != write.after:  # on its way to both sides: agreed on when the other one has it, too
                self.sides[target][write.field] = (shown, True)
                continue
            self.base[write.field] = write.after
            self._unlinked.discard(write.field)
            self.sides[target].pop(write.field, None)
            if shown != write.after:
                self.sides[target][write.field] = (shown, False)
            if self.sides[other].get(write.field, (None, False))[0] == write.after:
                self.sides[other].pop(write.field, None)
        self._record(outcome, create=operation.kind == OperationKind.CREATE, outbound=outbound)

    def _taken_back(self, write: Write, other: str) -> None:
        """What the other side shows stays there, and counts as its spelling: an undo does not cross by itself."""
        stays = self.sides[other].get(write.field, (self.base[write.field], False))[0]
        self.sides[other][write.field] = (stays, False)

    def _record(self, outcome: Outcome, *, create: bool, outbound: bool) -> None:
        if outbound:
            self.changes["crm_etag"] = outcome.etag
            if not outcome.etag:
                self.changes["dirty"] = "written without a version in the answer"
        if create:
            self.changes["status"] = LinkStatus.ACTIVE.value
            # What the service filled in by itself is read with the next change feed: no hash, no echo.
            self.changes["crm_hash" if outbound else "person_hash"] = None
            if not outbound:
                self.changes["person_id"] = outcome.person_id

    def seen(self, side: str) -> dict[str, Canonical]:
        """What a side shows now."""
        return {**self.base, **{name: value for name, (value, _) in self.sides[side].items()}}

    def stored(self) -> dict[str, Any]:
        """The columns to write back."""
        columns: dict[str, Any] = {"base": close_base(self.base.values(), sorted(self._unlinked & {*self.base}))}
        for side, entries in self.sides.items():
            shown = {name: value for name, (value, _) in entries.items()}
            still_open = sorted(name for name, (_, is_open) in entries.items() if is_open)
            columns[f"{side}_side"] = json.dumps(shown, ensure_ascii=False) if shown else None
            columns[f"{side}_open"] = json.dumps(still_open, ensure_ascii=False) if still_open else None
        return columns | self.changes


def _opened(row: Mapping[str, Any], side: str) -> dict[str, tuple[Canonical, bool]]:
    shown = json.loads(row[f"{side}_side"]) if row[f"{side}_side"] else {}
    still_open = set(json.loads(row[f"{side}_open"])) if row[f"{side}_open"] else set()
    return {name: (value, name in still_open) for name, value in shown.items()}
