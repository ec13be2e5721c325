"""The validation report of a run: one HTML page that needs nothing but a browser.

Great Expectations' own pages load styles, scripts and a logo from public hosts
(facts/airflow-gx.md), so we render its verdicts ourselves. Personal values appear masked only:
first character and length (P10); operation keys say where to look in the activity log.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape

from include.leadsync.model import Direction, Entity, OperationKind
from include.leadsync.validate.verdicts import RuleSummary, Verdicts
from include.leadsync.validate.wording import mask, mask_message

SHOWN_FAILURES = 1000

_STYLE = """
:root { color-scheme: light dark; --ink: #1d2330; --dim: #566073; --paper: #fff; --line: #d5dae3;
  --head: #f1f4f9; --bad: #b3261e; --good: #176b37 }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9f0; --dim: #a5aec0; --paper: #14171e; --line: #343b49;
  --head: #1f242e; --bad: #ff9a91; --good: #7fd69c } }
body { margin: 0 auto; max-width: 80rem; padding: 1.5rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif }
h1 { font-size: 1.6rem; margin: 0 }
h2 { font-size: 1.2rem; margin: 2rem 0 .5rem }
p { margin: .4rem 0 }
.dim { color: var(--dim) }
.bad { color: var(--bad); font-weight: 600 }
.good { color: var(--good); font-weight: 600 }
.scroll { overflow-x: auto }
table { border-collapse: collapse; width: 100%; font-size: .9rem }
caption { text-align: left; color: var(--dim); padding: .3rem 0 }
th, td { text-align: left; vertical-align: top; padding: .35rem .6rem; border-bottom: 1px solid var(--line) }
thead th { background: var(--head) }
tbody th { font-weight: 500 }
.number { text-align: right; font-variant-numeric: tabular-nums }
code { font: .85em ui-monospace, monospace; overflow-wrap: anywhere }
dl { display: flex; flex-wrap: wrap; gap: .5rem 2rem; margin: 1rem 0 }
dt { color: var(--dim) }
dd { margin: 0; font-size: 1.3rem; font-weight: 600 }
"""


@dataclass(frozen=True, slots=True)
class ReportSection:
    """The verdicts of one batch and what the batch was."""

    entity: Entity
    operation: OperationKind
    direction: Direction
    verdicts: Verdicts

    @property
    def title(self) -> str:
        """For a heading."""
        return f"{self.entity.capitalize()} · {self.operation} · {_ARROWS[self.direction]}"


_ARROWS = {
    Direction.OUTBOUND: "outbound (Marketo → Dynamics)",
    Direction.INBOUND: "inbound (Dynamics → Marketo)",
}


def render_report(
    run_id: str, sections: Sequence[ReportSection], *, made_at: datetime, shown_failures: int = SHOWN_FAILURES
) -> str:
    """The page as text. `made_at` must be aware. At most `shown_failures` failures are listed."""
    stamp = made_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        f"<title>Validation report of run {escape(run_id)}</title><style>{_STYLE}</style></head><body><main>",
        "<h1>Validation report</h1>",
        f'<p class="dim">Run <code>{escape(run_id)}</code>, {stamp}</p>',
        *_totals(sections),
        *(line for section in sections for line in _rules(section)),
        *_failures(sections, shown_failures),
        "</main></body></html>",
    ]
    return "\n".join(parts) + "\n"


def _totals(sections: Sequence[ReportSection]) -> Iterable[str]:
    operations = sum(section.verdicts.operations for section in sections)
    refused = sum(len(section.verdicts.failed_ops) for section in sections)
    failures = sum(section.verdicts.failures.num_rows for section in sections)
    broken = sum(summary.error is not None for section in sections for summary in section.verdicts.summary)
    figures = {
        "Operations checked": operations,
        "Operations not written": refused,
        "Failed values": failures,
        "Rules that could not be evaluated": broken,
    }
    yield "<dl>" + "".join(f"<div><dt>{name}</dt><dd>{number:,}</dd></div>" for name, number in figures.items())
    yield "</dl>"
    if not failures:
        yield '<p class="good">Every value passed.</p>'
    if broken:
        yield '<p class="bad">A rule that cannot be evaluated fails all its values; please report it.</p>'


def _rules(section: ReportSection) -> Iterable[str]:
    verdicts = section.verdicts
    yield f"<section><h2>{escape(section.title)}</h2>"
    effect = "the whole operation" if verdicts.on_invalid == "record" else "the failing field only"
    yield f'<p class="dim">A failing field holds back {effect}.</p>'
    caption = f"{verdicts.operations:,} operations, {len(verdicts.failed_ops):,} not written"
    heads = (("Field", ""), ("Check", ""), ("Rule", ""), ("Code", ""), ("Checked", "number"), ("Failed", "number"))
    yield from _table(caption, (*heads, ("Operations", "")), map(_rule_row, verdicts.summary))
    yield "</section>"


def _rule_row(summary: RuleSummary) -> str:
    ops = ", ".join(f"<code>{escape(op)}</code>" for op in summary.ops)
    more = summary.failed - len(summary.ops)
    tone = "bad" if summary.failed else "dim"
    error = f' <span class="bad">could not be evaluated: {escape(summary.error)}</span>' if summary.error else ""
    return (
        f'<tr><th scope="row">{escape(summary.field)}</th><td>{escape(summary.kind)}{error}</td>'
        f"<td>{escape(summary.rule)}</td><td><code>{escape(summary.code)}</code></td>"
        f'<td class="number">{summary.checked:,}</td><td class="number {tone}">{summary.failed:,}</td>'
        f"<td>{ops}{f' and {more:,} more' if more > 0 else ''}</td></tr>"
    )


def _failures(sections: Sequence[ReportSection], shown: int) -> Iterable[str]:
    total = sum(section.verdicts.failures.num_rows for section in sections)
    if not total:
        return
    yield "<section><h2>Failures</h2>"
    yield '<p class="dim">Values are masked: first character and length. The activity log has them in full.</p>'
    if total > shown:
        yield f"<p>The first {shown:,} of {total:,} failures are listed; the activity log has all of them.</p>"
    rows: list[str] = []
    for section in sections:
        room = max(shown - len(rows), 0)
        rows += [_failure_row(section, row) for row in section.verdicts.failures.slice(0, room).to_pylist()]
    heads = ("Operation", "What", "Field", "Value", "Code", "Message", "Rule")
    yield from _table(f"{min(total, shown):,} of {total:,} failures", [(head, "") for head in heads], rows)
    yield "</section>"


def _failure_row(section: ReportSection, row: dict[str, str | None]) -> str:
    cells = (
        f"{section.entity} {section.operation} {section.direction}",
        row["field"] or "",
        mask(row["value"]),
        row["code"] or "",
        mask_message(row["message"] or ""),
        row["rule"] or "",
    )
    shown = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
    return f'<tr><th scope="row"><code>{escape(row["op"] or "")}</code></th>{shown}</tr>'


def _table(caption: str, heads: Iterable[tuple[str, str]], rows: Iterable[str]) -> Iterable[str]:
    cells = "".join(f'<th scope="col" class="{style}">{name}</th>' for name, style in heads)
    yield f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}"><table>'
    yield f"<caption>{escape(caption)}</caption><thead><tr>{cells}</tr></thead><tbody>"
    yield from rows
    yield "</tbody></table></div>"
