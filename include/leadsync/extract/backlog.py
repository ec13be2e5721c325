"""When a backlog of changed persons is cheaper by bulk extract than by their ids (DECISIONS 18).

By id costs one call per 300 persons, and seconds. An extract costs a handful of calls per 31 days whatever it holds,
but minutes of waiting, and a part of the 500 MB that all systems together may extract in a day (marketo-api §9.1, §11).
The rule: extract when that saves at least `WORTH` calls and the file is expected to stay below `MOST_BYTES`. Whatever
goes wrong with it, and whoever is not in the file, is read by id.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from math import ceil
from typing import Final

from include.leadsync.model import Window

WORTH: Final = 500
"""Calls: one hundredth of a day's quota, or 150,000 persons."""
MOST_BYTES: Final = 250_000_000
"""Half of the day's quota, so that others and a second try have room."""
PATIENCE: Final = timedelta(minutes=30)

_PER_CALL: Final = 300
_PER_SPAN: Final = 2 + 15  # create and enqueue; looks at its state, one a minute
_SPAN: Final = timedelta(days=31)
_PIECE: Final = 16 * 1024 * 1024
_CELL: Final = 14  # bytes of an average value with its comma
_MARGIN: Final = timedelta(minutes=5)  # the two clocks, and changes that show late


def extract_window(persons: int, columns: int, since: datetime | None, now: datetime) -> Window | None:
    """The window of changes to extract, or None where reading by id is cheaper.

    `since`: from when on all of `persons` changed, None if nobody knows; `columns`: how many are read of each.
    """
    if since is None:
        return None
    size = persons * columns * _CELL
    extracted = ceil((now - since + _MARGIN) / _SPAN) * _PER_SPAN + ceil(size / _PIECE)
    saved = ceil(persons / _PER_CALL) - extracted
    return Window(since - _MARGIN, now) if saved >= WORTH and size <= MOST_BYTES else None
