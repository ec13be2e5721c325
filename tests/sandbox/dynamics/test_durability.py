"""State on disk: restarts, kills, size."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest

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


def test_loading_and_paging_are_fast_and_compact(org: Org, tmp_path: Path) -> None:
    """Bars are a fraction of what was measured, so that a busy machine passes; a scan per row would not."""
    numbers = count()
    rows = (
        {
            "firstname": "First",
            "lastname": f"Last {number}",
            "emailaddress1": f"person{number}@example.com",
            "jobtitle": "Head of things",
            "telephone1": "+1 555 0100",
            "address1_city": "Springfield",
            "modifiedon": f"2026-01-{number % 28 + 1:02d}T00:00:00Z",
        }
        for number in (next(numbers) for _ in range(20_000))
    )
    began = time.perf_counter()
    assert org.emulator.load("lead", rows) == 20_000
    assert time.perf_counter() - began < 20
    began = time.perf_counter()
    answer = org.read("leads", select="firstname,lastname,emailaddress1,modifiedon")
    assert time.perf_counter() - began < 2
    assert len(answer["value"]) == 5000
    link = org.read("leads", {"Prefer": "odata.track-changes"}, select="lastname")
    while "@odata.nextLink" in link:
        link = org.read(link["@odata.nextLink"])
    began = time.perf_counter()
    for number in range(20):
        assert org.values("leads", filter=f"emailaddress1 eq 'PERSON{number}@example.com'")
        assert org.values(link["@odata.deltaLink"]) == []
    assert time.perf_counter() - began < 2
    org.emulator.close()
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) / 20_000 < 1500
