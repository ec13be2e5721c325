"""What the contract says to somebody whose environment names a real service wrongly."""

from __future__ import annotations

import pytest

from include.leadsync.model import Connection
from tests.contract.services import Service, dynamics_login, marketo_login, real

WHOLE = {"HOST": "https://host.example", "CLIENT_ID": "me", "CLIENT_SECRET": "hush"}


@pytest.fixture(autouse=True)
def _unnamed(monkeypatch: pytest.MonkeyPatch) -> None:
    for service in ("MARKETO", "DYNAMICS"):
        for name in (*WHOLE, "TENANT_ID", "AUTHORITY"):
            monkeypatch.delenv(f"CONTRACT_{service}_{name}", raising=False)


@pytest.mark.parametrize("missing", WHOLE)
def test_half_a_connection_is_told_and_not_taken_for_none(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert real("MARKETO") is None
    for name, value in WHOLE.items():
        monkeypatch.setenv(f"CONTRACT_MARKETO_{name}", value)
    assert real("MARKETO") == Connection("https://host.example", "me", "hush")
    monkeypatch.delenv(f"CONTRACT_MARKETO_{missing}")
    with pytest.raises(pytest.fail.Exception, match=f"CONTRACT_MARKETO_{missing} missing"):
        real("MARKETO")


def test_a_dynamics_needs_its_tenant_too(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in WHOLE.items():
        monkeypatch.setenv(f"CONTRACT_DYNAMICS_{name}", value)
    with pytest.raises(pytest.fail.Exception, match="CONTRACT_DYNAMICS_TENANT_ID missing"):
        real("DYNAMICS")


def test_wrong_credentials_are_told_without_the_secret(
    marketo_connection: Connection, dynamics_connection: Connection
) -> None:
    for connection, login in ((marketo_connection, marketo_login), (dynamics_connection, dynamics_login)):
        wrong = Connection(
            connection.host,
            connection.client_id,
            "hush",
            tenant_id=connection.tenant_id,
            authority=connection.authority,
        )
        service = Service(wrong, login)
        with (
            service.session,
            pytest.raises(pytest.fail.Exception, match="no token for these credentials: HTTP 4") as no,
        ):
            service.send("GET", "/")
        assert "hush" not in str(no.value)
