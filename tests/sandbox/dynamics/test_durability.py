"""State on disk: restarts, kills, size."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.conftest import DatabaseWork
from tests.sandbox.dynamics.conftest import ANN, Org

WRITER = """
import sys
from pathlib import Path
from include.sandbox.clock import MovableClock
from tests.sandbox.dynamics.conftest import Org
from include.sandbox.dynamics import DynamicsEmulator
clock = MovableClock()
org = Org(DynamicsEmulator(Path(sys.argv[1]), clock), clock)
org.sign_in()
for number in range(100000):
    org.create("leads", {"lastname": str(number)})
    print(number, flush=True)
"""


def test_everything_is_there_after_a_restart(make_org: Callable[..., Org]) -> None:
    org = make_org()
    token = org.token
    lead = org.create("leads", {"lastname": "Ax", "revenue": 12.5})
    link = org.read("leads", {"Prefer": "odata.track-changes"})["@odata.deltaLink"]
    page = org.read("systemusers", {"Prefer": "odata.maxpagesize=2"})["@odata.nextLink"]
    org.control("add_attribute", entity="lead", attribute="new_score", type="Integer")
    org.control("add_key", entity="lead", name="k", columns=["new_score"])
    contact_link = org.read("contacts", {"Prefer": "odata.track-changes"})["@odata.deltaLink"]
    org.control("set_options", retention_days=30)
    org.control("fail_writes", entity="contact", when={"lastname": "No"}, message="No.")
    org.control("set_privileges", user="other", table="lead", privileges=["read"])
    before = org.read(f"leads({lead})")
    org.emulator.close()

    again = make_org()
    again.token = token
    assert again.read(f"leads({lead})") == before
    assert again.get(link).status == 400
    assert again.values(contact_link) == []
    assert again.get(page).status == 200
    assert again.emulator.options.retention_days == 30
    assert again.call("POST", "contacts", {"lastname": "No"}).status == 400
    assert again.change("leads(new_score=5)", {"lastname": "By"}).status == 204
    assert again.values("leads", orderby="versionnumber desc")[0]["versionnumber"] > before["versionnumber"]
    again.sign_in("other")
    assert again.call("POST", "leads", {}).status == 403


def test_no_answered_write_is_lost_by_a_kill(tmp_path: Path, make_org: Callable[..., Org], project_root: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=project_root)
    assert process.stdout is not None
    answered = -1
    for line in process.stdout:
        answered = int(line)
        if answered >= 20:
            os.kill(process.pid, signal.SIGKILL)
            break
    answered = max([answered, *(int(line) for line in process.stdout if line.endswith("\n"))])
    process.wait()
    process.stdout.close()
    org = make_org()
    kept = {int(row["lastname"]) for row in org.values("leads", select="lastname")}
    assert set(range(answered + 1)) <= kept
    assert len(kept) <= answered + 2


def test_loading_fills_in_what_the_server_would(org: Org) -> None:
    account = "aaaaaaaa-0000-4000-8000-00000000000a"
    assert org.emulator.load("account", [{"accountid": account, "name": "Acme"}]) == 1
    rows: list[dict[str, Any]] = [
        {
            "contactid": "BBBBBBBB-0000-4000-8000-00000000000B",
            "firstname": "Ann",
            "lastname": "Ax",
            "emailaddress1": "Ann@Example.com",
            "parentcustomerid": account,
            "createdon": "2020-01-01T00:00:00Z",
            "modifiedon": "2020-01-02T00:00:00Z",
            "statecode": 1,
            "statuscode": 2,
            "ownerid": ANN,
            "annualincome": 5.5,
        },
        {"lastname": "By"},
    ]
    link = org.read("contacts", {"Prefer": "odata.track-changes"})["@odata.deltaLink"]
    assert org.emulator.load("contact", rows) == 2
    assert len(org.values(link)) == 2
    found = org.values("contacts", filter="emailaddress1 eq 'ann@example.com'")[0]
    assert (found["fullname"], found["createdon"], found["statecode"]) == ("Ann Ax", "2020-01-01T00:00:00Z", 1)
    assert (found["_ownerid_value"], found["_owninguser_value"], found["donotemail"]) == (ANN, ANN, False)
    assert (found["annualincome"], found["annualincome_base"]) == (5.5, 5.5)
    assert org.read(f"accounts({account})", expand="contact_customer_accounts")["contact_customer_accounts"]
    with pytest.raises(ValueError, match="unknown columns"):
        org.emulator.load("lead", [{"nothing": 1}])
    with pytest.raises(ValueError, match="unknown table"):
        org.emulator.load("widget", [])


def people(numbers: range) -> Iterator[dict[str, Any]]:
    for number in numbers:
        yield {
            "firstname": "First",
            "lastname": f"Last {number}",
            "emailaddress1": f"person{number}@example.com",
            "jobtitle": "Head of things",
            "telephone1": "+1 555 0100",
            "address1_city": "Springfield",
            "modifiedon": f"2026-01-{number % 28 + 1:02d}T00:00:00Z",
        }


def test_loading_and_reading_cost_no_more_where_there_are_many_rows(
    database_work: DatabaseWork, make_org: Callable[..., Org]
) -> None:
    org = make_org()

    def costs(numbers: range) -> dict[str, int]:
        found = {"load": database_work.of(lambda: org.emulator.load("lead", people(numbers)))}
        link = org.read("leads", {"Prefer": "odata.track-changes"}, select="lastname")
        while "@odata.nextLink" in link:
            link = org.read(link["@odata.nextLink"])
        reads: dict[str, tuple[int, Callable[[], list[Any]]]] = {
            "page": (50, lambda: org.read("leads", {"Prefer": "odata.maxpagesize=50"}, select="lastname")["value"]),
            "address": (1, lambda: org.values("leads", filter=f"emailaddress1 eq 'PERSON{numbers[0]}@example.com'")),
            "idle feed": (0, lambda: org.values(link["@odata.deltaLink"])),
        }
        for name, (rows, read) in reads.items():
            assert len(read()) == rows
            found[name] = database_work.of(read)
        return found

    few = costs(range(300))
    assert org.emulator.load("lead", people(range(300, 5_700))) == 5_400
    assert len(org.values("leads", select="lastname")) == 5_000
    many = costs(range(5_700, 6_000))
    assert min(few.values()) > 0
    assert {name: cost for name, cost in many.items() if cost > 2 * few[name]} == {}


def test_rows_are_kept_compactly(make_org: Callable[..., Org], tmp_path: Path) -> None:
    sizes = []
    for numbers in (range(0), range(4_000)):
        org = make_org()
        org.emulator.load("lead", people(numbers))
        org.emulator.close()
        sizes.append(sum(path.stat().st_size for path in tmp_path.iterdir()))
    assert (sizes[1] - sizes[0]) / 4_000 < 1500
