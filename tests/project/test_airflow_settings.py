"""airflow_settings.yaml: the Astro CLI's form, readable without it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from include.leadsync.config import connection_from_parts
from scripts.local_airflow.settings import connection_json, read


def test_it_names_the_connections_that_the_hooks_ask_for(project_root: Path) -> None:
    settings = read(project_root / "airflow_settings.yaml")
    assert {entry["conn_id"]: entry["conn_type"] for entry in settings.connections} == {
        "marketo_default": "marketo",
        "dynamics_default": "dynamics",
    }


def test_its_connections_are_complete_and_lead_to_the_sandbox(project_root: Path) -> None:
    for entry in read(project_root / "airflow_settings.yaml").connections:
        connection = connection_from_parts(entry["conn_type"], connection_json(entry))
        assert connection.host.startswith("http://127.0.0.1:88")
        assert (connection.client_id, connection.client_secret) == ("sandbox", "sandbox")


def test_it_has_every_pool_that_a_task_names(project_root: Path) -> None:
    from leadsync_hooks.cycle_tasks import DYNAMICS_POOL, MARKETO_POOL

    settings = read(project_root / "airflow_settings.yaml")
    assert {entry["pool_name"] for entry in settings.pools} == {MARKETO_POOL, DYNAMICS_POOL}
    assert all(entry["pool_slot"] >= 2 for entry in settings.pools)


def test_it_has_the_switch_that_stops_all_writing_and_it_is_off(project_root: Path) -> None:
    from leadsync_hooks.operators import DRY_RUN_SWITCH
    from leadsync_hooks.runs import is_switched_on

    (variable,) = read(project_root / "airflow_settings.yaml").variables
    assert variable["variable_name"] == DRY_RUN_SWITCH
    assert isinstance(variable["variable_value"], str)
    assert not is_switched_on(variable["variable_value"])


def test_an_extra_becomes_the_text_that_airflow_stores() -> None:
    entry = {"conn_id": "x", "conn_type": "dynamics", "conn_extra": {"tenant_id": "t"}}
    assert json.loads(connection_json(entry)["extra"]) == {"tenant_id": "t"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "airflow"),
        ("airflow: []", "airflow"),
        ("airflow:\n  connections:\n    - conn_type: marketo\n", "connections[0]"),
        ("airflow:\n  pools:\n    - pool_name: a\n    - 5\n", "pools[1]"),
    ],
)
def test_a_mistake_in_it_is_told_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "airflow_settings.yaml"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"airflow_settings\.yaml") as raised:
        read(file)
    assert said in str(raised.value)
