"""The baseline of a link and what each side was last seen to show, between store and frames.

A link row stores one canonical base value per field and, sparsely, where a side shows something
else: a mere *spelling* (the side stores the same value differently, D8) or an *open* value (a
change not agreed yet: pending, refused or held). So the values last seen of a partner that did
not change are known without reading it (DECISIONS 6, ARCHITECTURE §5.2).

Frames here are polars, wide, one row per link:
`b.<field>` base · `n.<field>` true where there is no baseline for the field · `p.<field>` and
`c.<field>` the values last seen of person and CRM record · `ps.<field>`, `cs.<field>` the base as
that side spells it (only for fields where some row has a spelling) · `unlinked` the fields of a first link that were
refused and never agreed on, a list; null where there are none.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from include.leadsync.no_rows import no_rows

_CODEC = pl.Struct({"v": pl.List(pl.String), "u": pl.List(pl.String)})
SIDES = (("p", "person"), ("c", "crm"))


def encode_base(frame: pl.DataFrame, names: Sequence[str], unlinked: pl.Series | None = None) -> pl.Series:
    """The stored text of the base: positional in layout order, so that field names are stored once.

    `unlinked`: per row the fields that have no baseline although the others have, a list; null where there are none.
    """
    values = pl.concat_list(pl.col(f"b.{name}") for name in names).alias("v")
    plain = pl.struct(values).struct.json_encode()
    if unlinked is None or unlinked.null_count() == frame.height:
        return frame.select(plain.alias("base"))["base"]
    frame = frame.with_columns(unlinked.alias("u"))
    both = pl.struct(values, "u").struct.json_encode()
    return frame.select(pl.when(pl.col("u").is_null()).then(plain).otherwise(both).alias("base"))["base"]


def open_base(text: str | None, layout: Sequence[str]) -> tuple[dict[str, str | None], list[str]]:
    """The stored text of one row: field → agreed value, and the fields that have no baseline."""
    if not text:
        return {}, []
    stored = json.loads(text)
    return dict(zip(layout, stored["v"], strict=True)), stored.get("u") or []


def close_base(values: Iterable[str | None], unlinked: Sequence[str]) -> str:
    """The inverse of `open_base`; `values` in layout order."""
    return json.dumps({"v": list(values), **({"u": sorted(unlinked)} if unlinked else {})}, ensure_ascii=False)


def decode_links(links: pl.DataFrame, layouts: Mapping[int, Sequence[str]], names: Sequence[str]) -> pl.DataFrame:
    """Link rows with their baseline opened into the columns described above, for the fields `names`.

    A field that the row's layout does not hold, one that was never agreed on, and every field of a row without base
    have no baseline (`n.` true): the rule of the first link applies to it (D4, D69).
    """
    if links["layout_id"].n_unique() <= 1:
        wide = _decode_group(links, _layout(layouts, links["layout_id"].max()), names)
    else:
        groups = links.with_row_index("_order").group_by("layout_id", maintain_order=True)
        parts = [_decode_group(group, _layout(layouts, key), names) for (key,), group in groups]
        wide = pl.concat(parts, how="vertical").sort("_order").drop("_order")
    for prefix, side in SIDES:
        wide = _overlay(wide, prefix, side, names)
    return wide


def _layout(layouts: Mapping[int, Sequence[str]], key: Any) -> list[str]:
    """Fields of a layout, none for a row that was stored without."""
    return list(layouts.get(key, ()))


def outside_layout(name: str) -> pl.Expr:
    """Whether a field of `decode_links` has no baseline because the row was stored when the map lacked it."""
    return pl.col(f"n.{name}") & ~pl.col("unlinked").list.contains(name).fill_null(value=False)


def _decode_group(group: pl.DataFrame, layout: list[str], names: Sequence[str]) -> pl.DataFrame:
    if layout:
        stored = group["base"].str.json_decode(_CODEC).struct.unnest()
        values = stored.select(pl.col("v").list.to_struct(fields=layout)).unnest("v")
        unlinked = stored["u"]
    else:
        values, unlinked = pl.DataFrame(), pl.Series([None] * group.height, dtype=pl.List(pl.String))
    known, never = set(layout), set(unlinked.explode(empty_as_null=False).drop_nulls())
    missing_base = group["base"].is_null()
    columns: list[pl.Series] = []
    for name in names:
        base = values[name] if name in known else pl.Series(name, [None] * group.height, dtype=pl.String)
        absent = missing_base if name in known else pl.Series([True] * group.height, dtype=pl.Boolean)
        if name in never:
            absent |= unlinked.list.contains(name).fill_null(value=False)
        columns += [
            base.alias(f"b.{name}"),
            absent.alias(f"n.{name}"),
            base.alias(f"p.{name}"),
            base.alias(f"c.{name}"),
        ]
    return group.hstack([unlinked.alias("unlinked"), *columns])


def _overlay(wide: pl.DataFrame, prefix: str, side: str, names: Sequence[str]) -> pl.DataFrame:
    entries = side_entries(wide, side)
    if entries.is_empty():
        return wide
    wide = wide.with_row_index("_row")
    for name in entries["field"].unique().sort().to_list():
        if name not in names:
            continue
        here = entries.filter(pl.col("field") == name).select("link_id", "value", "open")
        joined = wide.select("link_id").join(here, on="link_id", how="left", maintain_order="left")
        there = joined["open"].is_not_null()
        seen = pl.when(there).then(joined["value"]).otherwise(wide[f"{prefix}.{name}"])
        wide = wide.with_columns(seen.alias(f"{prefix}.{name}"))
        if joined["open"].not_().any():
            spelled = pl.when(there & ~joined["open"].fill_null(value=True)).then(joined["value"])
            wide = wide.with_columns(spelled.otherwise(wide[f"b.{name}"]).alias(f"{prefix}s.{name}"))
    return wide.drop("_row")


def side_entries(links: pl.DataFrame, side: str) -> pl.DataFrame:
    """What a side shows differently from the base: link_id, field, value, open (bool). Sparse."""
    schema = {"link_id": pl.Int64, "field": pl.String, "value": pl.String, "open": pl.Boolean}
    if links[f"{side}_side"].null_count() == links.height:
        return no_rows(schema)
    rows: list[tuple[int, str, str | None, bool]] = []
    sparse = links.filter(pl.col(f"{side}_side").is_not_null())
    for link_id, text, open_text in sparse.select("link_id", f"{side}_side", f"{side}_open").iter_rows():
        still_open = set(json.loads(open_text)) if open_text else set()
        rows += [(link_id, name, value, name in still_open) for name, value in json.loads(text).items()]
    return pl.DataFrame(rows, schema=schema, orient="row")


def encode_sides(entries: pl.DataFrame, side: str) -> pl.DataFrame:
    """The inverse of `side_entries`: link_id, `<side>_side`, `<side>_open`, one row per link with entries."""
    shown: dict[int, dict[str, str | None]] = {}
    still_open: dict[int, list[str]] = {}
    for link_id, name, value, is_open in entries.select("link_id", "field", "value", "open").iter_rows():
        shown.setdefault(link_id, {})[name] = value
        if is_open:
            still_open.setdefault(link_id, []).append(name)
    rows = [
        (link_id, json.dumps(values, ensure_ascii=False), _dump(still_open.get(link_id)))
        for link_id, values in shown.items()
    ]
    schema = {"link_id": pl.Int64, f"{side}_side": pl.String, f"{side}_open": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _dump(names: Iterable[str] | None) -> Any:
    return json.dumps(sorted(names), ensure_ascii=False) if names else None


def side_values(wide: pl.DataFrame, prefix: str, names: Sequence[str]) -> pl.DataFrame:
    """The columns `<prefix>.<name>` under the names of their fields."""
    values = wide[[f"{prefix}.{name}" for name in names]]
    values.columns = list(names)
    return values


def refresh(
    wide: pl.DataFrame, fresh: pl.DataFrame, key: str, fresh_key: str, prefix: str, names: Sequence[str]
) -> pl.DataFrame:
    """Put freshly read values over those last seen.

    `fresh` has `fresh_key` and one column per field; rows of `wide` without a match keep what was
    last seen. Adds the boolean column `<prefix>_fresh`.
    """
    if fresh.is_empty():
        return wide.with_columns(pl.lit(value=False).alias(f"{prefix}_fresh"))
    marked = fresh.select(pl.col(fresh_key).alias(key), pl.lit(value=True).alias("_fresh"), *names)
    joined = wide.select(key).join(marked, on=key, how="left", maintain_order="left")
    is_fresh = joined["_fresh"].fill_null(value=False)
    updates: list[pl.Series | pl.Expr] = []
    if is_fresh.all():
        updates = [joined[name].alias(f"{prefix}.{name}") for name in names]
    elif is_fresh.any():
        columns = [f"{prefix}.{name}" for name in names]
        fresh_or_seen = zip(columns, names, strict=True)
        updates = [pl.when(is_fresh).then(joined[name]).otherwise(pl.col(c)).alias(c) for c, name in fresh_or_seen]
    return wide.with_columns(*updates, is_fresh.alias(f"{prefix}_fresh"))
