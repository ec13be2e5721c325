"""What a run staged, as pages."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

ROWS_SHOWN = 2_000
_STYLE = """
body { font: 14px/1.5 system-ui, sans-serif; margin: 2rem; color: #1b1f24 }
table { border-collapse: collapse; width: 100% } caption { text-align: left; padding: .5rem 0 }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem; border-bottom: 1px solid #d0d7de }
th { position: sticky; top: 0; background: #f6f8fa } td { max-width: 28rem; overflow-wrap: anywhere }
.null { color: #6e7781; font-style: italic } dl { display: grid; grid-template-columns: max-content auto; gap: 0 1rem }
"""
_COLUMNS = {
    "entity": "Record",
    "direction": "Direction",
    "kind": "Operation",
    "person_id": "Person",
    "crm_id": "CRM record",
    "field": "Field",
    "before": "Before",
    "after": "After",
    "lost": "Lost",
    "base": "Last agreed",
    "rule": "Rule",
}


class RunFiles:
    """The staged files of one run that are worth showing. `run_id` is one path segment; the route sees to that."""

    def __init__(self, staging_url: str, run_id: str) -> None:
        self.run_id = run_id
        self._folder = f"{staging_url.rstrip('/')}/{run_id}"

    @classmethod
    def of(cls, run_id: str) -> RunFiles:
        """Those below LEADSYNC_STAGING."""
        from include.leadsync.config import Paths

        return cls(Paths.from_environment().staging_url, run_id)

    def report(self) -> str | None:
        """The HTML report; None when there is none."""
        content = self._bytes("report.html")
        return None if content is None else content.decode()

    def plan(self) -> pa.Table | None:
        """The planned writes; None when there is no plan."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        content = self._bytes("plan.parquet")
        return None if content is None else pq.read_table(pa.BufferReader(content))

    def summary(self) -> dict[str, Any]:
        """Counts and what is held; empty when there is no plan."""
        content = self._bytes("plan_summary.json")
        return {} if content is None else dict(json.loads(content))

    def _bytes(self, name: str) -> bytes | None:
        import fsspec

        try:
            with fsspec.open(f"{self._folder}/{name}", "rb") as source:
                content: bytes = source.read()
        except FileNotFoundError:
            return None
        return content


class PlanPage:
    """A plan as a table, with its counts above it."""

    def __init__(self, files: RunFiles) -> None:
        self._files = files

    def render(self) -> str | None:
        """Self-contained HTML; None when there is no plan."""
        plan = self._files.plan()
        if plan is None:
            return None
        title = f"Plan of run {self._files.run_id}"
        shown = [name for name in _COLUMNS if name in plan.column_names]
        rows = plan.select(shown).slice(0, ROWS_SHOWN).to_pylist()
        more = f", the first {ROWS_SHOWN} shown" if plan.num_rows > ROWS_SHOWN else ""
        head = "".join(f'<th scope="col">{escape(_COLUMNS[name])}</th>' for name in shown)
        body = "".join(f"<tr>{_cells(row, shown)}</tr>" for row in rows)
        return (
            f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
            f"<style>{_STYLE}</style></head><body><h1>{escape(title)}</h1>{self._summary()}"
            f"<table><caption>{plan.num_rows} field writes{more}</caption>"
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></body></html>"
        )

    def _summary(self) -> str:
        summary = {key: value for key, value in self._files.summary().items() if key != "held_ops" and value}
        lines = [
            f"<dt>{escape(key.replace('_', ' '))}</dt><dd>{escape(str(value))}</dd>" for key, value in summary.items()
        ]
        return f"<dl>{''.join(lines)}</dl>" if lines else ""


def _cells(row: dict[str, Any], names: Sequence[str]) -> str:
    return "".join(f"<td>{_text(row[name])}</td>" for name in names)


def _text(value: object) -> str:
    return '<span class="null">empty</span>' if value is None else escape(str(value))
