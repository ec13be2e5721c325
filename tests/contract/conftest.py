"""Each scenario runs against the sandbox and, where the environment names one, against the real service.

Read-only unless CONTRACT_WRITE=1; the variables are in docs/clients.md.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from include.leadsync.clients.budget import NullBudget
from include.leadsync.clients.dynamics import DynamicsClient
from include.leadsync.clients.marketo import MarketoClient
from include.leadsync.clients.transport import RequestsTransport
from include.leadsync.clock import SystemClock
from include.leadsync.model import Connection
from include.sandbox.server import SandboxServer
from tests.contract.services import NAMED, WRITE, Service, dynamics_login, marketo_login, real


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxServer]:
    folder: Path = tmp_path_factory.mktemp("contract")
    with SandboxServer(folder, people=8) as server:
        yield server


@pytest.fixture(params=["sandbox", *(["real"] if NAMED else [])])
def where(request: pytest.FixtureRequest) -> str:
    if request.param == "real" and request.node.get_closest_marker("writes") and os.environ.get(WRITE) != "1":
        pytest.skip(f"writes to a real service; set {WRITE}=1")
    return str(request.param)


def _real(service: str) -> Connection:
    found = real(service)
    if found is None:
        pytest.skip(f"no real {service.title()} in the environment (CONTRACT_{service}_HOST …)")
    return found


@pytest.fixture
def marketo_connection(where: str, request: pytest.FixtureRequest) -> Connection:
    if where == "real":
        return _real("MARKETO")
    return Connection(request.getfixturevalue("sandbox").marketo_url, "sandbox", "sandbox")


@pytest.fixture
def dynamics_connection(where: str, request: pytest.FixtureRequest) -> Connection:
    if where == "real":
        return _real("DYNAMICS")
    url = request.getfixturevalue("sandbox").dynamics_url
    return Connection(url, "sandbox", "sandbox", tenant_id="sandbox", authority=url)


@pytest.fixture
def marketo(marketo_connection: Connection) -> Iterator[Service]:
    service = Service(marketo_connection, marketo_login)
    with service.session:
        yield service


@pytest.fixture
def dynamics(dynamics_connection: Connection) -> Iterator[Service]:
    service = Service(dynamics_connection, dynamics_login, "/api/data/v9.2/")
    with service.session:
        yield service


@pytest.fixture
def transport() -> Iterator[RequestsTransport]:
    made = RequestsTransport()
    yield made
    made.close()


@pytest.fixture
def marketo_client(marketo_connection: Connection, transport: RequestsTransport) -> MarketoClient:
    return MarketoClient(marketo_connection, transport=transport, budget=NullBudget(), clock=SystemClock())


@pytest.fixture
def dynamics_client(dynamics_connection: Connection, transport: RequestsTransport) -> DynamicsClient:
    return DynamicsClient(dynamics_connection, transport=transport, budget=NullBudget(), clock=SystemClock())
