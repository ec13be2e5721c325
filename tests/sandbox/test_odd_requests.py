"""Requests thrown together from real addresses, real parameters and rubbish: neither service ever fails inside.

Seeded, so that a failure comes again; tens of thousands were played when this was written.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from include.sandbox.clock import MovableClock
from include.sandbox.dynamics import DynamicsEmulator
from include.sandbox.marketo import MarketoEmulator
from include.sandbox.service import Emulator, Json, Request

HOST = "http://sandbox.example"
REQUESTS = 500
LOGIN = {"grant_type": "client_credentials", "client_id": "sandbox", "client_secret": "sandbox"}
FORM = "application/x-www-form-urlencoded"
RUBBISH = (
    "", "0", "-1", "1001", "9" * 25, "null", "true", "[]", "{}", "'", "''", '"', "%", "%00", "\0", "a'b", "é", "\ud800",
    "𝔘", "x" * 9000, "1001,1002", "1,,2", "NaN", "1e400", "../..", "2020-01-01", "9999-12-31T23:59:59+14:00",
    "0001-01-01", "<script>", "$select", "(", "))((", "a eq 'b'", "contains(", "()", "\r\nX: y", "+1", "١٢", "leadid=1",
    "00000000-0000-0000-0000-000000000000", "lastname eq 'x'", "contains(lastname,'a')", "createdon gt 2020-01-01",
    "not lastname", "1 eq 1", "a/b/c eq 1", "startswith(1,2)", "<fetch", "<fetch><entity name='lead'/></fetch>",
    "groupby((statecode),aggregate($count as n))", "lastname desc", "customerid_account($select=name)",
)  # fmt: skip
MEMBERS = (
    "id", "email", "input", "leadId", "lastName", "action", "lookupField", "name", "fields", "filter",
    "createdAt", "startAt", "folder", "type", "attributes", "activityDate", "Target", "Targets", "@odata.type",
    "leadid", "lastname", "jobtitle", "parentcustomerid", "ownerid@odata.bind", "revenue", "statecode",
    "UpdateContent", "Subordinate",
)  # fmt: skip
MARKETO_PATHS = (
    "/rest/v1/leads.json", "/rest/v1/lead/1001.json", "/rest/v1/leads/describe.json",
    "/rest/v1/leads/schema/fields.json", "/rest/v1/lists/1001/leads.json", "/rest/v1/activities.json",
    "/rest/v1/activities/leadchanges.json", "/rest/v1/activities/pagingtoken.json",
    "/rest/v1/activities/external.json", "/rest/v1/activities/external/type.json",
    "/rest/v1/activities/deletedleads.json", "/rest/v1/leads/1001/merge.json", "/rest/v1/leads/delete.json",
    "/rest/v1/leads/partitions.json", "/bulk/v1/leads/export/create.json",
    "/bulk/v1/activities/export/create.json", "/bulk/v1/leads.json", "/rest/asset/v1/staticLists.json",
    "/rest/v1/leads/push.json", "/rest/v1/stats/usage.json", "/rest/v1/leads/submitForm.json",
    "/identity/oauth/token", "/rest/v1/companies.json",
)  # fmt: skip
MARKETO_NAMES = (
    "filterType", "filterValues", "fields", "batchSize", "nextPageToken", "activityTypeIds", "leadIds",
    "listId", "_method", "sinceDatetime", "id", "leadId", "name", "format", "lookupField", "folder",
    "maxReturn", "offset", "access_token",
)  # fmt: skip
DYNAMICS_PATHS = (
    "leads", "contacts", "accounts", "systemusers", "tasks", "activitypointers", "opportunities",
    "EntityDefinitions", "$batch", "$metadata", "WhoAmI", "QualifyLead", "Merge", "RelationshipDefinitions",
    "GlobalOptionSetDefinitions", "EntityDefinitions(LogicalName='lead')/Attributes",
    "leads/Microsoft.Dynamics.CRM.CreateMultiple", "leads/Microsoft.Dynamics.CRM.UpdateMultiple",
)  # fmt: skip
DYNAMICS_NAMES = (
    "$select", "$filter", "$expand", "$orderby", "$top", "$count", "$apply", "$skiptoken", "$deltatoken",
    "fetchXml", "tag", "$search", "@p1",
)  # fmt: skip


class Thrower:
    """Makes requests; the same seed makes the same ones."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)

    def text(self) -> str:
        if self.random.random() < 0.75:
            return self.random.choice(RUBBISH)
        return "".join(chr(self.random.randrange(1, 0x250)) for _ in range(self.random.randrange(12)))

    def value(self, depth: int = 0) -> Json:
        kind = self.random.randrange(8)
        if kind < 4 or depth > 2:
            return self.text()
        if kind == 4:
            return self.random.choice([0, -1, 1001, 2**63, 2**70, 1.5, 1e308, True, False, None])
        if kind == 5:
            return [self.value(depth + 1) for _ in range(self.random.randrange(4))]
        return {self.random.choice(MEMBERS): self.value(depth + 1) for _ in range(self.random.randrange(5))}

    def query(self, names: tuple[str, ...]) -> str:
        pairs = [(self.random.choice(names), self.text()) for _ in range(self.random.randrange(4))]
        return "&".join(f"{name}={quote(text, errors='replace')}" for name, text in pairs)

    def body(self) -> bytes:
        raw = [b"", b"{", b"\xff\xfe"]
        raw.append(b"--b\r\nContent-Type: application/http\r\n\r\nGET leads HTTP/1.1\r\n\r\n--b--\r\n")
        raw.append(b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nemail\n"x\r\n--b--\r\n')
        objects = [self.value(), {"input": [self.value() for _ in range(3)]}, {"lastname": self.value()}]
        content = self.random.choice(objects)
        kept = self.random.random() < 0.3
        return self.random.choice(raw) if kept else json.dumps(content).encode("utf-8", "replace")

    def marketo(self, token: str) -> Request:
        number = self.random.choice(["1001", quote(self.text(), errors="replace")])
        path = self.random.choice(MARKETO_PATHS).replace("1001", number)
        kinds = ["application/json", FORM, "multipart/form-data; boundary=b", "multipart/form-data", ""]
        headers = {"authorization": f"Bearer {token}", "content-type": self.random.choice(kinds)}
        method = self.random.choice(["GET", "POST", "POST", "DELETE", "PUT", "HEAD", "OPTIONS"])
        return Request(method, path, self.query(MARKETO_NAMES), headers, self.body(), HOST)

    def dynamics(self, token: str) -> Request:
        text = quote(self.text(), errors="replace")
        key = self.random.choice(["", "", f"({text})", f"(leadid={self.random.random()})"])
        end = self.random.choice(["", "", "/$count", "/$ref", "/lastname/$value", f"/{text}"])
        headers = {
            "authorization": f"Bearer {token}",
            "content-type": self.random.choice(["application/json", "multipart/mixed; boundary=b", ""]),
            "prefer": self.random.choice(["", "odata.maxpagesize=3", "odata.track-changes", "odata.maxpagesize=x"]),
            "if-match": self.random.choice(["", "*", 'W/"1"', "junk"]),
        }
        method = self.random.choice(["GET", "GET", "POST", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS"])
        path = f"/api/data/v9.2/{self.random.choice(DYNAMICS_PATHS)}{key}{end}"
        return Request(method, path, self.query(DYNAMICS_NAMES), headers, self.body(), HOST)


def token_of(emulator: Emulator) -> str:
    if emulator.name == "marketo":
        request = Request("GET", "/identity/oauth/token", urlencode(LOGIN), {}, b"", HOST)
    else:
        form = urlencode({**LOGIN, "scope": f"{HOST}/.default"}).encode()
        request = Request("POST", "/sandbox/oauth2/v2.0/token", "", {"content-type": FORM}, form, HOST)
    return str(json.loads(emulator.handle(request).body)["access_token"])


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("make", [MarketoEmulator, DynamicsEmulator], ids=["marketo", "dynamics"])
def test_no_request_makes_a_service_fail_inside(
    make: Callable[..., Any], seed: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    emulator: Emulator = make(tmp_path, MovableClock(), options={"limits": False})
    thrower, token = Thrower(seed), token_of(emulator)
    try:
        for _ in range(REQUESTS):
            request = getattr(thrower, emulator.name)(token)
            response = emulator.handle(request)
            assert 200 <= response.status < 500, request
            assert b'"611"' not in response.body, request  # what Marketo answers when a handler broke
        assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
    finally:
        emulator.close()
