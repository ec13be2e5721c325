"""Generated people as the two real emulators show them through their APIs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from include.sandbox.people.generation import FLAGS, LEAD_TEXTS, TEXTS, accounts, people
from include.sandbox.server import SandboxServer
from tests.waiting import PATIENCE

COUNT, SEED = 120, 11
MONEY = {"annualRevenue": "revenue"}
LABELS = {
    "leadSource": "leadsourcecode",
    "rating": "leadqualitycode",
    "microsoftPreferredMethodOfContact": "preferredcontactmethodcode",
    "leadStatus": "statecode",
    "microsoftStatusReason": "statuscode",
}
LEAD_ONLY = {*LEAD_TEXTS, *MONEY, "leadSource", "rating"}
FORMATTED = "@OData.Community.Display.V1.FormattedValue"


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxServer]:
    with SandboxServer(tmp_path_factory.mktemp("people"), COUNT, SEED) as server:
        yield server


def call(url: str, method: str, path: str, body: bytes | None, headers: dict[str, str] | None = None) -> Any:
    connection = HTTPConnection(url.removeprefix("http://"), timeout=PATIENCE)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        content = response.read()
    finally:
        connection.close()
    assert response.status == 200, content
    return json.loads(content)


@pytest.fixture(scope="module")
def persons(sandbox: SandboxServer) -> dict[str, dict[str, Any]]:
    """Every person by Microsoft Id, as Marketo shows it."""
    secret = {"grant_type": "client_credentials", "client_id": "sandbox", "client_secret": "sandbox"}
    token = call(sandbox.marketo_url, "GET", f"/identity/oauth/token?{urlencode(secret)}", None)["access_token"]
    fields = [*TEXTS, *LEAD_TEXTS, *FLAGS, *MONEY, *LABELS, "microsoftId", "microsoftType", "microsoftCreatedDate"]
    ids = ",".join(str(number) for number in range(1001, 1001 + COUNT))
    asked = urlencode({"filterType": "id", "filterValues": ids, "fields": ",".join([*fields, "microsoftIsDeleted"])})
    answer = call(
        sandbox.marketo_url, "GET", f"/rest/v1/leads.json?{asked}", None, {"Authorization": f"Bearer {token}"}
    )
    assert answer["success"], answer
    return {person["microsoftId"]: person for person in answer["result"]}


@pytest.fixture(scope="module")
def records(sandbox: SandboxServer) -> dict[str, tuple[str, dict[str, Any]]]:
    """Every lead and contact by key, with its table, as Dynamics shows it."""
    url = sandbox.dynamics_url
    form = {"grant_type": "client_credentials", "client_id": "sandbox", "client_secret": "sandbox"}
    body = urlencode({**form, "scope": f"{url}/.default"}).encode()
    form_type = "application/x-www-form-urlencoded"
    token = call(url, "POST", "/sandbox/oauth2/v2.0/token", body, {"Content-Type": form_type})["access_token"]
    found = {}
    for table in ("lead", "contact"):
        headers = {"Authorization": f"Bearer {token}", "Prefer": 'odata.include-annotations="*"'}
        for row in call(url, "GET", f"/api/data/v9.2/{table}s", None, headers)["value"]:
            found[row[f"{table}id"]] = (table, row)
    return found


def test_both_hold_as_many_as_were_asked_for(persons: dict[str, Any], records: dict[str, Any]) -> None:
    assert len(persons) == len(records) == COUNT
    assert set(persons) == set(records)


def test_each_pair_is_equal_on_every_field_of_the_default_map(
    persons: dict[str, dict[str, Any]], records: dict[str, tuple[str, dict[str, Any]]]
) -> None:
    for key, (table, row) in records.items():
        person = persons[key]
        texts = TEXTS | (LEAD_TEXTS if table == "lead" else {}) | (MONEY if table == "lead" else {})
        shown = {field: person[field] for field in texts}
        assert shown == {field: row[column] for field, column in texts.items()}
        assert {field: bool(person[field]) for field in FLAGS} == {field: row[name] for field, name in FLAGS.items()}
        labels = {name: column for name, column in LABELS.items() if table == "lead" or name not in LEAD_ONLY}
        assert {name: person[name] for name in labels} == {
            name: row.get(f"{column}{FORMATTED}") for name, column in labels.items()
        }
        assert person["microsoftType"] == table.capitalize()
        assert person["microsoftCreatedDate"] == row["createdon"]
        assert not person["microsoftIsDeleted"]


def test_generated_values_are_stored_unchanged(records: dict[str, tuple[str, dict[str, Any]]]) -> None:
    for pair in people(SEED, COUNT):
        assert pair.record is not None
        row = records[pair.record[f"{pair.table}id"]][1]
        sent = {name: value for name, value in pair.record.items() if name != "parentcustomerid"}
        assert {name: row[name] for name in sent} == sent


def test_contacts_show_their_account(records: dict[str, tuple[str, dict[str, Any]]]) -> None:
    names = {row["accountid"]: row["name"] for row in accounts(SEED)}
    for table, row in records.values():
        if table == "contact":
            account = row["_parentcustomerid_value"]
            assert row[f"_parentcustomerid_value{FORMATTED}"] == names[account]


def test_loading_leaves_no_activity_behind(sandbox: SandboxServer) -> None:
    secret = {"grant_type": "client_credentials", "client_id": "sandbox", "client_secret": "sandbox"}
    token = call(sandbox.marketo_url, "GET", f"/identity/oauth/token?{urlencode(secret)}", None)["access_token"]
    asked = {"Authorization": f"Bearer {token}"}
    since = quote("2019-01-01T00:00:00Z")
    path = f"/rest/v1/activities/pagingtoken.json?sinceDatetime={since}"
    page = call(sandbox.marketo_url, "GET", path, None, asked)["nextPageToken"]
    changes = f"/rest/v1/activities/leadchanges.json?nextPageToken={page}&fields=email"
    assert not call(sandbox.marketo_url, "GET", changes, None, asked).get("result")


def test_the_folder_can_be_opened_again(sandbox: SandboxServer, tmp_path: Path) -> None:
    sandbox.control("snapshot.save", {"name": "copy"})
    sandbox.control("snapshot.restore", {"name": "copy"})
    assert sandbox.control("people_count") == {"people": COUNT}
