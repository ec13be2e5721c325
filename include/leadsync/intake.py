"""Where requests come in: Sync Person to Microsoft from the form, REST, or the command line (D22)."""

from __future__ import annotations

import re
from collections.abc import Iterable

from include.leadsync.context import Engine
from include.leadsync.errors import FixConfiguration
from include.leadsync.state import Requests

_GUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


def require_owner_id(owner: str | None) -> None:
    """Raises `FixConfiguration` when an owner is given that is no GUID."""
    if owner is not None and not _GUID.fullmatch(owner):
        raise FixConfiguration(f"the owner {owner!r} is no GUID; it is the id of a user or team in Dynamics")


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

    Raises `FixConfiguration` when `owner` is no GUID.
    """
    require_owner_id(owner)
    requests = Requests(engine.store)
    return [
        requests.add(person, sync_as, owner=owner, reason=reason, source=source, token=token).request_id
        for person in persons
    ]
