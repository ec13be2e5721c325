"""CRM records of links that were stored when the map had other fields: did anything change that both maps have?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from include.leadsync.baseline import decode_links, outside_layout
from include.leadsync.model import FieldMap


def unchanged_under_older_map(
    rows: pl.DataFrame, links: pl.DataFrame, layouts: Mapping[int, Sequence[str]], field_map: FieldMap
) -> list[str]:
    """Ids of records that show what they showed last in every field that their link knows.

    Their row hash was made over other fields and says nothing. What joined the map since is a backfill's affair.
    """
    newest = list(field_map.layout_names)
    current = {number for number, names in layouts.items() if list(names) == newest}
    outdated = set(links["layout_id"].to_list()) - {None, *current}
    if not outdated:
        return []
    older = links.filter(pl.col("layout_id").is_in(list(outdated)))
    wide = decode_links(older, layouts, field_map.names)
    fresh = wide.select(id="crm_id").join(rows, on="id", how="left", maintain_order="left")
    joined = wide.select(outside_layout(name).alias(name) for name in field_map.names)
    same = [joined[name] | fresh[name].eq_missing(wide[f"c.{name}"]) for name in field_map.names]
    kept = pl.DataFrame({str(at): each for at, each in enumerate(same)}).select(pl.all_horizontal(pl.all())).to_series()
    return wide.filter(kept)["crm_id"].to_list()
