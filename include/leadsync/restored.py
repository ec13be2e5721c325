"""A backup of the state store put back: what happened since is not in it (P2, P4).

Every run counts itself in the store and writes the count beside the staging, before it sends anything. A store that
counts less than its own mark has been put back. Then nothing that waits in it may be sent as it is: it may have been
sent already, and newer edits may have followed. And its baselines are old: what both sides agreed on since looks like
an edit on both sides, so that the next cycle holds every value that would lose (`plan.brake`) instead of overwriting.

Not noticed: a backup put back within the run in which it was taken, and one whose mark went back with it.
"""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

from include.leadsync.context import Engine, RunRequest
from include.leadsync.staging import read_note, write_note
from include.leadsync.state import Metadata, Outbox, Transaction

_MARK = "state-store.json"
_STORE, _BEGUN, _RESTORED = "store", "runs_begun", "restored"
_SYSTEM = "leadsync"


def count_run(engine: Engine, run: RunRequest) -> bool:
    """Count a run that may write; returns whether the store was found to be a restored backup.

    What waits in such a store is put in flight: `recover` reads both sides again before anything is sent.
    """
    mark = _mark(engine)
    known = Metadata(engine.store)
    with engine.store.begin() as tx:
        store = known.get(_SYSTEM, _STORE, tx=tx) or uuid4().hex
        begun = int(known.get(_SYSTEM, _BEGUN, tx=tx) or 0)
        ours = mark.get("store") == store
        restored = ours and mark["runs"] > begun
        begun = max(begun, mark["runs"] if ours else 0) + 1
        known.put(_SYSTEM, _STORE, store, tx)
        known.put(_SYSTEM, _BEGUN, str(begun), tx)
        if restored:
            known.put(_SYSTEM, _RESTORED, run.run_id, tx)
            Outbox(engine.store).doubt(tx)
    write_note(engine.paths.staging_url, _MARK, json.dumps({"store": store, "runs": begun}))
    return restored


def is_restored(engine: Engine) -> bool:
    """Whether no cycle has been stored since a backup was put back."""
    return bool(Metadata(engine.store).get(_SYSTEM, _RESTORED))


def caught_up(engine: Engine, tx: Transaction) -> None:
    """A cycle has read everything since the backup: its baselines are as good as any."""
    if Metadata(engine.store).get(_SYSTEM, _RESTORED, tx=tx):
        Metadata(engine.store).put(_SYSTEM, _RESTORED, "", tx)


def _mark(engine: Engine) -> dict[str, Any]:
    """What the last run wrote; nothing when there is no mark, or none that can be read."""
    try:
        mark = json.loads(read_note(engine.paths.staging_url, _MARK) or "{}")
    except ValueError:
        return {}
    return mark if isinstance(mark, dict) and isinstance(mark.get("runs"), int) else {}
