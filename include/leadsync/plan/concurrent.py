"""Edits in Marketo that a write of ours ran over: merged as what they are, concurrent edits (ARCHITECTURE §5.9).

When the rule says that the person's edit survives, both sides must get it: Dynamics never saw it, and
in Marketo our own value stands over it. When the CRM record wins, the edit is written down as lost.
"""

from __future__ import annotations

import polars as pl

from include.leadsync.merge import DECISION_SCHEMA, Change, merge
from include.leadsync.model import Direction, FieldMap
from include.leadsync.no_rows import no_rows

_CELL = {"row": pl.UInt32, "field": pl.String}


def restored_edits(
    pairs: pl.DataFrame, overwritten: pl.DataFrame, field_map: FieldMap
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Decisions for edits that were overwritten, and the cells they take over from the ordinary merge.

    `overwritten`: `extract.feed.OVERWRITTEN_SCHEMA`. Returns (DECISION_SCHEMA rows, frame row/field).
    An edit that somebody has replaced since is only written down as lost.
    """
    if overwritten.is_empty():
        return no_rows(DECISION_SCHEMA), no_rows(_CELL)
    index = pairs.select("person_id").with_row_index("row")
    latest = overwritten.sort("at").unique(["person_id", "field"], keep="last", maintain_order=True)
    cells = latest.join(index, on="person_id", how="inner")
    parts: list[pl.DataFrame] = []
    for field in field_map.fields if cells.height else ():
        here = cells.filter(pl.col("field") == field.name)
        if not here.is_empty():
            parts.append(_decide(pairs, here, FieldMap(field_map.entity, (field,))))
    if not parts:
        return no_rows(DECISION_SCHEMA), no_rows(_CELL)
    decisions = pl.concat(parts)
    taken = decisions.filter(pl.col("direction").is_not_null()).select("row", "field").unique()
    return decisions, taken


def _decide(pairs: pl.DataFrame, cells: pl.DataFrame, one: FieldMap) -> pl.DataFrame:
    name = one.fields[0].name
    rows = cells["row"]
    shown = pairs[f"p.{name}"].gather(rows)
    crm = pairs[f"c.{name}"].gather(rows)
    # Our value still stands, or the edit is back already; anything else is a newer edit.
    still_ours = shown.eq_missing(cells["after"]) | shown.eq_missing(cells["value"])
    as_they_met = pl.DataFrame(
        {
            f"b.{name}": cells["before"],
            f"n.{name}": [False] * cells.height,
            f"p.{name}": cells["value"],
            f"c.{name}": crm,
        }
    )
    met = merge(as_they_met, one)
    decided = met.with_columns(
        still_ours.gather(met["row"]).alias("live"),
        shown.gather(met["row"]).alias("shown"),
        cells["value"].gather(met["row"]).alias("edit"),
        rows.gather(met["row"]).alias("row"),
    )
    wins = pl.col("live") & (pl.col("direction") == Direction.OUTBOUND.value)
    outbound = decided.filter(wins)
    there_already = pl.col("live") & (pl.col("change") == Change.CONVERGED.value)
    restore = decided.filter((wins | there_already) & pl.col("shown").ne_missing(pl.col("edit"))).with_columns(
        pl.lit(Direction.INBOUND.value).alias("direction"),
        pl.col("after").alias("crm"),
        pl.col("shown").alias("person"),
    )
    lost = decided.filter(~wins & (pl.col("change") != Change.CONVERGED.value)).with_columns(
        pl.lit(None, pl.String).alias("direction"), pl.lit(Change.OVERWRITTEN.value).alias("change")
    )
    return pl.concat([part.select(list(DECISION_SCHEMA)) for part in (outbound, restore, lost)])
