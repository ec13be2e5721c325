from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from include.sandbox.marketo import MarketoEmulator
from tests.sandbox.conftest import DatabaseWork
from tests.sandbox.marketo.caller import Caller, frozen_clock, ids


def test_loaded_persons_read_like_written_ones_and_leave_no_activity(marketo: Caller) -> None:
    marketo.make_field("microsoftId", "string")
    token = marketo.since()
    rows: list[dict[str, Any]] = [
        {"id": 700, "email": "Ada@example.test", "firstName": "Ада", "microsoftId": "AB-1", "unsubscribed": True,
         "createdAt": "2025-01-02T03:04:05Z", "updatedAt": "2025-02-03T04:05:06Z", "lastName": None},
        {"email": "bob@example.test", "personType": "contact", "isLead": True},
    ]  # fmt: skip
    assert marketo.emulator.load("person", rows) == 2
    fields = ("email", "firstName", "lastName", "microsoftId", "unsubscribed", "personType", "createdAt", "updatedAt")
    assert marketo.person(700, *fields) == {**rows[0], "personType": "contact"}
    (bob,) = marketo.get("/rest/v1/leads.json", filterType="email", filterValues="BOB@example.test")["result"]
    assert (bob["id"], bob["createdAt"]) == (701, "2026-03-01T10:00:00Z")
    assert marketo.activities(token, "12,13") == []
    assert marketo.emulator.control("people_count", {}) == {"people": 2}


def test_lists_and_members_can_be_loaded(marketo: Caller) -> None:
    marketo.emulator.load("person", [{"id": 5}, {"id": 6}])
    assert marketo.emulator.load("list", [{"id": 1016, "name": "L"}]) == 1
    assert marketo.emulator.load("list_member", [{"listId": 1016, "leadId": 6}]) == 1
    assert ids(marketo.get("/rest/v1/lists/1016/leads.json")["result"]) == [6]


def test_unknown_tables_fields_and_commands_are_errors(marketo: Caller) -> None:
    with pytest.raises(KeyError):
        marketo.emulator.load("company", [{}])
    with pytest.raises(KeyError):
        marketo.emulator.load("person", [{"nope": 1}])
    with pytest.raises(KeyError):
        marketo.emulator.control("make_tea", {})
    with pytest.raises(KeyError):
        marketo.emulator.control("set_options", {"nope": 1})
    with pytest.raises(ValueError, match="rate_limit needs int"):
        marketo.emulator.control("set_options", {"rate_limit": "many", "limits": False})
    assert marketo.emulator.control("options", {})["limits"] is True
    with pytest.raises(ValueError, match="1003"):
        marketo.emulator.control("edit_person", {"id": marketo.create(), "values": {"email": "bad"}})
    with pytest.raises(KeyError):
        marketo.emulator.control("edit_person", {"id": 999, "values": {}})


def test_loading_costs_no_more_where_there_are_many_persons(database_work: DatabaseWork, marketo: Caller) -> None:
    """`make bench` tells how many a second that is."""

    def load(numbers: range) -> None:
        marketo.emulator.load("person", [{"email": f"p{n}@example.test", "firstName": "Ada"} for n in numbers])

    few = database_work.of(lambda: load(range(200)))
    load(range(200, 5_000))
    many = database_work.of(lambda: load(range(5_000, 5_200)))
    assert 0 < many < 2 * few


def test_repeating_a_control_command_changes_nothing(marketo: Caller) -> None:
    fields = {"fields": [{"name": "a", "displayName": "A", "dataType": "text"}]}
    assert marketo.emulator.control("create_fields", fields) == {"created": ["a"]}
    assert marketo.emulator.control("create_fields", fields) == {"created": []}
    assert marketo.make_list("L") == marketo.make_list("L")
    assert marketo.make_list("M", id=5000) == 5000


def test_an_unknown_option_of_the_constructor_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        MarketoEmulator(tmp_path, frozen_clock(), options={"nope": 1})


