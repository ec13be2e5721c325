"""Every call that changes something, and what may be done when nobody knows whether it happened (P4, DECISIONS 22).

A refusal that the vendor documents as "not executed" (601, 602, 606, 607, 615, 429) may always be repeated and is no
matter of this table. Neither is a request that never left. The table is about the rest: no answer, half an answer, a
gateway's error page, or the service's own "I failed" (604, 608, 611, 713, 719).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from include.leadsync.model import System


class Repeat(Enum):
    """After which unknown outcome a call may be sent again."""

    READ = "read"  # any, and nothing that matters can have been committed
    ALWAYS = "always"  # any: the write says the whole new state of something identified
    ANSWERED = "answered"  # only when the service itself answered: a first call may still run (M47, DECISIONS 22)
    NEVER = "never"  # a second one would be a second record, or would be refused because the first one happened


@dataclass(frozen=True, slots=True)
class Write:
    """One kind of write: its address (`{}` stands for an id), what may be repeated, and why."""

    system: System
    call: str
    method: str
    path: str
    repeat: Repeat
    why: str


_LEADS, _LIST, _TYPE = "/rest/v1/leads.json", "/rest/v1/lists/{}/leads.json", "/rest/v1/activities/external/type"
_EXPORT: Final = "/bulk/v1/leads/export"
_M, _D = System.MARKETO, System.DYNAMICS
_BATCH: Final = "/api/data/v9.2/$batch"

_ALL: Final = (
    Write(_M, "updateOnly", "POST", _LEADS, Repeat.NEVER, "it would run over what was typed since the first"),
    Write(_M, "createOrUpdate", "POST", _LEADS, Repeat.ANSWERED, "a first call still running makes a second person"),
    Write(_M, "createOnly", "POST", _LEADS, Repeat.NEVER, "1005 would hide that the first call created the person"),
    Write(_M, "createDuplicate", "POST", _LEADS, Repeat.NEVER, "every call makes a person"),
    Write(
        _M, "delete persons", "POST", "/rest/v1/leads/delete.json", Repeat.ALWAYS, "gone twice is gone; 1004 says so"
    ),
    Write(_M, "merge", "POST", "/rest/v1/leads/{}/merge.json", Repeat.NEVER, "losers are gone, so it would be refused"),
    Write(_M, "move to partition", "POST", "/rest/v1/leads/partitions.json", Repeat.ALWAYS, "names person and place"),
    Write(_M, "add to list", "POST", _LIST, Repeat.ALWAYS, "a member stays a member (M50)"),
    Write(_M, "remove from list", "DELETE", _LIST, Repeat.ALWAYS, "1015 says who is off already (M50)"),
    Write(_M, "create list", "POST", "/rest/asset/v1/staticLists.json", Repeat.NEVER, "709 would hide the first one"),
    Write(_M, "create fields", "POST", "/rest/v1/leads/schema/fields.json", Repeat.ALWAYS, "a field's name is its key"),
    Write(_M, "create activity type", "POST", f"{_TYPE}.json", Repeat.NEVER, "refused when the first one happened"),
    Write(_M, "add attributes", "POST", f"{_TYPE}/{{}}/attributes/create.json", Repeat.NEVER, "refused likewise"),
    Write(_M, "approve activity type", "POST", f"{_TYPE}/{{}}/approve.json", Repeat.NEVER, "refused likewise"),
    Write(_M, "add activities", "POST", "/rest/v1/activities/external.json", Repeat.NEVER, "no key, no way to remove"),
    Write(_M, "create export", "POST", f"{_EXPORT}/create.json", Repeat.ANSWERED, "every call makes a job"),
    Write(_M, "enqueue export", "POST", f"{_EXPORT}/{{}}/enqueue.json", Repeat.ANSWERED, "1029 when queued already"),
    Write(_M, "cancel export", "POST", f"{_EXPORT}/{{}}/cancel.json", Repeat.ALWAYS, "cancelled twice is cancelled"),
    Write(_D, "write batch", "POST", _BATCH, Repeat.NEVER, "412 or 404 would hide what the first one did"),
)

WRITES: Final = {write.call: write for write in _ALL}
"""By name. Reads in a `$batch`, and reads that are sent by POST for their length, are reads."""
REPEATS: Final = {write.call: write.repeat for write in _ALL}
SYNC_ACTIONS: Final = frozenset(write.call for write in _ALL if write.path == _LEADS)
"""The actions of sync leads (§6)."""
