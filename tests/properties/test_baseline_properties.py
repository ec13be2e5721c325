"""What is stored of a link opens into the same values again, whatever the field map has become meanwhile."""

from __future__ import annotations

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from include.leadsync.baseline import decode_links, encode_base, encode_sides, side_entries

NAMES = ["a", "b", "c"]
VALUES = st.one_of(st.none(), st.text(alphabet='ab"\\é中😀\n \x00', max_size=6))
LINK = st.tuples(
    st.tuples(VALUES, VALUES, VALUES),
    st.dictionaries(st.sampled_from(NAMES), st.tuples(VALUES, st.booleans())),
    st.dictionaries(st.sampled_from(NAMES), st.tuples(VALUES, st.booleans())),
)


def stored(
    links: list[tuple[tuple[str | None, ...], dict[str, tuple[str | None, bool]], dict[str, tuple[str | None, bool]]]],
) -> pl.DataFrame:
    base = pl.DataFrame(
        {f"b.{name}": pl.Series([link[0][i] for link in links], dtype=pl.String) for i, name in enumerate(NAMES)}
    )
    rows = pl.DataFrame({"link_id": range(1, len(links) + 1), "layout_id": [1] * len(links)}).with_columns(
        encode_base(base, NAMES)
    )
    for position, side in ((1, "person"), (2, "crm")):
        entries = [
            (link_id, name, value, is_open)
            for link_id, link in enumerate(links, start=1)
            for name, (value, is_open) in link[position].items()  # type: ignore[union-attr]
        ]
        schema = {"link_id": pl.Int64, "field": pl.String, "value": pl.String, "open": pl.Boolean}
        frame = pl.DataFrame(entries, schema=schema, orient="row")
        rows = rows.join(encode_sides(frame, side), on="link_id", how="left", maintain_order="left")
    return rows


@given(st.lists(LINK, min_size=1, max_size=8))
def test_base_and_what_each_side_shows_come_back_as_they_were_stored(links: list) -> None:  # type: ignore[type-arg]
    wide = decode_links(stored(links), {1: NAMES}, NAMES)
    for row, (base, person, crm) in zip(wide.to_dicts(), links, strict=True):
        for name, value in zip(NAMES, base, strict=True):
            assert row[f"b.{name}"] == value
            assert row[f"n.{name}"] is False
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
    for row, (base, _, _) in zip(wide.to_dicts(), links, strict=True):
        assert (row["b.c"], row["b.a"]) == (base[2], base[0])
        assert (row["n.d"], row["b.d"], row["n.a"]) == (True, None, False)


@given(st.lists(LINK, min_size=1, max_size=8))
def test_side_entries_are_the_inverse_of_encoding_them(links: list) -> None:  # type: ignore[type-arg]
    rows = stored(links)
    for side in ("person", "crm"):
        entries = side_entries(rows, side)
        again = side_entries(rows.select("link_id").join(encode_sides(entries, side), on="link_id", how="left"), side)
        assert again.sort("link_id", "field").equals(entries.sort("link_id", "field"))
