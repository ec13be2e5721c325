"""What is measured decides rightly: a quick kernel that is wrong would be no yardstick."""

from __future__ import annotations

import polars as pl
import pytest

from include.leadsync.merge import merge
from include.leadsync.model import FieldMap
from scripts.bench.merge_frames import FIELDS, field_map, pairs
from scripts.bench.merge_rivals import bare, row_by_row
from scripts.bench.merging import merging
from tests.engine.oracle import decide

ROWS = 2_000


@pytest.fixture(scope="module")
def frame() -> pl.DataFrame:
    return pairs(ROWS, seed=7)


def test_the_pairs_are_as_different_as_they_are_said_to_be(frame: pl.DataFrame) -> None:
    sides = {}
    for side in "pc":
        moved = pl.any_horizontal(
            pl.col(f"{side}.{name}").ne_missing(pl.col(f"b.{name}")) for name in field_map().names
        )
        sides[side] = frame.select(moved.alias("moved"))["moved"].sum()
    assert sides["p"] == pytest.approx(ROWS * 0.02, rel=0.1)
    assert sides["c"] == pytest.approx(ROWS * 0.02, rel=0.1)
    changes = merge(frame, field_map())["change"].value_counts().rows()
    assert dict(changes)["collision"] == ROWS * 0.002


def test_the_pairs_have_forty_fields_of_several_types_with_gaps(frame: pl.DataFrame) -> None:
    names = field_map().names
    assert len(names) == FIELDS
    bases = frame.select(f"b.{name}" for name in names)
    assert sum(bases.null_count().row(0)) > ROWS * 5
    kinds = {"^(true|false)$", r"^\d+$", r"^\d+\.5$", r"^\d{4}-\d\d-\d\d$", r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"}
    of_kind = {kind: [s.name for s in bases if s.drop_nulls().str.contains(kind).all()] for kind in kinds}
    assert all(of_kind.values()), of_kind


def test_the_loop_in_python_decides_as_the_oracle_of_the_engines_tests() -> None:
    one_map = FieldMap(field_map().entity, field_map().fields[:1])
    field = one_map.fields[0]
    values = [None, "a", "b", "c"]
    cells = [(base, person, crm) for base in values for person in values for crm in values]
    records = [tuple({field.name: value} for value in cell) for cell in cells]
    wanted = []
    for row, (base, person, crm) in enumerate(cells):
        decided = decide(field, one_map.entity, base, person, crm, linked=True, person_base=base, crm_base=base)
        if decided is not None:
            wanted.append((row, field.name, *decided))
    assert row_by_row(records, one_map) == wanted  # type: ignore[arg-type]


def test_a_kernel_that_decides_otherwise_stops_the_benchmark(monkeypatch: pytest.MonkeyPatch) -> None:
    def last_writer_wins(frame: pl.DataFrame, names: tuple[str, ...]) -> pl.DataFrame:
        return bare(frame, names).with_columns(direction=pl.lit("inbound"))

    monkeypatch.setattr("scripts.bench.merging.bare", last_writer_wins)
    with pytest.raises(AssertionError, match="do not decide alike"):
        list(merging([500]))
