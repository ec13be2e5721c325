"""The staged plan of a run, a page at a time: which writes it meant, record by record."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import fsspec
import polars as pl
import pyarrow.parquet as pq

ROWS = 200
"""Field writes of a page."""

COLUMNS = (
    "op_id", "entity", "direction", "kind", "lane", "person_id", "crm_id", "field", "before", "after", "lost", "base",
    "rule",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class PlanPage:
    """Some field writes of a plan.

    `records`: one per operation, with its `writes`, and `refused` where validation kept it out; `total`: field writes
    in all that fit; `shown` from `offset` on.
    """

    records: list[dict[str, Any]]
    total: int
    offset: int
    shown: int

    @property
    def next(self) -> int | None:
        """The offset of the page that follows."""
        end = self.offset + self.shown
        return end if end < self.total else None


class RunFiles:
    """The staged files of one run that are worth showing. `run_id` is one path segment; who asks sees to that."""

    def __init__(self, staging_url: str, run_id: str) -> None:
        self.run_id = run_id
        self._folder = f"{staging_url.rstrip('/')}/{run_id}"

    def report(self) -> str | None:
        """The HTML report; None when there is none."""
        content = self._bytes("report.html")
        return None if content is None else content.decode()

    def has_report(self) -> bool:
        """Whether there is one."""
        fs, path = fsspec.core.url_to_fs(f"{self._folder}/report.html")
        return bool(fs.exists(path))

    def summary(self) -> dict[str, Any]:
        """Counts and what is held; empty when there is no plan."""
        content = self._bytes("plan_summary.json")
        return {} if content is None else dict(json.loads(content))

    def plan(self, offset: int = 0, person_id: int | None = None, field: str | None = None) -> PlanPage | None:
        """A page of the plan; None when there is no plan. Only the columns and rows that are shown are opened."""
        content = self._bytes("plan.parquet")
        if content is None:
            return None
        names = [name for name in COLUMNS if name in pq.read_schema(io.BytesIO(content)).names]
        rows = pl.scan_parquet(io.BytesIO(content)).select(names)
        if person_id is not None and "person_id" in names:
            rows = rows.filter(pl.col("person_id") == person_id)
        if field is not None:
            rows = rows.filter(pl.col("field") == field)
        total = int(rows.select(pl.len()).collect().item())
        shown = rows.slice(offset, ROWS).collect().to_dicts()
        return PlanPage(_records(shown, self._refused()), total, offset, len(shown))

    def _refused(self) -> set[str]:
        content = self._bytes("refused.parquet")
        return set() if content is None else set(pl.read_parquet(content, columns=["op_id"])["op_id"].to_list())

    def _bytes(self, name: str) -> bytes | None:
        try:
            with fsspec.open(f"{self._folder}/{name}", "rb") as source:
                content: bytes = source.read()
        except FileNotFoundError:
            return None
        return content


def _records(rows: list[dict[str, Any]], refused: set[str]) -> list[dict[str, Any]]:
    grouped: dict[str, dict[str, Any]] = {}
    for number, row in enumerate(rows):
        about = {**_about(row), "refused": row.get("op_id") in refused, "writes": []}
        record = grouped.setdefault(str(row.get("op_id") or number), about)
        record["writes"].append({name: row.get(name) for name in COLUMNS})
    return list(grouped.values())


def _about(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row.get(name) for name in ("entity", "direction", "kind", "lane", "person_id", "crm_id")}
