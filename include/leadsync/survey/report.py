"""A survey as files: report.json, report.html; matches, fields, conflicts, alone as CSV. Ids and names, no values."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path

import polars as pl

from include.leadsync.context import Engine, Json, RunRequest

_LABELS = {
    "matched_by_id": "pairs that carry each other's id",
    "matched_by_email": "pairs matched by e-mail address",
    "already_linked": "pairs that are linked already",
    "ambiguous": "records with several candidates: held",
    "only_in_dynamics": "records without a person: the cycle creates persons",
    "only_in_marketo": "persons without a record: nothing happens, a request creates records",
    "kept_out_by_filter": "records that the filter keeps out",
    "became_contacts": "leads that became contacts: their person is that of the contact",
    "equal": "pairs that are equal: nothing will be written",
    "to_fill": "pairs that the next cycle fills",
}
_STYLE = "body{font:15px sans-serif;max-width:60em;margin:2em auto}td,th{padding:.2em .8em;text-align:left}"


def write_report(engine: Engine, report: dict[str, Json], folder: Path, marked: str | None) -> Path:
    """Write the files into `folder`; returns the page. `marked`: the field that tells backfilled persons (D19)."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    staging = engine.staging(RunRequest(report["run_id"]))
    (folder / "report.json").write_text(json.dumps(report, indent=2), "utf-8")
    staging.read("survey.matches").write_csv(folder / "matches.csv")
    staging.read("survey.conflicts").write_csv(folder / "conflicts.csv")
    alone = staging.read("survey.alone")
    if report["counts"]["only_in_marketo"] is None:  # only those were read whom a record leads to
        alone = alone.filter(pl.col("kind") == "record")
    alone.write_csv(folder / "alone.csv")
    pl.DataFrame(report["fields"], schema=["entity", "field", "to_marketo", "to_dynamics"]).write_csv(
        folder / "fields.csv"
    )
    page = folder / "report.html"
    page.write_text(_page(report, marked), "utf-8")
    return page


def lines(report: dict[str, Json], marked: str | None) -> list[str]:
    """The report as text for a terminal."""
    told = [f"{_shown(report['counts'][name]):>9}  {label}" for name, label in _LABELS.items()]
    for field in report["fields"]:
        where = f"{field['entity']}.{field['field']}"
        told.append(f"           {where}: {field['to_marketo']} to Marketo, {field['to_dynamics']} to Dynamics")
    doubts = [f"{each['count']:>9}  {each['code']} ({each['rule']}): {each['meaning']}" for each in report["conflicts"]]
    return [*told, *doubts, _note(marked)]


def _shown(count: int | None) -> str:
    return "?" if count is None else str(count)


def _note(marked: str | None) -> str:
    if marked is None:
        return "Marketo lacks the field that marks backfilled persons; run `setup` before you accept"
    return (
        f"every person that is written gets {marked} in the same call: leave persons out of trigger campaigns in whom"
        " it is of the last day"
    )


def _page(report: dict[str, Json], marked: str | None) -> str:
    counts = [(label, _shown(report["counts"][name])) for name, label in _LABELS.items()]
    fields = [(f["entity"], f["field"], f["to_marketo"], f["to_dynamics"]) for f in report["fields"]]
    conflicts = [(c["code"], c["rule"], c["count"], c["meaning"]) for c in report["conflicts"]]
    head = f"{report['kind']}, {report['at']}, hash {report['hash']}"
    return "".join(
        (
            f"<!doctype html><meta charset=utf-8><title>{escape(head)}</title><style>{_STYLE}</style>",
            f"<h1>{escape(head)}</h1><p>{escape(_note(marked))}</p>",
            _table(("what", "how many"), counts),
            "<h2>Fields that differ</h2>",
            _table(("records", "field", "Dynamics wins", "Marketo wins"), fields),
            "<h2>What needs a look</h2>",
            _table(("code", "rule", "how many", "meaning"), conflicts),
        )
    )


def _table(head: tuple[str, ...], rows: list[tuple[Json, ...]]) -> str:
    cells = "".join(f"<th>{escape(each)}</th>" for each in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(str(each))}</td>" for each in row) + "</tr>" for row in rows)
    return f"<table><tr>{cells}</tr>{body}</table>"
