"""`undo` at the command line: what it says, what it writes, how it ends."""

from __future__ import annotations

from include.leadsync.setup import setup
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

    done = line.run("undo", run, "--json")
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
