"""What Dynamics' duplicate rules refuse: a class of its own, with the records that are in the way (R57, D33)."""

from __future__ import annotations

from typing import Final

from include.leadsync.clients.dynamics import DynamicsClient, RowWrite, WriteResult
from include.leadsync.errors import LeadSyncError
from include.leadsync.load.outcome import Fate, Operation, Outcome
from include.leadsync.logs import logger
from include.leadsync.model import Lane, OperationKind
from include.leadsync.settings.duplicates import DuplicateRules

log = logger(__name__)

DUPLICATE: Final = "0x80040333"
REFUSED: Final = "duplicate_rule"

_LONGEST, _MOST = 200, 20  # texts that are asked about; rules compare addresses, names and numbers
_TOLD = 5


def rules_look_at(operation: Operation, rules: DuplicateRules) -> bool:
    """Whether the rules may refuse an operation; never one of the consent lane."""
    if operation.lane == Lane.CONSENT:
        return False
    return (rules.on_create if operation.kind == OperationKind.CREATE else rules.on_update) == "respect"


def refused_as_duplicate(client: DynamicsClient, operation: Operation, write: RowWrite, result: WriteResult) -> Outcome:
    """The refusal with the ids of the matches; without them where Dynamics does not tell."""
    texts = {name: value for name, value in write.body.items() if isinstance(value, str) and len(value) <= _LONGEST}
    askable = {name: value for name, value in texts.items() if not name.endswith("@odata.bind")}
    try:
        found = client.duplicates(write.entity, write.id, dict(list(askable.items())[:_MOST]))
    except LeadSyncError as error:
        log.warning("what stands in the way of %s %s is not known: %s", operation.entity, operation.crm_id, error)
        found = []
    others = [key for key in found if key != write.id]
    named = f"; the same as {operation.entity} {', '.join(others[:_TOLD])}" if others else ""
    return Outcome(operation, Fate.REFUSED, REFUSED, f"{result.message}{named}")
