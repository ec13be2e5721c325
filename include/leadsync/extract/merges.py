"""Marketo's merges: activity 32 names the persons that were merged away; no other feed does (R173, M49).

The activity lies on the winner and names it once more as its primary attribute. When that winner is merged
away later, its activities move on to the next one, and the two differ: such a row tells of both merges.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

import polars as pl

MERGE_LEADS = 32
MERGES_SCHEMA = pl.Schema({"loser": pl.Int64(), "winner": pl.Int64()})
"""One row per person that was merged away."""


def merges(activities: pl.DataFrame) -> pl.DataFrame:
    """Rows of `MarketoClient.activities` → `MERGES_SCHEMA`, each pair once."""
    rows: list[tuple[int, int]] = []
    for person, primary, text in activities.select("person_id", "primary_id", "attributes").iter_rows():
        winner = primary if primary is not None else person
        rows += [(loser, winner) for loser in _losers(text) if loser != winner]
        if winner != person:
            rows.append((winner, person))
    return pl.DataFrame(rows, schema=MERGES_SCHEMA, orient="row").unique(maintain_order=True)


def survivors(pairs: pl.DataFrame) -> dict[int, int]:
    """Loser → the person that is left at the end of its chain of merges.

    Assumption: ids of persons that were merged away are never used again, so that chains end; one that does
    not is left out.
    """
    direct: Mapping[int, int] = dict(pairs.select("loser", "winner").iter_rows()) if pairs.height else {}
    found: dict[int, int] = {}
    for loser in direct:
        path, here = {loser}, direct[loser]
        while here in direct and here not in path:
            path.add(here)
            here = direct[here]
        if here not in path:
            found[loser] = here
    return found


def _losers(attributes: str | None) -> list[int]:
    """Assumption: Merge IDs is a JSON list, or a text with the ids in it (facts/marketo-api §6.2 says "list")."""
    values = {name.casefold(): value for name, value in json.loads(attributes or "{}").items()}
    listed = values.get("merge ids")
    text = json.dumps(listed) if isinstance(listed, list) else str(listed or "")
    return [int(digits) for digits in re.findall(r"\d+", text)]
