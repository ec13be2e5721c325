"""Where requests come in by hand: the form, REST, the webhook, the command line (D22)."""

from __future__ import annotations

from collections.abc import Iterable

from include.leadsync.context import Engine
from include.leadsync.errors import FixConfiguration
from include.leadsync.state import Requests

LONGEST_OWNER = 200  # characters; a full name in Dynamics has up to 200


def require_owner(owner: str | None) -> None:
    """Raises `FixConfiguration` when an owner is given that cannot be one."""
    if owner is not None and (not owner.strip() or len(owner) > LONGEST_OWNER or not owner.isprintable()):
        raise FixConfiguration(
            f"{owner[:40]!r} is no owner; give the id, e-mail address or full name of a Dynamics user, or team:NAME"
        )


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
    contact. `owner`: who gets the new record, as `link.owners` understands it.

    Raises `FixConfiguration` when `owner` cannot be one.
    """
    require_owner(owner)
    requests = Requests(engine.store)
    return [
        requests.add(person, sync_as, owner=owner, reason=reason, source=source, token=token).request_id
        for person in persons
    ]
