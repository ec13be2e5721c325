"""The host around the two real emulators: races, faults and commands as the engine's tests use them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from include.sandbox.dynamics.control import COMMANDS
from include.sandbox.people.generation import FIRST_PERSON_ID, people
from include.sandbox.server import SandboxServer
from tests.waiting import PATIENCE

LEAD = next(pair for pair in people(3, 20) if pair.table == "lead")
assert LEAD.record is not None
LEAD_ID = LEAD.record["leadid"]
LEAD_PATH = f"/api/data/v9.2/leads({LEAD_ID})"


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[SandboxServer]:
    with SandboxServer(tmp_path / "data", people=20, seed=3) as server:
        yield server


def send(
    url: str, method: str, path: str, content: object = None, headers: dict[str, str] | None = None
) -> tuple[int, Any, dict[str, str]]:
    connection = HTTPConnection(url.removeprefix("http://"), timeout=PATIENCE)
    body = None if content is None else json.dumps(content).encode()
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"} | (headers or {}))
        response = connection.getresponse()
        text = response.read()
        return response.status, json.loads(text) if text else None, dict(response.getheaders())
    finally:
        connection.close()


def dynamics_headers(sandbox: SandboxServer) -> dict[str, str]:
    connection = HTTPConnection(sandbox.dynamics_url.removeprefix("http://"), timeout=PATIENCE)
    form = {"grant_type": "client_credentials", "client_id": "sandbox", "client_secret": "sandbox"}
    body = urlencode({**form, "scope": f"{sandbox.dynamics_url}/.default"})
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    try:
        connection.request("POST", "/sandbox/oauth2/v2.0/token", body, kind)
        token = json.loads(connection.getresponse().read())["access_token"]
    finally:
        connection.close()
    return {"Authorization": f"Bearer {token}"}


def marketo_headers(sandbox: SandboxServer) -> dict[str, str]:
    query = urlencode({"grant_type": "client_credentials", "client_id": "sandbox", "client_secret": "sandbox"})
    answer = send(sandbox.marketo_url, "GET", f"/identity/oauth/token?{query}")[1]
    return {"Authorization": f"Bearer {answer['access_token']}"}


def test_an_edit_that_comes_between_read_and_write_is_not_overwritten(sandbox: SandboxServer) -> None:
    headers = dynamics_headers(sandbox)
    etag = send(sandbox.dynamics_url, "GET", LEAD_PATH, None, headers)[1]["@odata.etag"]
    edit = {"entity": "lead", "id": LEAD_ID, "values": {"jobtitle": "edited under way"}}
    then = {"service": "dynamics", "command": "edit_row", "arguments": edit}
    sandbox.control("faults.set", {"rules": [{"method": "PATCH", "times": 1, "effect": {"then": then}}]})
    ours = {"jobtitle": "ours"}
    status, answer, _ = send(sandbox.dynamics_url, "PATCH", LEAD_PATH, ours, headers | {"If-Match": etag})
    assert (status, answer["error"]["code"].lower()) == (412, "0x80060882")
    row = sandbox.control("read_row", {"entity": "lead", "id": LEAD_ID}, service="dynamics")
    assert row["jobtitle"] == "edited under way"


def test_a_person_can_be_edited_while_the_crm_record_is_written(sandbox: SandboxServer) -> None:
    edit = {"id": FIRST_PERSON_ID + LEAD.index, "values": {"title": "edited under way"}}
    then = {"service": "marketo", "command": "edit_person", "arguments": edit}
    sandbox.control("faults.set", {"rules": [{"service": "dynamics", "method": "PATCH", "effect": {"then": then}}]})
    headers = dynamics_headers(sandbox)
    assert send(sandbox.dynamics_url, "PATCH", LEAD_PATH, {"jobtitle": "ours"}, headers)[0] == 204
    path = f"/rest/v1/lead/{FIRST_PERSON_ID + LEAD.index}.json?fields=title"
    assert send(sandbox.marketo_url, "GET", path, None, marketo_headers(sandbox))[1]["result"][0]["title"] == (
        "edited under way"
    )


def test_a_write_whose_answer_was_lost_is_there(sandbox: SandboxServer) -> None:
    headers = dynamics_headers(sandbox)
    sandbox.control("faults.set", {"rules": [{"method": "PATCH", "effect": {"drop": "after"}}]})
    with pytest.raises(ConnectionError):
        send(sandbox.dynamics_url, "PATCH", LEAD_PATH, {"jobtitle": "kept"}, headers)
    assert sandbox.control("read_row", {"entity": "lead", "id": LEAD_ID}, service="dynamics")["jobtitle"] == "kept"


def test_calls_carry_the_client_of_both_services(sandbox: SandboxServer) -> None:
    send(sandbox.dynamics_url, "GET", LEAD_PATH, None, dynamics_headers(sandbox))
    send(sandbox.marketo_url, "GET", "/rest/v1/leads/describe.json", None, marketo_headers(sandbox))
    clients = {(call.service, call.path): call.client for call in sandbox.calls.entries()}
    assert clients["dynamics", LEAD_PATH] == "sandbox"
    assert clients["marketo", "/rest/v1/leads/describe.json"] == "sandbox"
    assert not [call for call in sandbox.calls.entries() if "client_secret=sandbox" in call.query]


def test_a_token_expires_when_the_clock_is_advanced(sandbox: SandboxServer) -> None:
    headers = dynamics_headers(sandbox)
    sandbox.control("clock.advance", {"seconds": 4000})
    assert send(sandbox.dynamics_url, "GET", LEAD_PATH, None, headers)[0] == 401


def test_a_restored_snapshot_takes_back_what_the_api_wrote(sandbox: SandboxServer) -> None:
    sandbox.control("snapshot.save")
    send(sandbox.dynamics_url, "DELETE", LEAD_PATH, None, dynamics_headers(sandbox))
    read = {"entity": "lead", "id": LEAD_ID}
    assert sandbox.control("read_row", read, service="dynamics") is None
    sandbox.control("snapshot.restore")
    assert sandbox.control("read_row", read, service="dynamics")["leadid"] == LEAD_ID


@pytest.mark.parametrize("asked", [{"count": 5, "seed": 3}, {"count": 5, "start": 15, "seed": 3}, {"count": -1}])
def test_people_that_are_there_already_are_refused_whole(sandbox: SandboxServer, asked: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"start where the last ones ended|negative"):
        sandbox.control("people.add", asked)
    assert sandbox.control("people_count", service="marketo")["people"] == 20


@pytest.mark.parametrize("service", ["marketo", "dynamics"])
def test_every_documented_command_of_an_emulator_exists(
    sandbox: SandboxServer, project_root: Path, service: str
) -> None:
    names = documented(project_root, service)
    assert len(names) > 10
    for name in names:
        try:
            sandbox.emulator_command(service, name, {})
        except KeyError as error:
            missing = str(error.args[0])
            assert missing != name
        except ValueError:
            continue


def test_every_command_of_the_dynamics_emulator_is_documented(project_root: Path) -> None:
    assert sorted(COMMANDS.keys() - set(documented(project_root, "dynamics"))) == []


def documented(project_root: Path, service: str) -> list[str]:
    """The commands that the first cells of an emulator's table name."""
    text = (project_root / "docs" / "sandbox.md").read_text("utf-8")
    section = text.partition(f"## Commands of the {service.capitalize()} emulator")[2].partition("\n## ")[0]
    cells = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    return [name for cell in cells for name in re.findall("`(.+?)`", cell)]
