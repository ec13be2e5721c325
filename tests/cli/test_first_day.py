"""The commands of a first day and of a lost state store, as they are typed (D11, D18, D101)."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.cli.command_line import CommandLine


def hash_in(text: str) -> str:
    found = re.search(r"(?:accept|--accept) ([0-9a-f]{16})", text)
    assert found, text
    return found[1]


def test_report_accept_cycle_and_after_a_loss_rebuild(command_line: CommandLine, tmp_path: Path) -> None:
    line = command_line
    assert line.run_here("first-sync", "report").status == 2  # before `setup`: says so
    assert line.run_here("setup").status == 0
    row = line.add_row("lead", lastname="Berg", subject="Fair", emailaddress1="mia@example.com")
    with line.engine() as engine:
        engine.marketo.sync_persons([{"email": "mia@example.com"}], action="createOnly", lookup_field="email")
    told = line.run_here("first-sync", "report", "--out", str(tmp_path / "report"))
    assert told.status == 0, told
    assert "1  pairs matched by e-mail address" in told.out
    assert "?  persons without a record" in told.out
    assert "microsoftBackfilledAt" in told.out
    assert (tmp_path / "report" / "report.html").exists()
    accepted = line.run_here("first-sync", "accept", hash_in(told.out))
    assert (accepted.status, accepted.out.split(";")[0]) == (0, "1 pairs linked, 0 were linked meanwhile"), accepted
    assert line.run_here("cycle").status == 0
    assert line.person_of(row)["email"] == "mia@example.com"
    elsewhere = {"LEADSYNC_STATE_URL": f"sqlite:///{tmp_path}/new.db"}  # the state store is gone
    report = json.loads(line.run_here("rebuild", "--json", **elsewhere).out)
    assert (report["counts"]["matched_by_id"], report["counts"]["equal"]) == (1, 1)
    stored = line.run_here("rebuild", "--accept", report["hash"], **elsewhere)
    assert stored.out.startswith("1 pairs linked"), stored
    assert json.loads(line.run_here("rebuild", "--write", "--json", **elsewhere).out)["counts"]["already_linked"] == 1
    planned = line.run_here("plan", "--json", **elsewhere)
    assert json.loads(planned.out.splitlines()[-1])["plan"] == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("first-sync", "accept"), "needs the hash"),
        (("first-sync", "report", "0123456789abcdef"), "takes no hash"),
        (("first-sync", "accept", "0123456789abcdef"), "no report has the hash"),
        (("rebuild", "--accept", "0123456789abcdef"), "no report has the hash"),
        (("rebuild", "--write", "--accept", "0123456789abcdef"), "give one of them"),
        (("rebuild", "--since", "last year"), "--since is 'last year'"),
    ],
)
def test_what_cannot_be_done_is_a_sentence(command_line: CommandLine, words: tuple[str, ...], says: str) -> None:
    said = command_line.run_here(*words)
    assert said.status == 2
    assert says in said.err


def test_check_may_answer_in_json(command_line: CommandLine) -> None:
    said = command_line.run_here("check", "--json")
    points = {point["name"]: point for point in json.loads(said.out)}
    assert points["native sync"] == {"name": "native sync", "passed": True, "detail": "off", "rule": "D21"}