WRITER = """
import json, sys
from pathlib import Path
from tests.sandbox.marketo.caller import Caller
caller = Caller(Path(sys.argv[1]), options={"limits": False})
number = caller.make_list()
for turn in range(100_000):
    (made,) = caller.sync({"email": f"p{turn}@example.test", "mktoPersonNotes": "x" * 500})
    caller.post(f"/rest/v1/lists/{number}/leads.json", {"input": [{"id": made["id"]}]})
    print(made["id"], flush=True)
"""


@pytest.mark.parametrize("answers", [1, 7, 40])
def test_what_was_answered_survives_a_kill(tmp_path: Path, project_root: Path, answers: int) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path / "marketo")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=project_root, text=True) as process:
        assert process.stdout is not None
        told = [int(process.stdout.readline()) for _ in range(answers)]
        os.kill(process.pid, signal.SIGKILL)
        told += [int(line) for line in process.stdout.read().split("\n")[:-1]]
    caller = Caller(tmp_path / "marketo", options={"limits": False})
    members = ids(caller.get("/rest/v1/lists/1001/leads.json")["result"])
    assert members[: len(told)] == told[:300]
    born = [row["leadId"] for row in caller.activities(caller.since(), "12")]
    assert set(told) <= set(born)
    usage = caller.get("/rest/v1/stats/usage.json")["result"][0]["total"]
    assert usage >= 2 * len(told)
    caller.emulator.close()


def test_threads_work_side_by_side(marketo: Caller) -> None:
    """No call is lost, none fails, every person is in the feed once."""
    marketo.option(limits=False)
    marketo.token()
    token = marketo.since()
    failures: list[BaseException] = []

    def run(worker: int) -> None:
        try:
            for number in range(20):
                marketo.sync({"email": f"p{number}@example.test", "firstName": f"w{worker}"})
                marketo.changes(token, "firstName")
        except BaseException as error:  # noqa: BLE001 - a thread's failure has to reach the test
            failures.append(error)

    threads = [threading.Thread(target=run, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert marketo.emulator.control("people_count", {}) == {"people": 20}
    born = [row["leadId"] for row in marketo.activities(token, "12")]
    assert len(born) == len(set(born)) == 20


def other(marketo: Caller, person: int) -> bool:
    return bool(marketo.person(person, "unsubscribed")["unsubscribed"])


def test_durable_unsubscribe_spreads_by_address_when_switched(marketo: Caller) -> None:
    """native-sync.md R146-R149."""
    marketo.option(durable_unsubscribe=True)
    first, second, third = (marketo.create(email=mail) for mail in ("a@x.test", "A@x.test", "b@x.test"))
    token = marketo.since()
    marketo.sync({"id": first, "unsubscribed": True}, action="updateOnly", lookupField="id")
    assert [other(marketo, one) for one in (first, second, third)] == [True, True, False]
    assert {row["leadId"] for row in marketo.activities(token, "13")} == {first, second}
    born = marketo.create(email="a@X.test", unsubscribed=False)
    assert other(marketo, born)
    marketo.sync({"id": third, "email": "a@x.test"}, action="updateOnly", lookupField="id")
    assert other(marketo, third)
    marketo.sync({"id": third, "email": "c@x.test"}, action="updateOnly", lookupField="id")
    assert not other(marketo, third)
    marketo.sync({"id": second, "unsubscribed": False}, action="updateOnly", lookupField="id")
    assert [other(marketo, one) for one in (first, second, born)] == [False] * 3
    assert not other(marketo, marketo.create(email="a@x.test"))


def test_unsubscribing_concerns_one_person_by_default(marketo: Caller) -> None:
    first, second = marketo.create(email="a@x.test"), marketo.create(email="a@x.test")
    marketo.sync({"id": first, "unsubscribed": True}, action="updateOnly", lookupField="id")
    assert not other(marketo, second)
