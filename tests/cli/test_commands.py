"""A day at the command line: every command once, against both systems."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from include.leadsync.clock import iso
from include.leadsync.context import RunRequest
from include.leadsync.cycle import run_cycle
from include.leadsync.state import Ledger
from tests.cli.command_line import CommandLine, Result

OWNER = "5a9db0c5-0000-4000-8000-000000000021"
TOO_LONG = "0123456789 0123456789 0123456789"

PROCESSES = ("cycle", "csv")
"""Said to a process of their own; the rest to the same `main` in this one."""


@dataclass
class Day:
    """What was said, and what the systems were asked meanwhile."""

    line: CommandLine
    said: dict[str, Result] = field(default_factory=dict)
    wrote: dict[str, list[str]] = field(default_factory=dict)
    ledger: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    people: dict[str, int] = field(default_factory=dict)
    rows: dict[str, str] = field(default_factory=dict)

    def say(self, name: str, *words: str) -> Result:
        """Run a command and keep what came of it under `name`."""
        position = self.line.sandbox.calls.position
        run = self.line.run if name in PROCESSES else self.line.run_here
        self.said[name] = run(*words)
        self.wrote[name] = self.line.writes(position)
        return self.said[name]


@pytest.fixture(scope="module")
def day(command_line: CommandLine) -> Day:
    day = Day(command_line)
    day.say("setup", "setup")
    day.say("setup again", "setup")
    day.say("check", "check")
    begin(day)
    day.say("plan", "plan", "--json")
    day.say("cycle", "cycle", "--json")
    with command_line.engine() as engine:
        day.ledger["cycle"] = Ledger(engine.store).of_run(day.said["cycle"].report["run_id"]).to_pylist()
    day.say("quiet cycle", "cycle")
    look(day)
    fill(day)
    ask(day)
    return day


def begin(day: Day) -> None:
    """Three linked leads, then edits on both sides, one of them a value that Dynamics would refuse."""
    line = day.line
    for name in ("ann", "bo", "cy"):
        day.rows[name] = line.add_row("lead", subject="s", lastname=name, emailaddress1=f"{name}@example.com")
    with line.engine() as engine:
        run_cycle(engine, RunRequest("20260101T000000Z-000000"))
    for name, row in day.rows.items():
        day.people[name] = line.person_of(row)["id"]
    line.edit_row("lead", day.rows["ann"], jobtitle="from Dynamics", address1_city="Lund")
    line.edit_person(day.people["ann"], title="=from Marketo")
    line.edit_person(day.people["bo"], phone="+46 40 1")
    line.edit_person(day.people["cy"], mobilePhone=TOO_LONG)


def look(day: Day) -> None:
    day.say("errors", "errors")
    day.say("csv", "errors", "--export", "csv")
    day.say("status", "status")
    day.say("status json", "status", "--json")
    day.say("why field", "why", str(day.people["ann"]), "title")
    day.say("why nobody", "why", "2147483647")


def fill(day: Day) -> None:
    """Edits that a backfill is asked to look at, a part at a time."""
    line = day.line
    line.edit_row("lead", day.rows["bo"], jobtitle="CTO", address1_city="Umeå")
    only = ("--person", str(day.people["bo"]), "--field", "title")
    day.say("backfill dry", "backfill", *only, "--dry-run", "--json")
    now = line.sandbox.clock.now()
    past = ("--since", iso(now - timedelta(days=9)), "--until", iso(now - timedelta(days=8)))
    day.say("backfill past", "backfill", *past, "--json")
    day.say("backfill contacts", "backfill", "--since", iso(now - timedelta(days=1)), "--entity", "contact", "--json")
    day.say("backfill", "backfill", *only, "--json")
    day.say("backfill unlinked", "backfill", *only, "--person", "2147483646")
    day.say("backfill other kind", "backfill", *only, "--entity", "contact", "--json")
    day.say("backfill no field", "backfill", *only[:2], "--field", "shoeSize")
    day.say("backfill no time", "backfill", "--since", "yesterday")
    day.say("backfill backwards", "backfill", "--since", "2026-02-01", "--until", "2026-01-01")


def ask(day: Day) -> None:
    """Two persons for Dynamics, one of which does not exist; then the first once more."""
    people = {"lastName": "Dee", "email": "dee@example.com"}
    with day.line.engine() as engine:
        (made,) = engine.marketo.sync_persons([people], action="createOnly", lookup_field="email")
    day.people["dee"] = int(made.id or 0)
    words = ("sync-person", str(day.people["dee"]), "2147483646", "--as", "contact", "--owner", OWNER)
    day.say("sync", *words, "--json")
    day.say("sync again", "sync-person", str(day.people["dee"]), "--as", "contact")


def test_check_names_every_point_once_all_is_there(day: Day) -> None:
    said = day.said["check"]
    assert said.status == 0, said
    remarks = [line for line in said.out.splitlines() if line.startswith(" ")]
    assert any("lead.leadScore set aside: lead has no readable attribute" in line for line in remarks)
    assert max(map(len, remarks)) < 300
    lines = [line for line in said.out.splitlines() if line not in remarks]
    assert [line[6:].partition(":")[0] for line in lines] == [
        "state store", "staging", "Marketo connection", "Dynamics connection", "native sync", "Marketo rights",
        "Dynamics user",
        "rights on lead", "change tracking of lead", "rights on contact", "change tracking of contact",
        "field map against both systems", "rights on tables pointed to", "columns of lead", "columns of contact",
        "required columns of lead", "required columns of contact",
        "filter of lead", "filter of contact", "Marketo set-up", "request channels", "partitions",
        "marketo quota", "marketo clock", "dynamics quota", "dynamics clock",
    ]  # fmt: skip
    assert {line[:2] for line in lines} == {"ok"}
    asked = {f"marketo POST {path} {{}}" for path in ("/rest/v1/leads.json", "/rest/v1/activities/external.json")}
    assert set(day.wrote["check"]) <= asked  # writes of nothing, which tell whether writing is allowed


def test_setup_creates_what_is_missing_and_a_second_one_nothing(day: Day) -> None:
    assert (day.said["setup"].status, day.said["setup again"].status) == (0, 0)
    assert "microsoftId, microsoftType" in day.said["setup"].out
    assert any("/rest/v1/leads/schema/fields.json" in call for call in day.wrote["setup"])
    assert "none, all there" in day.said["setup again"].out
    assert not any("schema/fields" in call for call in day.wrote["setup again"])


def test_a_plan_writes_to_neither_system(day: Day) -> None:
    assert day.wrote["plan"] == []
    assert day.wrote["cycle"] != []  # so the count can see writes


def test_a_cycle_writes_exactly_what_the_plan_showed(day: Day) -> None:
    plan, cycle = day.said["plan"].report, day.said["cycle"].report
    assert (plan["outcome"], cycle["outcome"]) == ("planned", "done")
    shown = {
        (row["person_id"], row["direction"], row["field"], row["before"], row["after"])
        for row in plan["plan"]
        if not row["refused"]
    }
    written = {
        (row["person_id"], row["direction"], row["field"], row["before"], row["after"])
        for row in day.ledger["cycle"]
        if row["op_id"]
    }
    assert shown == written
    assert {(person, name) for person, _, name, _, _ in shown} == {
        (day.people["ann"], "title"),
        (day.people["ann"], "city"),
        (day.people["bo"], "phone"),
    }
    lead = day.line.row("lead", day.rows["ann"])
    assert (lead["jobtitle"], day.line.person_of(day.rows["ann"])["city"]) == ("=from Marketo", "Lund")


def test_refused_rows_are_counted_in_the_exit_status_of_the_cycle_that_refuses_them(day: Day) -> None:
    for name in ("plan", "cycle"):
        assert (day.said[name].status, day.said[name].report["failed"]) == (1, 1)
    assert [row["field"] for row in day.said["plan"].report["plan"] if row["refused"]] == ["mobilePhone"]
    assert day.said["quiet cycle"].status == 0  # the same failure is not reported again
    assert day.said["quiet cycle"].out.endswith(": done, 0 operations, 0 failed\n")
    assert "mobilephone" not in day.line.row("lead", day.rows["cy"])


def test_the_json_report_is_alone_on_the_last_line(day: Day) -> None:
    for name in ("plan", "cycle", "status json", "sync", "backfill"):
        assert set(day.said[name].report) >= ({"last_run"} if name == "status json" else {"run_id", "steps", "failed"})
    assert len(day.said["cycle"].out.splitlines()) == 1


def test_errors_lists_what_did_not_cross_and_exports_it_for_a_spreadsheet(day: Day) -> None:
    listed = day.said["errors"]
    assert listed.status == 0
    assert f"person {day.people['cy']} lead {day.rows['cy']} mobilePhone: 0x80044331" in listed.out
    assert listed.out.endswith("1 open\n")
    (row,) = csv.DictReader(io.StringIO(day.said["csv"].out))
    assert (row["person_id"], row["field"], row["value"]) == (str(day.people["cy"]), "mobilePhone", TOO_LONG)
    assert row["run_id"] == day.said["cycle"].report["run_id"]


def test_status_tells_the_last_run_open_failures_and_both_budgets(day: Day) -> None:
    text, document = day.said["status"].out, day.said["status json"].report
    assert document["last_run"]["outcome"] == "done"
    assert document["open_failures"] == 1
    assert f"last run     {document['last_run']['run_id']} done" in text
    assert "failures     1 open" in text
    for system in ("marketo", "dynamics"):
        assert document["budgets"][system]["today"] > 0
        assert f"budget       {system}" in text
    assert "(" not in next(line for line in text.splitlines() if line.startswith("budget"))
    assert json.dumps(document["backlog"]).count('"parked"') == 1


def test_why_tells_both_values_of_a_collision_the_rule_and_the_run(day: Day) -> None:
    said = day.said["why field"]
    assert said.status == 0
    assert "title: collision" in said.out
    assert "'from Dynamics' lost (rule R40, run " in said.out
    assert day.said["cycle"].report["run_id"] in said.out
    assert {line.split()[2] for line in said.out.splitlines()} == {"title:"}
    assert "nothing is recorded for this person" in day.said["why nobody"].out


def test_a_backfill_reads_what_was_selected_and_nothing_else(day: Day) -> None:
    planned = day.said["backfill dry"].report["plan"]
    marks = [row for row in planned if row["field"] == "microsoftBackfilledAt"]  # D19
    values = [(row["person_id"], row["field"], row["after"]) for row in planned if row not in marks]
    assert values == [(day.people["bo"], "title", "CTO")]
    assert [row["person_id"] for row in marks] == [day.people["bo"]]
    assert day.wrote["backfill dry"] == []
    for name in ("backfill past", "backfill contacts"):
        assert day.said[name].status == 0
        assert day.said[name].report["steps"]["plan"]["operations"] == 0
    person = day.line.person_of(day.rows["bo"])
    assert day.said["backfill"].status == 0
    assert person["title"] == "CTO"


def test_a_backfill_names_the_persons_that_have_no_crm_record_of_that_kind(day: Day) -> None:
    said = day.said["backfill unlinked"]
    assert (said.status, said.out.splitlines()[0]) == (
        0,
        "1 left out, not linked to such a CRM record: 2147483646; `sync-person` links a person",
    )
    steps = day.said["backfill other kind"].report["steps"]
    assert steps["recover"]["unlinked"] == {"persons": 1, "first": [day.people["bo"]]}
    assert steps["extract"]["lead"]["changed"] == 0
    assert "unlinked" not in day.said["backfill"].report["steps"]["recover"]


def test_a_backfill_of_what_does_not_exist_says_so(day: Day) -> None:
    expected = {
        "backfill no field": "no synced field is called shoeSize",
        "backfill no time": "since is 'yesterday'; it must be an ISO 8601 date",
        "backfill backwards": "the window ends (2026-01-01) before it begins (2026-02-01)",
    }
    for name, message in expected.items():
        assert (day.said[name].status, message in day.said[name].err) == (2, True), day.said[name]
        assert "Traceback" not in day.said[name].err


def test_sync_person_creates_the_record_as_asked_and_says_which_person_failed(day: Day) -> None:
    said = day.said["sync"]
    assert (said.status, said.report["failed"]) == (1, 1)
    by_person = {request["person_id"]: request for request in said.report["requests"]}
    made = by_person[day.people["dee"]]
    contact = day.line.row("contact", made["crm_id"])
    assert (made["outcome"], contact["lastname"], contact["ownerid"]) == ("created", "Dee", OWNER)
    assert by_person[2147483646]["outcome"] == "failed"
    assert "person 2147483646: failed – person_missing" in said.out


def test_a_person_asked_for_again_is_no_action(day: Day) -> None:
    again = day.said["sync again"]
    assert again.status == 0
    assert not any("PATCH" in call or "$batch" in call for call in day.wrote["sync again"])
    assert f"person {day.people['dee']}: " in again.out


def test_no_command_printed_a_traceback_or_the_secret(day: Day) -> None:
    assert [name for name, said in day.said.items() if "Traceback" in said.err] == []
    assert {said.err for name, said in day.said.items() if said.status == 0} == {""}


def test_a_reader_that_has_seen_enough_is_no_error(day: Day) -> None:
    process = day.line.start("status")
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert (process.stderr.read(), process.wait(60)) == ("", 0)
    process.stderr.close()
