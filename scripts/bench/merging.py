"""The merge kernel: time against the bare kernel and against a loop over records, memory beyond its inputs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import polars as pl

from include.leadsync.merge import merge
from scripts.bench.figures import Bar, Figure, ratio
from scripts.bench.merge_frames import field_map, pairs
from scripts.bench.merge_rivals import Cells, Record, bare, row_by_row
from scripts.bench.timing import interleaved, medians, peak_memory, seconds

_SAMPLE = 10_000  # rows of the loop in Python; its time grows strictly with the rows
_JUDGED = 1_000_000  # the size the bars are stated for; below, fixed costs weigh too much


def merging(sizes: Sequence[int]) -> Iterator[Figure]:
    """Figures for each size. Raises `AssertionError` when the three disagree about a single cell."""
    for rows in sizes:
        yield from _one_size(rows, judged=rows >= _JUDGED)


def _one_size(rows: int, *, judged: bool) -> Iterator[Figure]:
    group = f"Merge kernel, {rows:,} pairs x 40 fields"
    frame, one_map = pairs(rows), field_map()
    names = one_map.names
    taken = interleaved({"merge": lambda: merge(frame, one_map), "bare": lambda: bare(frame, names)})
    middle = medians(taken)
    decisions = merge(frame, one_map)
    yield Figure(group, "merge", middle["merge"], "s", runs=taken["merge"], detail={"decisions": decisions.height})
    yield Figure(group, "the barest polars that decides the same", middle["bare"], "s", runs=taken["bare"])
    yield ratio(group, "merge / barest polars", middle["merge"], middle["bare"], Bar(1.3) if judged else None)

    sample = min(rows, _SAMPLE)
    records = _records(frame[:sample], names)
    slow = seconds(lambda: row_by_row(records, one_map)) * rows / sample
    _require_agreement(frame[:sample], decisions.filter(pl.col("row") < sample), row_by_row(records, one_map), names)
    what = "row by row in Python" if sample == rows else f"row by row in Python, scaled from {sample:,} rows"
    yield Figure(group, what, slow, "s")
    bar = Bar(30, at_least=True) if judged else None
    yield ratio(group, "row by row / merge", slow, middle["merge"], bar)

    with peak_memory() as peak:
        merge(frame, one_map)
    inputs = frame.estimated_size()
    yield Figure(group, "memory of the inputs", inputs / 2**20, "MB")
    bar = Bar(0.25) if judged else None
    yield ratio(group, "memory beyond the inputs / inputs", peak.beyond, inputs, bar)


def _records(frame: pl.DataFrame, names: Sequence[str]) -> list[tuple[Record, Record, Record]]:
    sides = [frame.select(pl.col(f"{side}.{name}").alias(name) for name in names).to_dicts() for side in "bpc"]
    return list(zip(*sides, strict=True))


def _require_agreement(frame: pl.DataFrame, found: pl.DataFrame, wanted: Cells, names: Sequence[str]) -> None:
    """A benchmark of something wrong is worth nothing."""
    columns = ["row", "field", "change", "direction", "after"]
    barest = sorted(bare(frame, names).select(columns).iter_rows(), key=_place)
    if not sorted(found.select(columns).iter_rows(), key=_place) == barest == sorted(wanted, key=_place):
        raise AssertionError("the merge, the bare kernel and the loop in Python do not decide alike")


def _place(cell: tuple[object, ...]) -> tuple[int, str]:
    return int(str(cell[0])), str(cell[1])
