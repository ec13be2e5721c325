"""Equal canonical records hash equal, whatever the order of columns; different ones do not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import hypothesis.strategies as st
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given

from include.leadsync import fields
from include.leadsync.fields import hash_tag, row_hash
from tests.fields.sample_fields import brief, many

_cells = st.one_of(
    st.none(), st.sampled_from("ab"), st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
)
_records = many(st.tuples(_cells, _cells, _cells))


def table_of(records: list[tuple[str | None, ...]]) -> pa.Table:
    return pa.table({name: pa.array([r[n] for r in records], pa.string()) for n, name in enumerate("abc")})


@brief
@given(_records)
def test_two_records_hash_equal_exactly_when_they_are_equal(records: list[tuple[str | None, ...]]) -> None:
    hashes = row_hash(table_of(records), "abc").to_pylist()
    assert len(set(zip(records, hashes, strict=True))) == len(set(records)) == len(set(hashes))


@brief
@given(_records)
def test_neither_order_nor_neighbours_nor_string_width_change_a_hash(records: list[tuple[str | None, ...]]) -> None:
    table = table_of(records)
    whole = row_hash(table, ["a", "b", "c"]).to_pylist()
    assert row_hash(table.select(["c", "a", "b"]), ["b", "c", "a"]).to_pylist() == whole
    assert row_hash(table.append_column("d", pa.array(["x"] * len(records))), "abc").to_pylist() == whole
    wide = table.cast(pa.schema([(name, pa.large_string()) for name in "abc"]))
    assert row_hash(wide, "abc").to_pylist() == whole
    alone = [row_hash(table.slice(n, 1), "abc").to_pylist()[0] for n in range(len(records))]
    assert alone == whole


def test_the_same_values_under_another_field_map_hash_differently() -> None:
    values = {"a": ["x"], "b": ["y"]}
    other = {"a": ["x"], "c": ["y"]}
    assert row_hash(pa.table(values), "ab") != row_hash(pa.table(other), "ac")


def test_swapped_values_hash_differently() -> None:
    table = pa.table({"a": ["x", "y"], "b": ["y", "x"]})
    first, second = row_hash(table, "ab").to_pylist()
    assert first != second


def test_a_hash_is_a_signed_64_bit_number_per_row() -> None:
    hashes = row_hash(table_of([("x", None, "z")] * 3), "abc")
    assert hashes.type == pa.int64()
    assert len(hashes) == 3
    assert row_hash(table_of([("x", None, "z")]).slice(0, 0), "abc").to_pylist() == []


def test_a_missing_column_is_an_error_and_not_a_hash() -> None:
    with pytest.raises(KeyError, match="phone"):
        row_hash(pa.table({"a": ["x"]}), ["a", "phone"])


def test_the_tag_names_algorithm_and_version_and_holds_in_another_process(project_root: Path) -> None:
    assert hash_tag().startswith(f"rows1/{pl.__version__}/")
    assert hash_tag() == fields.HASH_TAG
    program = "from include.leadsync.fields import HASH_TAG; print(HASH_TAG)"
    told = subprocess.run(
        [sys.executable, "-c", program], cwd=project_root, capture_output=True, text=True, check=True, timeout=60
    )
    assert told.stdout.strip() == hash_tag()


def test_importing_the_room_does_not_use_polars_yet(project_root: Path) -> None:
    program = (
        "import polars as pl\n"
        "def refuse(*_, **__): raise SystemExit('polars used at import')\n"
        "pl.DataFrame.__init__ = pl.Series.__init__ = refuse\n"
        "import include.leadsync.fields, include.leadsync.config\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=project_root, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
