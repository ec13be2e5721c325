"""Airflow connections become the engine's, and nothing of them leaks."""

from __future__ import annotations

import importlib.metadata
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from include.leadsync.errors import AccessRefused, ConfigurationInvalid
from leadsync_hooks.dynamics import DynamicsHook
from leadsync_hooks.marketo import MarketoHook
from leadsync_hooks.provider import get_provider_info
from leadsync_hooks.service_hook import ServiceHook

SECRET = "s3cr3t-of-the-test"


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> None:
    marketo = {"conn_type": "marketo", "host": "https://1.mktorest.com", "login": "id", "password": SECRET}
    dynamics = {
        "conn_type": "dynamics", "host": "https://contoso.crm.dynamics.com/", "login": "app", "password": SECRET,
        "extra": {"tenant_id": "t-1"},
    }  # fmt: skip
    monkeypatch.setenv("AIRFLOW_CONN_MARKETO_DEFAULT", json.dumps(marketo))
    monkeypatch.setenv("AIRFLOW_CONN_DYNAMICS_DEFAULT", json.dumps(dynamics))


def test_a_marketo_connection_is_read(connections: None) -> None:
    read = MarketoHook().get_conn()
    assert (read.host, read.client_id, read.client_secret) == ("https://1.mktorest.com", "id", SECRET)


def test_a_dynamics_connection_is_read_with_microsofts_login_as_default(connections: None) -> None:
    read = DynamicsHook().get_conn()
    assert read.host == "https://contoso.crm.dynamics.com"
    assert read.tenant_id == "t-1"
    assert read.authority == "https://login.microsoftonline.com"


def test_a_connection_is_looked_up_on_first_use_and_once(connections: None, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    lookup = ServiceHook.get_connection

    def counted(conn_id: str) -> Any:
        asked.append(conn_id)
        return lookup(conn_id)

    monkeypatch.setattr(MarketoHook, "get_connection", staticmethod(counted))
    hook = MarketoHook()
    assert asked == []
    assert hook.get_conn() is hook.get_conn()
    assert asked == ["marketo_default"]


def test_everything_wrong_with_a_connection_is_told_at_once_and_no_value_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broken = {"conn_type": "dynamics", "host": "http://contoso.example", "password": SECRET}
    monkeypatch.setenv("AIRFLOW_CONN_DYNAMICS_DEFAULT", json.dumps(broken))
    with pytest.raises(ConfigurationInvalid) as raised:
        DynamicsHook().get_conn()
    assert len(raised.value.problems) >= 3
    assert SECRET not in str(raised.value)


def test_the_test_button_tells_why_it_failed_without_the_secret(
    connections: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_self: MarketoHook) -> Any:
        raise AccessRefused("marketo", "invalid_client", f"client_secret={SECRET} is wrong", "Check the secret")

    monkeypatch.setattr(MarketoHook, "client", refuse)
    works, message = MarketoHook().test_connection()
    assert not works
    assert "invalid_client" in message
    assert SECRET not in message


def test_the_test_button_works_on_a_connection_that_is_incomplete(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_MARKETO_DEFAULT", json.dumps({"conn_type": "marketo"}))
    works, message = MarketoHook().test_connection()
    assert not works
    assert "host" in message
    assert "login" in message


def test_no_representation_shows_the_secret(connections: None) -> None:
    hook = MarketoHook()
    assert SECRET not in repr(hook.get_conn()) + repr(vars(hook))


def test_the_provider_names_hooks_that_exist_and_agree_with_it() -> None:
    hooks: dict[str, type[ServiceHook]] = {"marketo": MarketoHook, "dynamics": DynamicsHook}
    types = {entry["connection-type"]: entry for entry in get_provider_info()["connection-types"]}
    assert types.keys() == hooks.keys()
    for name, hook in hooks.items():
        assert types[name]["hook-class-name"] == f"{hook.__module__}.{hook.__qualname__}"
        assert hook.conn_type == name
        assert types[name]["ui-field-behaviour"]["placeholders"].keys() >= {"host", "login", "password"}


def test_airflow_accepts_the_provider_description() -> None:
    import jsonschema

    airflow = importlib.metadata.distribution("apache-airflow-core")
    schema = json.loads(Path(str(airflow.locate_file("airflow/provider_info.schema.json"))).read_text())
    jsonschema.validate(get_provider_info(), schema)
    wrong = {**get_provider_info(), "connection-types": [{"connection-type": "marketo"}]}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, schema)


def test_the_hand_written_distribution_leads_airflow_to_the_provider(project_root: Path) -> None:
    assert str(project_root / "plugins") in sys.path
    (entry,) = importlib.metadata.distribution("leadsync-provider").entry_points
    assert entry.group == "apache_airflow_provider"
    assert entry.load() is get_provider_info
