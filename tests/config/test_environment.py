"""Connections and paths from the environment: what is missing is named, and no secret is shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from include.leadsync.config import Paths, connection_from_parts, connections_from_environment
from include.leadsync.errors import ConfigurationInvalid

SECRET = "Tr0ub4dor&3-planted"
MARKETO = {"conn_type": "marketo", "host": "https://123-abc-456.mktorest.com", "login": "client", "password": SECRET}
DYNAMICS = {
    "conn_type": "dynamics",
    "host": "https://org.crm.dynamics.com",
    "login": "app",
    "password": SECRET,
    "extra": {"tenant_id": "contoso"},
}


def environment(marketo: object = MARKETO, dynamics: object = DYNAMICS) -> dict[str, str]:
    return {
        "AIRFLOW_CONN_MARKETO_DEFAULT": marketo if isinstance(marketo, str) else json.dumps(marketo),
        "AIRFLOW_CONN_DYNAMICS_DEFAULT": dynamics if isinstance(dynamics, str) else json.dumps(dynamics),
    }


def mistakes(call: Callable[[], object]) -> list[str]:
    with pytest.raises(ConfigurationInvalid) as caught:
        call()
    assert SECRET not in str(caught.value)
    assert SECRET not in repr(caught.value.problems)
    return [f"{problem.key}: {problem.found}" for problem in caught.value.problems]


def test_both_connections_come_in_airflows_json_form() -> None:
    marketo, dynamics = connections_from_environment(environment())
    assert (marketo.host, marketo.client_id, marketo.client_secret) == (MARKETO["host"], "client", SECRET)
    assert (dynamics.tenant_id, dynamics.authority) == ("contoso", "https://login.microsoftonline.com")
    assert dynamics.verify is True


def test_no_representation_of_a_connection_shows_its_secret() -> None:
    assert SECRET not in repr(connections_from_environment(environment()))


def test_extra_may_be_a_json_text() -> None:
    extra = json.dumps({"tenant_id": "t", "authority": "http://127.0.0.1:8802/"})
    dynamics = {**DYNAMICS, "host": "http://127.0.0.1:8802/", "extra": extra}
    _, connection = connections_from_environment(environment(dynamics=dynamics))
    assert (connection.host, connection.authority) == ("http://127.0.0.1:8802", "http://127.0.0.1:8802")


def test_the_uri_form_is_read_too() -> None:
    uri = "marketo://client:Tr0ub4dor%263-planted@https%3A%2F%2F123-abc-456.mktorest.com/"
    inner = "%7B%22tenant_id%22%3A+%22contoso%22%7D"
    dynamics = f"dynamics://app:Tr0ub4dor%263-planted@org.crm.dynamics.com/?__extra__={inner}"
    assert connections_from_environment(environment(uri, dynamics)) == connections_from_environment(environment())


def test_host_scheme_and_port_may_come_in_parts() -> None:
    parts = {**MARKETO, "host": "localhost", "schema": "http", "port": 8801}
    assert connection_from_parts("marketo", parts).host == "http://localhost:8801"
    assert connection_from_parts("marketo", {**MARKETO, "host": "x.mktorest.com"}).host == "https://x.mktorest.com"


def test_everything_missing_is_named_exactly() -> None:
    assert mistakes(lambda: connections_from_environment({})) == [
        "AIRFLOW_CONN_MARKETO_DEFAULT: nothing",
        "AIRFLOW_CONN_DYNAMICS_DEFAULT: nothing",
    ]
    assert mistakes(lambda: connections_from_environment(environment({"conn_type": "marketo"}, {"login": "x"}))) == [
        "AIRFLOW_CONN_MARKETO_DEFAULT.host: nothing",
        "AIRFLOW_CONN_MARKETO_DEFAULT.login: nothing",
        "AIRFLOW_CONN_MARKETO_DEFAULT.password: nothing",
        "AIRFLOW_CONN_DYNAMICS_DEFAULT.host: nothing",
        "AIRFLOW_CONN_DYNAMICS_DEFAULT.password: nothing",
        "AIRFLOW_CONN_DYNAMICS_DEFAULT.extra.tenant_id: nothing",
    ]


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"conn_type": "http"}, "conn_type: 'http'"),
        ({"host": "http://123.mktorest.com"}, "host: http://123.mktorest.com"),
        ({"host": "ftp://123.mktorest.com"}, "host: no http(s) URL"),
        ({"host": "https://123.mktorest.com/rest"}, "host: more than scheme and host (/rest)"),
        ({"host": f"https://u:{SECRET}@123.mktorest.com"}, "host: a login inside the URL"),
        ({"host": "https://[::1"}, "host: a URL that cannot be read"),
        ({"host": "https://x.test:99999"}, "host: a URL that cannot be read"),
        ({"password": 12345}, "password: int"),
        ({"login": "  "}, "login: str"),
        ({"extra": "{not json"}, "extra: no JSON object"),
        ({"extra": [1]}, "extra: no JSON object"),
        ({"extra": {"verify": False}}, "extra.verify: false"),
        ({"extra": {"verify": "/no/such/ca.pem"}}, "extra.verify: '/no/such/ca.pem'"),
        ({"extra": {"verify": 3}}, "extra.verify: int"),
    ],
)
def test_a_wrong_connection_gets_its_own_sentence(changed: dict[str, object], sentence: str) -> None:
    found = mistakes(lambda: connections_from_environment(environment({**MARKETO, **changed})))
    assert found == [f"AIRFLOW_CONN_MARKETO_DEFAULT.{sentence}"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"conn_type": ', "JSON that cannot be read at character 14"),
        ("client and secret", "neither JSON nor a URI"),
        ("[1]", "neither JSON nor a URI"),
    ],
)
def test_a_connection_that_cannot_be_read_is_named(text: str, sentence: str) -> None:
    found = mistakes(lambda: connections_from_environment(environment(text)))
    assert found == [f"AIRFLOW_CONN_MARKETO_DEFAULT: {sentence}"]


@pytest.mark.parametrize("host", ["http://localhost:1", "http://127.0.0.9", "http://[::1]:8801", "http://a.localhost"])
def test_plain_http_and_no_certificate_check_are_for_this_machine(host: str) -> None:
    connection = connection_from_parts("marketo", {**MARKETO, "host": host, "extra": {"verify": "false"}})
    assert (connection.host, connection.verify) == (host, False)


def test_a_file_of_certificate_authorities_is_passed_on(tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_text("x")
    parts = {**MARKETO, "extra": {"verify": str(bundle)}}
    assert connection_from_parts("marketo", parts).verify == str(bundle)


def test_paths_have_defaults_under_the_home(tmp_path: Path, project_root: Path) -> None:
    paths = Paths.from_environment({"LEADSYNC_HOME": str(tmp_path), "LEADSYNC_CONFIG": ""})
    assert paths.home == tmp_path
    assert paths.config == project_root / "include" / "config" / "leadsync.yaml"
    assert paths.state_url == f"sqlite:///{tmp_path}/state.db"
    assert paths.staging_url == str(tmp_path / "staging")
    assert Paths.from_environment({}).home == project_root / ".leadsync"


def test_paths_follow_the_environment_and_hide_urls_with_passwords() -> None:
    url = f"postgresql+psycopg://u:{SECRET}@db/leadsync"
    paths = Paths.from_environment({"LEADSYNC_STATE_URL": url, "LEADSYNC_STAGING": "s3://bucket/x"})
    assert (paths.state_url, paths.staging_url) == (url, "s3://bucket/x")
    assert SECRET not in repr(paths)


def test_a_state_url_that_is_none_is_refused_without_showing_it() -> None:
    assert mistakes(lambda: Paths.from_environment({"LEADSYNC_STATE_URL": SECRET})) == [
        "LEADSYNC_STATE_URL: a text without ://"
    ]
