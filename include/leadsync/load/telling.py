"""Operations that tell a person: custom activities, at most once as far as Marketo lets us know (DECISIONS 24).

A custom activity has no client key. Each carries the id of its row in the activity log; after an unknown
outcome it is looked for by that id before it is sent again. What can still repeat: an activity that
Marketo shows only after our look.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from include.leadsync.clients.marketo import MarketoClient
from include.leadsync.clock import Clock, parse_iso
from include.leadsync.errors import FixConfiguration, RetryLater
from include.leadsync.load.outcome import Fate, Operation, Outcome

ID_ATTRIBUTE = "Activity Id"
_LEADS_A_CALL = 30
_LOOK_BACK = timedelta(days=1)  # before the oldest of them, whose time is that of its outcome
_KEPT = timedelta(days=85)  # Marketo keeps activities for 90 days


class Teller:
    """Sends activity operations. `api_name` is the custom activity type that `setup` made."""

    def __init__(self, client: MarketoClient, api_name: str, clock: Clock) -> None:
        self._client, self._api_name, self._clock = client, api_name, clock
        self._type_id: int | None = None

    def tell(self, operations: Sequence[Operation]) -> list[Outcome]:
        """Send; one outcome each. Raises nothing: writes of the same batch have outcomes that must be stored."""
        if not operations:
            return []
        there: set[str] = set()
        try:
            there = self._already_there([op for op in operations if op.attempts > 1])
            sent = self._send([op for op in operations if op.op_id not in there])
        except (RetryLater, FixConfiguration) as error:
            code, after = type(error).__name__, getattr(error, "after", None)
            rest = [op for op in operations if op.op_id not in there]
            sent = [Outcome(op, Fate.LATER, code, str(error), retry_after=after) for op in rest]
        return [Outcome(op, Fate.DONE) for op in operations if op.op_id in there] + sent

    def _send(self, operations: list[Operation]) -> list[Outcome]:
        results = self._client.add_activities([self._activity(op) for op in operations]) if operations else []
        return [
            Outcome(op, Fate.DONE) if result.ok else Outcome(op, Fate.REFUSED, result.code, result.message)
            for op, result in zip(operations, results, strict=True)
        ]

    def _activity(self, operation: Operation) -> dict[str, Any]:
        return {**dict(operation.activity or {}), "activityTypeId": self._type()}

    def _type(self) -> int:
        if self._type_id is None:
            known = {kind.api_name: kind.id for kind in self._client.activity_types()}
            found = known.get(self._api_name)
            if found is None:
                raise FixConfiguration(
                    f"Marketo has no custom activity type {self._api_name!r}; run `python -m include.leadsync setup`"
                )
            self._type_id = found
        return self._type_id

    def _already_there(self, operations: Sequence[Operation]) -> set[str]:
        """Operations that Marketo has carried out after all, though we never learnt it."""
        wanted = {op.op_id for op in operations}
        now = self._clock.now()
        since = min([now, *(parse_iso(str((op.activity or {})["activityDate"])) for op in operations)]) - _LOOK_BACK
        since = max(since, now - _KEPT)
        persons = sorted({op.person_id for op in operations if op.person_id is not None})
        found: set[str] = set()
        for start in range(0, len(persons), _LEADS_A_CALL):
            token = self._client.paging_token(since)
            for page in self._client.activities(token, [self._type()], persons[start : start + _LEADS_A_CALL]):
                for text in page.rows["attributes"].to_pylist():
                    key = str(json.loads(text or "{}").get(ID_ATTRIBUTE, ""))
                    found |= {key} & wanted
        return found
