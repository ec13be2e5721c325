"""Raw calls to the Marketo emulator: no client of the project, only requests and JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from include.sandbox.clock import MovableClock
from include.sandbox.marketo import MarketoEmulator
from include.sandbox.service import Request, Response

START = datetime(2026, 3, 1, 10, tzinfo=UTC)
FORM = "application/x-www-form-urlencoded"
Body = dict[str, Any]


def frozen_clock(at: datetime = START) -> MovableClock:
    clock = MovableClock()
    clock.freeze(at)
    return clock


@dataclass
class Caller:
    """One instance and one client of it."""

    folder: Path
    clock: MovableClock = field(default_factory=frozen_clock)
    options: Mapping[str, Any] = field(default_factory=dict)
    client: str = "sandbox"
    _token: str = ""

    def __post_init__(self) -> None:
        self.emulator = MarketoEmulator(self.folder, self.clock, options=self.options)

    def restart(self) -> None:
        self.emulator.close()
        self.emulator = MarketoEmulator(self.folder, self.clock, options=self.options)

    def raw(
        self, method: str, path: str, query: str = "", body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Response:
        return self.emulator.handle(Request(method, path, query, headers or {}, body))

    def identity(self, **query: str) -> Response:
        asked = {"grant_type": "client_credentials", "client_id": self.client, "client_secret": self.client, **query}
        return self.raw("GET", "/identity/oauth/token", urlencode(asked))

    def token(self) -> str:
        self._token = str(json.loads(self.identity().body)["access_token"])
        return self._token

    def send(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | str = "",
        *,
        body: object = None,
        form: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """A call with the client's token."""
        sent = {"authorization": f"Bearer {self._token or self.token()}"}
        content = b""
        if form is not None:
            sent["content-type"], content = FORM, urlencode(form, doseq=True).encode()
        elif body is not None:
            sent["content-type"], content = "application/json", json.dumps(body).encode()
        text = query if isinstance(query, str) else urlencode(query, doseq=True)
        return self.raw(method, path, text, content, {**sent, **(headers or {})})

    def get(self, path: str, **query: Any) -> Body:
        return answer(self.send("GET", path, query))

    def post(self, path: str, body: object = None, **query: Any) -> Body:
        return answer(self.send("POST", path, query, body=body))

    # -- short forms of frequent calls ------------------------------------------------------------

    def sync(self, *records: Mapping[str, Any], **members: Any) -> list[Body]:
        found = self.post("/rest/v1/leads.json", {**members, "input": list(records)})
        assert found["success"], found
        return list(found["result"])

    def create(self, **values: Any) -> int:
        (made,) = self.sync(values, action="createDuplicate")
        assert made["status"] == "created", made
        return int(made["id"])

    def person(self, person_id: int, *fields: str) -> Body:
        found = self.get(f"/rest/v1/lead/{person_id}.json", **({"fields": ",".join(fields)} if fields else {}))
        return dict(found["result"][0])

    def exists(self, person_id: int) -> bool:
        return bool(self.get(f"/rest/v1/lead/{person_id}.json")["result"])

    def since(self, when: str = "2026-01-01T00:00:00Z") -> str:
        return str(self.get("/rest/v1/activities/pagingtoken.json", sinceDatetime=when)["nextPageToken"])

    def feed(self, path: str, token: str, **query: Any) -> tuple[list[Body], str]:
        """All rows from a token on, and the last token."""
        rows: list[Body] = []
        for _ in range(1000):
            page = self.get(f"/rest/v1/activities{path}.json", nextPageToken=token, **query)
            rows += page.get("result", [])
            token = page["nextPageToken"]
            if not page["moreResult"]:
                return rows, token
        raise AssertionError("the feed does not end")

    def changes(self, token: str, fields: str, **query: Any) -> list[Body]:
        return self.feed("/leadchanges", token, fields=fields, **query)[0]

    def activities(self, token: str, types: str, **query: Any) -> list[Body]:
        return self.feed("", token, activityTypeIds=types, **query)[0]

    def make_list(self, name: str = "List 1", **more: Any) -> int:
        return int(self.emulator.control("create_list", {"name": name, **more})["id"])

    def make_field(self, name: str, kind: str, display: str = "") -> None:
        definition = {"name": name, "displayName": display or name, "dataType": kind}
        self.emulator.control("create_fields", {"fields": [definition]})

    def option(self, **values: Any) -> None:
        self.emulator.control("set_options", values)


def answer(response: Response) -> Body:
    assert response.status == 200, response
    return dict(json.loads(response.body))


def header(response: Response, name: str) -> str | None:
    return next((value for key, value in response.headers if key.lower() == name.lower()), None)


def code(found: Body) -> str:
    """The code of a failed request."""
    assert found["success"] is False, found
    assert "result" not in found
    (error,) = found["errors"]
    return str(error["code"])


def reason(result: Body, key: str = "reasons") -> tuple[str, str]:
    """Code and text of a skipped record."""
    assert result["status"] == "skipped", result
    (found,) = result[key]
    return found["code"], found["message"]


def ids(records: Sequence[Mapping[str, Any]]) -> list[int]:
    return [record["id"] for record in records]


def attributes(row: Mapping[str, Any]) -> dict[str, Any]:
    return {each["name"]: each["value"] for each in row["attributes"]}
