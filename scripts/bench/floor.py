"""The fewest API calls with which a cycle can do its work, computed from what was edited, not from what was called.

Every call is taken as full: 300 persons per Marketo read or write and 300 rows of a feed per page (M27, M34, M55),
5,000 rows per page of Dynamics change tracking (V19), the configured size per `$batch` (DECISIONS 23). A cycle
without work still has to ask each of its five feeds once (DECISIONS 34).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil

PERSONS_A_CALL = 300
FEED_ROWS_A_PAGE = 300
TRACKED_ROWS_A_PAGE = 5_000

TABLES = ("lead", "contact")


@dataclass(frozen=True)
class Scenario:
    """What was edited before a cycle.

    `persons`: persons with one changed field each, to be written to Dynamics. `rows`: CRM records per table with
    one changed field each, to be written to Marketo. No record is in both; no field is a consent field, which
    would be an operation of its own.
    """

    persons: int = 0
    rows: Mapping[str, int] = field(default_factory=dict)

    @property
    def changes(self) -> int:
        """Edited records."""
        return self.persons + sum(self.rows.values())


@dataclass(frozen=True)
class Echo:
    """What the cycle before wrote and the feeds now show again: rows of the change feed, rows per table."""

    feed_rows: int = 0
    rows: Mapping[str, int] = field(default_factory=dict)


def floor(scenario: Scenario, batch: int, echo: Echo = Echo()) -> dict[str, int]:
    """Calls per kind; their sum is the floor."""
    tracked = {
        f"dynamics changed {table}": _pages(scenario.rows.get(table, 0) + echo.rows.get(table, 0), TRACKED_ROWS_A_PAGE)
        for table in TABLES
    }
    return {
        "marketo changed values": _pages(scenario.persons + echo.feed_rows, FEED_ROWS_A_PAGE),
        "marketo deleted persons": 1,
        "marketo merged persons": 1,
        **tracked,
        "marketo read persons": ceil(scenario.persons / PERSONS_A_CALL),
        "marketo write persons": ceil(sum(scenario.rows.values()) / PERSONS_A_CALL),
        "dynamics batches": ceil(scenario.persons / batch),
    }


def _pages(rows: int, size: int) -> int:
    """A feed is asked even when it has nothing to say."""
    return max(1, ceil(rows / size))
