"""`undo` and `reconcile` at the command line: what they say, what they write, how they end."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from include.leadsync.setup import setup
from include.leadsync.state import Links
from tests.cli.command_line import CommandLine


def test_a_run_is_looked_at_taken_back_and_found_taken_back(command_line: CommandLine) -> None:
    line = command_line
    with line.engine() as engine:
        setup(engine)
    leads = [line.add_row("lead", subject="s", lastname=name, jobtitle="old") for name in ("Ax", "Bo")]
    created = line.run_here("cycle", "--json").report["run_id"]
    for lead in leads:
        line.edit_person(line.person_of(lead)["id"], title="new")
    run = line.run_here("cycle", "--json").report["run_id"]
    line.edit_row("lead", leads[1], jobtitle="newer")

    before = line.sandbox.calls.position
    looked = line.run_here("undo", run, "--dry-run")
    assert (looked.status, line.writes(before)) == (0, [])
    assert f"restored     lead     {leads[0]} title: 'new' → 'old'" in looked.out
    assert f"edited       lead     {leads[1]} title: 'new' → 'old', shows 'newer'" in looked.out
    assert "1  kept, edited since" in looked.out

    done = line.run_here("undo", run, "--json")
    assert (done.status, done.err, done.report["outcome"], done.report["kind"]) == (0, "", "done", "undo")
    assert sorted(row["fate"] for row in done.report["undo"]) == ["edited", "restored"]
    assert [line.row("lead", lead)["jobtitle"] for lead in leads] == ["old", "newer"]

    again = line.run_here("undo", run)
    assert (again.status, "1  shows the value that it had before already" in again.out) == (0, True)
    assert "2  a record that the run created" in line.run_here("undo", created).out
    unknown = line.run_here("undo", "20260301T100000Z-ffffff")
    assert (unknown.status, unknown.out) == (2, "")
    assert "no run is called" in unknown.err or "older than the ledger" in unknown.err
    assert "Traceback" not in unknown.err


def test_a_full_compare_finds_what_is_wrong_and_leaves_a_report(command_line: CommandLine, tmp_path: Path) -> None:
    line = command_line
    with line.engine() as engine:
        setup(engine)
    lead = line.add_row("lead", subject="s", lastname="Cy", jobtitle="CTO")
    line.run_here("cycle")
    first = line.run_here("reconcile", "--out", str(tmp_path))
    assert (first.status, first.err) == (0, "")
    with line.engine() as engine:
        links = Links(engine.store)
        (link,) = links.by_crm([lead]).to_pylist()
        damaged = {"link_id": link["link_id"], "base": str(link["base"]).replace("CTO", "CEO")}
        links.update(pa.Table.from_pylist([damaged]))
    before = line.sandbox.calls.position
    looked = line.run_here("reconcile", "--dry-run", "--json", "--out", str(tmp_path)).report
    assert (looked["outcome"], looked["steps"]["validate"]["found"]) == ("planned", {"baseline": 1})
    done = line.run_here("reconcile", "--out", str(tmp_path))
    assert (done.status, done.err) == (0, "")
    assert "1  baseline: fields on which both sides agree" in done.out
    assert (tmp_path / "findings.csv").read_text().splitlines()[1].startswith(f"baseline,lead,{link['link_id']},")
    assert "baseline" not in line.run_here("reconcile", "--out", str(tmp_path)).out
    assert line.writes(before) == []
