"""The state store as a page opens it: looked at, never made and never migrated."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from include.leadsync.clock import Clock
from include.leadsync.errors import LeadSyncError
from include.leadsync.state import StateStore
from include.leadsync.state.engines import make_engine, parse_url
from include.leadsync.state.migrate import is_current


class NoStoreYet(LeadSyncError):
    """There is no state store of this version: no run has begun, its disk is away, or a run has to migrate it."""


@contextmanager
def opened(url: str, clock: Clock) -> Iterator[StateStore]:
    """The store at an SQLAlchemy URL, for as long as the block lasts.

    A page must not make an empty store where the disk with the real one is not mounted, and a viewer must not
    migrate one.

    Raises:
        NoStoreYet: there is none, or it is of another version.
        FixConfiguration: the URL cannot be used.
        StateUnavailable: unreachable or locked.
    """
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite" and not Path(str(parsed.database)).is_file():
        raise NoStoreYet("there is no state store")
    store = StateStore(make_engine(parsed), clock)
    try:
        with store.read() as tx:
            current = is_current(tx)
        if not current:
            raise NoStoreYet("the state store is of another version; the next run migrates it")
        yield store
    finally:
        store.close()
