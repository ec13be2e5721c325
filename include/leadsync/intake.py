"""Where requests come in: Sync Person to Microsoft from the form, REST, or the command line (D22)."""

from __future__ import annotations

from collections.abc import Iterable

from include.leadsync.context import Engine
from include.leadsync.state import Requests


def request_persons(
    engine: Engine,
    persons: Iterable[int],
    sync_as: str,
    owner: str | None = None,
    *,
    reason: str | None = None,
    source: str,
    token: str,
) -> list[str]:
    """Store one request per person; returns their ids.

    The same person with the same `token` is one request, however often it is stored. `sync_as`: lead or
    contact. `owner`: GUID of the Dynamics user who gets the new record.
    """
    requests = Requests(engine.store)
    return [
        requests.add(person, sync_as, owner=owner, reason=reason, source=source, token=token).request_id
        for person in persons
    ]
