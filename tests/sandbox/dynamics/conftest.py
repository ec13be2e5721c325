"""A Dataverse org and a caller that speaks raw requests: no project client is involved."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from include.sandbox.clock import MovableClock
from include.sandbox.dynamics import DynamicsEmulator
from include.sandbox.service import Request, Response

BASE = "https://org.example"
ROOT = "/api/data/v9.2/"
START = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
FORM = {"grant_type": "client_credentials", "client_id": "sandbox", "client_secret": "sandbox"}
FORM["scope"] = f"{BASE}/.default"
SANDBOX_USER = "5a9db0c5-0000-4000-8000-000000000012"
ANN = "5a9db0c5-0000-4000-8000-000000000021"
BO = "5a9db0c5-0000-4000-8000-000000000022"
ERIK_DISABLED = "5a9db0c5-0000-4000-8000-000000000025"
TEAM = "5a9db0c5-0000-4000-8000-000000000031"
USD = "5a9db0c5-0000-4000-8000-000000000041"
EUR = "5a9db0c5-0000-4000-8000-000000000042"
NOWHERE = "99999999-9999-4999-8999-999999999999"


def content(response: Response) -> Any:
    return json.loads(response.body)


def header(response: Response, name: str) -> str | None:
    return next((value for key, value in response.headers if key.lower() == name.lower()), None)


def code(response: Response) -> str:
    return str(content(response)["error"]["code"])


def message(response: Response) -> str:
    return str(content(response)["error"]["message"])


@dataclass
class Org:
    """One org and one caller; every method is one request."""

    emulator: DynamicsEmulator
    clock: MovableClock
    token: str = ""
    defaults: dict[str, str] = field(default_factory=dict)

    def ask_token(self, form: Mapping[str, str], *, tenant: str = "sandbox", **headers: str) -> Response:
        request = Request(
            "POST", f"/{tenant}/oauth2/v2.0/token", headers=headers, body=urlencode(form).encode(), base_url=BASE
        )
        return self.emulator.handle(request)

    def sign_in(self, client: str = "sandbox") -> str:
        self.token = content(self.ask_token(FORM | {"client_id": client, "client_secret": client}))["access_token"]
        return self.token

    def call(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None, **options: str
    ) -> Response:
        """`options` become `$` query options; a query may also stand in the path, raw."""
        target, _, query = path.partition("?")
        if options:
            pairs = "&".join(f"${name}={quote(value, safe='')}" for name, value in options.items())
            query = f"{query}&{pairs}" if query else pairs
        sent = {"accept": "application/json", **self.defaults}
        if self.token:
            sent["authorization"] = f"Bearer {self.token}"
        sent |= {name.lower(): value for name, value in (headers or {}).items()}
        payload = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        if target.startswith(BASE):
            target = target.removeprefix(BASE)
        elif not target.startswith("/"):
            target = ROOT + target
        return self.emulator.handle(Request(method, quote(target, safe="/$()=',%@.-_~"), query, sent, payload, BASE))

    def get(self, path: str, headers: Mapping[str, str] | None = None, **options: str) -> Response:
        return self.call("GET", path, None, headers, **options)

    def read(self, path: str, headers: Mapping[str, str] | None = None, **options: str) -> Any:
        """The content of a GET that must succeed."""
        response = self.get(path, headers, **options)
        assert response.status == 200, response.body
        return content(response)

    def values(self, path: str, **options: str) -> list[dict[str, Any]]:
        """The `value` of a collection that must be readable."""
        return list(self.read(path, None, **options)["value"])

    def create(self, entity_set: str, body: Mapping[str, Any], **headers: str) -> str:
        """Create a row that must be accepted; returns its id."""
        response = self.call("POST", entity_set, body, headers)
        assert response.status == 204, response.body
        address = header(response, "OData-EntityId") or ""
        return address[-37:-1]

    def change(self, path: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Response:
        return self.call("PATCH", path, body, headers)

    def control(self, command: str, **arguments: Any) -> Any:
        return self.emulator.control(command, arguments)


@pytest.fixture
def clock() -> MovableClock:
    clock = MovableClock()
    clock.freeze(START)
    return clock


@pytest.fixture(scope="session")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a new org, made once at `START`: tests work on copies."""
    folder, clock = tmp_path_factory.mktemp("untouched"), MovableClock()
    clock.freeze(START)
    DynamicsEmulator(folder, clock).close()
    return folder / "dynamics.sqlite"


@pytest.fixture
def make_org(tmp_path: Path, clock: MovableClock, untouched: Path) -> Iterator[Callable[..., Org]]:
    """Opens the org of the test's folder, again and again if asked."""
    opened: list[DynamicsEmulator] = []
    shutil.copyfile(untouched, tmp_path / untouched.name)

    def make(**options: Any) -> Org:
        emulator = DynamicsEmulator(tmp_path, clock, options=options)
        opened.append(emulator)
        org = Org(emulator, clock)
        org.sign_in()
        return org

    yield make
    for emulator in opened:
        emulator.close()


@pytest.fixture
def org(make_org: Callable[..., Org]) -> Org:
    return make_org()
