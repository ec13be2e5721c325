"""CRM records whose person was deleted in Marketo in this run: free for whoever asks for one of their address (D24).

Seen one after the other, the deletion ends the link (R76) and the request finds a record that nobody has. Seen at once
it is the same.
"""

from __future__ import annotations

from collections.abc import Collection

import polars as pl

from include.leadsync.context import Engine
from include.leadsync.erasing import Eraser
from include.leadsync.link.removals import ending_first


class Vacant:
    """Those records: `link_ids` are the links that they had. None where the deleted stay deleted (D52)."""

    def __init__(self, engine: Engine, deleted: pl.DataFrame, besides: Collection[int]) -> None:
        """`deleted`: events of `removed_persons`. `besides`: links whose records go on, or go away, otherwise."""
        self._left: list[tuple[str, int]] = []
        self._taken: set[int] = set()
        if deleted.height and not Eraser(engine).enabled:
            gone = (pl.col("kind") == "person_deleted") & ~pl.col("link_id").is_in(list(besides))
            left = deleted.filter(gone & pl.col("crm_id").is_not_null())
            self._left = left.select("crm_id", "link_id").rows()  # also those that ended before

    @property
    def link_ids(self) -> Collection[int]:
        """The links that end."""
        return {link_id for _, link_id in self._left}

    def take(self, pairs: pl.DataFrame) -> None:
        """`pairs`, first links, have these records now."""
        self._taken |= {link_id for crm_id, link_id in self._left if crm_id in set(pairs["crm_id"])}

    def told(self, found: pl.DataFrame) -> pl.DataFrame:
        """Events as they are now that these links end before the new ones are stored."""
        message = "the person was deleted in Marketo; its CRM record belongs to somebody who asked for one"
        return ending_first(found, self._taken, message, "D24")
