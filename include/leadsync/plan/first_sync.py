"""An empty state store over two systems that both hold people: nothing is filled before somebody says so (D18).

The rule: a cycle that reads a table for the first time, with no link stored, and that would link more than
`creation.first_sync_matches` pairs by e-mail address, stops before it stores anything. Pairs that carry each other's
ids are no such match: they were linked before, and what differs between them is the brake's matter.
"""

from __future__ import annotations

import polars as pl

from include.leadsync.context import Engine, RunRequest
from include.leadsync.errors import FixConfiguration
from include.leadsync.state import Links, Metadata

ACCEPTED = "first_sync"
"""Name under which the store remembers that a report was accepted."""

ACCEPTING = "first_sync.accepting"
"""Name under which the store keeps the command that stores the rest of an accepted report; empty when all is stored."""


def require_whole_acceptance(engine: Engine, run: RunRequest) -> None:
    """Raises `FixConfiguration` while only some links of an accepted report are stored."""
    again = Metadata(engine.store).get("leadsync", ACCEPTING)
    if again and not run.dry_run:
        raise FixConfiguration(f"a report was accepted, but not all of its links are stored yet; run `{again}` again")


def guesses(pairs: pl.DataFrame) -> int:
    """How many first links of a slice rest on the e-mail address alone."""
    new = (pairs["link_id"] < 0) & pairs["create"].is_null() & pairs["request_id"].is_null()
    return int((new & pairs["sys_id"].ne_missing(pairs["crm_id"])).sum())


def require_acceptance(engine: Engine, run: RunRequest, matches: int, held: int) -> None:
    """Raises `FixConfiguration` when this cycle would be an unasked first sync.

    `matches`: first links by e-mail address; `held`: records with several candidates.
    """
    most = engine.settings.creation.first_sync_matches
    if not run.incremental or run.dry_run or matches + held <= most:
        return
    if Links(engine.store).count() or Metadata(engine.store).get("leadsync", ACCEPTED):
        return
    raise FixConfiguration(
        f"the state store is empty, and both systems hold people: {matches} records would be linked by their e-mail"
        f" address ({held} more have several candidates), which is more than creation.first_sync_matches ({most})."
        " Nothing was written. Run `python -m include.leadsync first-sync report`, look at it and accept it; or, if"
        " this instance was in step before and its state store was lost, `python -m include.leadsync rebuild`"
    )
