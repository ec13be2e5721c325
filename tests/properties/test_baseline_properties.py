"""What is stored of a link opens into the same values again, whatever the field map has become meanwhile."""

from __future__ import annotations

from typing import Any

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from include.leadsync.baseline import close_base, decode_links, encode_base, encode_sides, open_base, side_entries

NAMES = ["a", "b", "c"]
VALUES = st.one_of(st.none(), st.text(alphabet='ab"\\é中😀\n \x00', max_size=6))
LINK = st.tuples(
    st.tuples(VALUES, VALUES, VALUES),
    st.dictionaries(st.sampled_from(NAMES), st.tuples(VALUES, st.booleans())),
    st.dictionaries(st.sampled_from(NAMES), st.tuples(VALUES, st.booleans())),
    st.none() | st.lists(st.sampled_from(NAMES), min_size=1, unique=True).map(sorted),
)


def stored(links: list[tuple[Any, ...]]) -> pl.DataFrame:
    base = pl.DataFrame(
        {f"b.{name}": pl.Series([link[0][i] for link in links], dtype=pl.String) for i, name in enumerate(NAMES)}
    )
    rows = pl.DataFrame({"link_id": range(1, len(links) + 1), "layout_id": [1] * len(links)}).with_columns(
        encode_base(base, NAMES, pl.Series([link[3] for link in links], dtype=pl.List(pl.String)))
    )
    for position, side in ((1, "person"), (2, "crm")):
        entries = [
            (link_id, name, value, is_open)
            for link_id, link in enumerate(links, start=1)
            for name, (value, is_open) in link[position].items()
        ]
        schema = {"link_id": pl.Int64, "field": pl.String, "value": pl.String, "open": pl.Boolean}
        frame = pl.DataFrame(entries, schema=schema, orient="row")
        rows = rows.join(encode_sides(frame, side), on="link_id", how="left", maintain_order="left")
    return rows


@given(st.lists(LINK, min_size=1, max_size=8))
def test_base_and_what_each_side_shows_come_back_as_they_were_stored(links: list) -> None:  # type: ignore[type-arg]
    wide = decode_links(stored(links), {1: NAMES}, NAMES)
    for row, (base, person, crm, unlinked) in zip(wide.to_dicts(), links, strict=True):
        for name, value in zip(NAMES, base, strict=True):
            assert row[f"b.{name}"] == value
            assert row[f"n.{name}"] is (name in (unlinked or ()))
            assert row[f"p.{name}"] == person.get(name, (value,))[0]
            assert row[f"c.{name}"] == crm.get(name, (value,))[0]
            spelled = {
                side: shown for side, shown in (("ps", person), ("cs", crm)) if name in shown and not shown[name][1]
            }
            for side, shown in spelled.items():
                assert row[f"{side}.{name}"] == shown[name][0]


@given(st.lists(LINK, min_size=1, max_size=4))
def test_a_field_added_to_the_map_has_no_baseline_and_a_removed_one_is_forgotten(links: list) -> None:  # type: ignore[type-arg]
    wide = decode_links(stored(links), {1: NAMES}, ["c", "d", "a"])
    assert "b.b" not in wide.columns
    for row, (base, _, _, unlinked) in zip(wide.to_dicts(), links, strict=True):
        assert (row["b.c"], row["b.a"]) == (base[2], base[0])
        assert (row["n.d"], row["b.d"], row["n.a"]) == (True, None, "a" in (unlinked or ()))


@given(st.lists(LINK, min_size=1, max_size=8))
def test_side_entries_are_the_inverse_of_encoding_them(links: list) -> None:  # type: ignore[type-arg]
    rows = stored(links)
    for side in ("person", "crm"):
        entries = side_entries(rows, side)
        again = side_entries(rows.select("link_id").join(encode_sides(entries, side), on="link_id", how="left"), side)
        assert again.sort("link_id", "field").equals(entries.sort("link_id", "field"))


@given(st.lists(LINK, min_size=1, max_size=8))
def test_the_base_of_one_row_opens_and_closes_as_that_of_many(links: list) -> None:  # type: ignore[type-arg]
    for row, (base, _, _, unlinked) in zip(stored(links).to_dicts(), links, strict=True):
        values, never = open_base(row["base"], NAMES)
        assert (values, never) == (dict(zip(NAMES, base, strict=True)), unlinked or [])
        again = decode_links(pl.DataFrame([{**row, "base": close_base(values.values(), never)}]), {1: NAMES}, NAMES)
        assert [again[f"b.{name}"][0] for name in NAMES] == list(base)
        assert [again[f"n.{name}"][0] for name in NAMES] == [name in (unlinked or ()) for name in NAMES]
