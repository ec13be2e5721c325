"""The webhook stores a request once, for whoever has the secret, and for nobody else (DECISIONS 28)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from include.leadsync.clock import SystemClock
from include.leadsync.config import Paths
from include.leadsync.errors import StateUnavailable
from include.leadsync.state import Requests, StateStore
from leadsync_hooks import engine
from leadsync_webhook import endpoint

SECRET = "a-long-shared-secret"
HEADER = endpoint.SECRET_HEADER.encode()
ASKED = {"person": 1001, "token": "campaign 7, 2026-03-01", "sync_as": "contact", "owner": "Ann Ax", "reason": "fair"}


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """The runs that the endpoint would have started."""
    started: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(endpoint, "serve_soon", lambda request_id, conf: started.append((request_id, dict(conf))))
    return started


@pytest.fixture
def client(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, served: list[tuple[str, dict[str, Any]]]
) -> Iterator[TestClient]:
    monkeypatch.setenv("LEADSYNC_HOME", str(tmp_path))
    monkeypatch.setattr(endpoint, "_secret", lambda: SECRET)
    with TestClient(endpoint.build()) as client:
        client.headers[endpoint.SECRET_HEADER] = SECRET
        yield client


def stored() -> list[dict[str, Any]]:
    store = StateStore.open(Paths.from_environment().state_url, SystemClock())
    rows: list[dict[str, Any]] = Requests(store).pending().to_pylist()
    store.close()
    return rows


def test_a_request_is_stored_and_a_run_is_started_for_it(
    client: TestClient, served: list[tuple[str, dict[str, Any]]]
) -> None:
    answer = client.post("/requests", json=ASKED)
    assert answer.status_code == 200
    (row,) = stored()
    assert answer.json() == {"request": row["request_id"], "outcome": "stored"}
    wanted = ("contact", "Ann Ax", "fair", "webhook")
    assert (row["sync_as"], row["owner"], row["reason"], row["source"]) == wanted
    conf = {name: value for name, value in ASKED.items() if name != "person"}
    assert served == [(row["request_id"], {"persons": [1001], **conf})]


def test_a_replay_is_known_and_starts_nothing(client: TestClient, served: list[tuple[str, dict[str, Any]]]) -> None:
    first = client.post("/requests", json=ASKED).json()
    assert client.post("/requests", json=ASKED).json() == {**first, "outcome": "known"}
    assert len(stored()) == len(served) == 1
    assert client.post("/requests", json={**ASKED, "token": "another"}).json()["outcome"] == "stored"
    assert client.post("/requests", json={**ASKED, "person": 1002}).json()["outcome"] == "stored"


def test_ids_that_a_template_puts_between_quotes_are_numbers(client: TestClient) -> None:
    assert client.post("/requests", json={"person": "1001", "token": "t"}).status_code == 200
    assert [(row["person_id"], row["sync_as"]) for row in stored()] == [(1001, "lead")]


@pytest.mark.parametrize("given", ["", "wrong", SECRET[:-1], SECRET + "x", SECRET.upper(), "sécret"])
def test_without_the_secret_nothing_is_stored(client: TestClient, given: str) -> None:
    answer = client.post("/requests", json=ASKED, headers={HEADER: given.encode()})
    assert answer.status_code == 401
    assert SECRET not in answer.text
    assert stored() == []


@pytest.mark.parametrize("secret", ["", "short"])
def test_without_a_long_secret_the_endpoint_is_off(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    monkeypatch.setattr(endpoint, "_secret", lambda: secret)
    answer = client.post("/requests", json=ASKED, headers={HEADER: secret.encode()})
    assert answer.status_code == 503
    assert endpoint.SECRET_VARIABLE in answer.json()["detail"]


WRONG = {
    "no person": {"token": "t"},
    "no token": {"person": 1},
    "a person that is no number": {"person": "ada@example.com", "token": "t"},
    "person zero": {"person": 0, "token": "t"},
    "a person beyond all numbers": {"person": 2**63, "token": "t"},
    "an account": {"person": 1, "token": "t", "sync_as": "account"},
    "a token of control characters": {"person": 1, "token": "a\nb"},
    "an endless token": {"person": 1, "token": "t" * 201},
    "a member that nobody knows": {"person": 1, "token": "t", "force": True},
}


@pytest.mark.parametrize("body", WRONG.values(), ids=WRONG)
def test_nonsense_is_refused_without_being_repeated(client: TestClient, body: dict[str, Any]) -> None:
    answer = client.post("/requests", json=body)
    assert answer.status_code == 422
    assert "ada@example.com" not in answer.text
    assert stored() == []


@pytest.mark.parametrize(("body", "status"), [(b"{", 422), (b"\xff", 422), (b"[1]", 422), (b" " * 9_000, 413)])
def test_a_body_that_is_no_request_is_refused(client: TestClient, body: bytes, status: int) -> None:
    assert client.post("/requests", content=body).status_code == status


def test_marketo_is_asked_to_send_again_when_the_state_store_is_away(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, served: list[tuple[str, dict[str, Any]]]
) -> None:
    def away(*_: object, **__: object) -> None:
        raise StateUnavailable("the state store cannot be reached")

    monkeypatch.setattr(engine, "store_requests", away)
    assert client.post("/requests", json=ASKED).status_code == 503
    assert served == []


def test_there_is_nothing_else_to_see(client: TestClient) -> None:
    assert {client.get(path).status_code for path in ("/", "/docs", "/openapi.json", "/redoc")} == {404}
    assert client.get("/requests").status_code == 405
