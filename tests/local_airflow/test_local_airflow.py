"""A real local Airflow on the real DAG folder: what `make up` and `make demo` stand on."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import pytest
import requests

from scripts.demo.systems import Dynamics, Marketo
from scripts.local_airflow import AirflowRest, LocalAirflow, RestFailed, StartFailed
from scripts.local_airflow.environment import Secrets, environment
from scripts.local_airflow.rest import DagRun
from scripts.sandbox_process import SandboxProcess
from tests.local_airflow.conftest import PLANTED, SECRET_ECHOED, WEBHOOK_SECRET, processes_of
from tests.local_airflow.kills import held, let_the_retry_come, let_time_pass, settle

NOBODY = "http://127.0.0.1:1"


def test_it_finds_our_dags_and_no_errors(airflow: LocalAirflow) -> None:
    airflow.rest.wait_for_dags({"lead_sync", "lead_sync_backfill", "sync_person_to_microsoft"})
    assert airflow.rest.import_errors() == {}


def test_it_holds_what_the_settings_file_says(airflow: LocalAirflow) -> None:
    pools = {pool["name"]: pool["slots"] for pool in airflow.rest.call("GET", "/pools")["pools"]}
    assert pools["marketo_api"] == pools["dynamics_api"] == 4
    variables = airflow.rest.call("GET", "/variables")["variables"]
    assert {variable["key"]: variable["value"] for variable in variables} == {"leadsync_dry_run": "no"}
    found = {entry["connection_id"]: entry for entry in airflow.rest.call("GET", "/connections")["connections"]}
    assert {name: entry["conn_type"] for name, entry in found.items()} == {
        "marketo_default": "marketo",
        "dynamics_default": "dynamics",
    }


def test_a_connection_of_the_environment_is_shown_as_it_is_used_without_its_secret(
    airflow: LocalAirflow, sandbox: SandboxProcess
) -> None:
    found = airflow.rest.call("GET", "/connections/marketo_default")
    assert (found["conn_type"], found["host"], found["password"]) == ("marketo", sandbox.marketo_url, "***")


def test_the_ui_has_a_form_for_each_connection_type(airflow: LocalAirflow) -> None:
    forms = {form["connection_type"]: form for form in airflow.rest.page("/ui/connections/hook_meta").json()}
    assert forms["marketo"]["hook_name"] == "Marketo"
    assert forms["marketo"]["standard_fields"]["login"]["title"] == "Client Id"
    assert forms["dynamics"]["hook_name"] == "Microsoft Dynamics 365"
    assert "tenant_id" in forms["dynamics"]["extra_fields"]


def test_the_test_button_says_why_a_connection_does_not_work(airflow: LocalAirflow) -> None:
    body = {"connection_id": "x", "conn_type": "marketo", "host": NOBODY, "login": "me", "password": "pass-word-1"}
    answer = airflow.rest.call("POST", "/connections/test", body)
    assert answer["status"] is False
    assert "pass-word-1" not in answer["message"]
    assert answer["message"]


@pytest.mark.parametrize("conn_id", ["marketo_default", "dynamics_default"])
def test_the_test_button_works_on_a_connection_as_the_form_shows_it(airflow: LocalAirflow, conn_id: str) -> None:
    shown = airflow.rest.call("GET", f"/connections/{conn_id}")
    answer = airflow.rest.call("POST", "/connections/test", shown)
    assert answer["status"] is True, answer["message"]
    assert "answers" in answer["message"]


def test_a_whole_cycle_runs_against_the_sandbox_and_its_plan_and_report_are_a_click_away(
    airflow: LocalAirflow, cycle: tuple[DagRun, str]
) -> None:
    run, state = cycle
    states = airflow.rest.task_states(run)
    failed = [task for task, end in states.items() if end == "failed"]
    assert state == "success", [airflow.rest.log(run, task) for task in failed if "[" not in task] or states
    others = {task: end for task, end in states.items() if end != "success"}
    assert others in ({}, {"ask_approval": "skipped"})  # nothing is held, so nobody is asked
    for task, label, said in (("plan", "Plan", "field writes"), ("validate", "Validation report", "<html")):
        address = airflow.rest.links(run, task)[label]
        assert address is not None
        page = airflow.rest.page(address.removeprefix(airflow.url))
        assert page.status_code == 200
        assert said in page.text
        engine_run = address.rpartition("/")[2]
        assert (
            f'href="/dags/lead_sync/runs/{quote(run.run_id, safe="")}"'
            in airflow.rest.page(f"/leadsync/runs/{engine_run}").text
        )  # and back from there to the DAG run


def test_what_airflow_keeps_and_shows_of_runs_has_no_secret_and_no_value_of_a_person_in_it(
    airflow: LocalAirflow, sandbox: SandboxProcess, cycle: tuple[DagRun, str], refused: tuple[DagRun, str]
) -> None:
    """XCom, rendered templates, configurations, logs, tracebacks: the metadata database, every file, the UI (P10)."""
    assert Marketo(sandbox.marketo_url).by_email(PLANTED[0])  # it was carried
    assert airflow.rest.xcom(cycle[0], "enqueue")["failures_logged"] == 1  # and the other refused, by its address
    assert refused[1] == "failed"
    kept = {path.name: path.read_bytes() for path in airflow.airflow_home.rglob("*") if path.is_file()}
    with closing(sqlite3.connect(airflow.airflow_home / "airflow.db")) as connection:
        kept["airflow.db"] = "\n".join(connection.iterdump()).encode()
    kept |= {
        f"UI {run.dag_id} {name}": text.encode() for run, _ in (cycle, refused) for name, text in shown(airflow, run)
    }
    assert cycle[0].run_id.encode() in kept["airflow.db"]  # what is there is found
    assert b"refused access" in kept["UI sync_person_to_microsoft log of sync_persons"]
    markers = [WEBHOOK_SECRET, SECRET_ECHOED, *PLANTED]
    assert [(name, marker) for name, content in kept.items() for marker in markers if marker.encode() in content] == []


def shown(airflow: LocalAirflow, run: DagRun) -> Iterator[tuple[str, str]]:
    """What the UI asks for when somebody looks at a run: the run, its tasks with rendered templates, XCom, logs."""
    path = f"/dags/{run.dag_id}/dagRuns/{quote(run.run_id, safe='')}"
    for part in ("", "/taskInstances?limit=100", "/taskInstances/~/xcomEntries?limit=100"):
        yield part, str(airflow.rest.call("GET", path + part))
    for task, state in airflow.rest.task_states(run).items():
        if "[" not in task and state in {"success", "failed"}:
            yield f"log of {task}", airflow.rest.log(run, task)


def test_a_webhook_gets_a_record_made_and_sent_again_makes_no_second_one(
    airflow: LocalAirflow, sandbox: SandboxProcess
) -> None:
    airflow.rest.wait_for_dags({"sync_person_to_microsoft"})
    marketo, dynamics = Marketo(sandbox.marketo_url), Dynamics(sandbox.dynamics_url)
    person = marketo.add(email="hook@example.com", firstName="We", lastName="Bhook", company="Tea")
    body = {"person": str(person), "token": "campaign-7", "sync_as": "contact"}
    url, secret = f"{airflow.url}/leadsync-webhook/requests", {"X-Lead-Sync-Secret": WEBHOOK_SECRET}
    assert requests.post(url, json=body, timeout=60).status_code == 401
    first = requests.post(url, json=body, headers=secret, timeout=60).json()
    again = requests.post(url, json=body, headers=secret, timeout=60).json()
    assert (first["outcome"], again) == ("stored", {**first, "outcome": "known"})
    run = DagRun("sync_person_to_microsoft", f"webhook__{first['request']}")
    assert airflow.rest.wait(run) == "success"
    found = dynamics.find("contact", "emailaddress1 eq 'hook@example.com'", "contactid,lastname", 5)
    assert [contact["lastname"] for contact in found] == ["Bhook"]


def test_a_task_killed_in_the_middle_of_a_write_is_tried_again_and_makes_nothing_twice(
    airflow: LocalAirflow, sandbox: SandboxProcess
) -> None:
    """Dynamics has made the record when the task dies, and nobody has heard of it (P4)."""
    airflow.rest.wait_for_dags({"sync_person_to_microsoft"})
    marketo, dynamics = Marketo(sandbox.marketo_url), Dynamics(sandbox.dynamics_url)
    person = marketo.add(email="once@example.com", firstName="On", lastName="Ce", company="Tea")
    creation = {"service": "dynamics", "path": "batch", "body": "once@example.com"}
    with held(airflow, sandbox, creation) as kill:
        run = airflow.rest.trigger("sync_person_to_microsoft", {"persons": [person], "sync_as": "contact"})
        kill("task")
    (made,) = dynamics.find("contact", "emailaddress1 eq 'once@example.com'", "contactid", 5)
    assert marketo.person_of(made["contactid"]) == {}  # not even told
    let_time_pass(airflow)
    let_the_retry_come(airflow, run, "sync_persons")
    assert airflow.rest.wait(run) == "success"
    assert airflow.rest.tries(run, "sync_persons") == 2
    settle(airflow, sandbox)  # the person is told whose record it is
    assert dynamics.find("contact", "emailaddress1 eq 'once@example.com'", "contactid", 5) == [made]
    assert [found["id"] for found in marketo.by_email("once@example.com")] == [person]
    assert marketo.person_of(made["contactid"])["id"] == person


def test_nonsense_in_a_form_is_refused(airflow: LocalAirflow) -> None:
    airflow.rest.wait_for_dags({"lead_sync"})
    with pytest.raises(RestFailed) as refused:
        airflow.rest.trigger("lead_sync", {"entity": "account"})
    assert refused.value.status == 400


def test_a_viewer_may_look_but_start_nothing(airflow: LocalAirflow) -> None:
    airflow.rest.wait_for_dags({"lead_sync"})
    viewer = airflow.viewer()
    try:
        assert "lead_sync" in viewer.dag_ids()
        with pytest.raises(RestFailed) as refused:
            viewer.trigger("lead_sync")
        assert refused.value.status == 403
        assert viewer.page("/leadsync/reports/20260301T120000Z-abc123").status_code == 404
    finally:
        viewer.close()


def test_our_pages_ask_for_airflows_login(airflow: LocalAirflow) -> None:
    for page in ("reports", "plans"):
        address = f"{airflow.url}/leadsync/{page}/20260301T120000Z-abc123"
        assert requests.get(address, timeout=60).status_code == 401


def test_the_console_is_in_the_navigation_for_viewers_and_takes_changes_from_its_own_pages_only(
    airflow: LocalAirflow,
) -> None:
    plugins = {plugin["name"]: plugin for plugin in airflow.rest.call("GET", "/plugins")["plugins"]}
    (view,) = plugins["leadsync_console"]["external_views"]
    assert requests.get(f"{airflow.url}{view['href']}", timeout=30).status_code == 401
    viewer = airflow.viewer()
    try:
        page = viewer.page(view["href"])
        assert (page.status_code, "API budgets" in page.text) == (200, True)
        found = viewer.page("/leadsync/persons?q=nobody%40example.com&live=1").text
        assert "Neither system knows" in found  # so both were asked, with the connections of the API server
        cookies, change = {"_token": viewer.token()}, f"{airflow.url}/leadsync/errors/retry"
        own = {"Origin": airflow.url}
        refused = requests.post(change, {"activity": 1}, cookies=cookies, headers=own, timeout=30)
        assert refused.status_code == 403
    finally:
        viewer.close()
    cookies = {"_token": airflow.rest.token()}
    elsewhere = {"Origin": "https://elsewhere.example"}
    for headers, status in ((elsewhere, 403), ({}, 403), (own, 303)):
        answer = requests.post(
            change, {"activity": 1}, cookies=cookies, headers=headers, timeout=30, allow_redirects=False
        )
        assert answer.status_code == status, answer.text
    rows = airflow.rest.call("GET", "/eventLogs?event=leadsync_retry")["event_logs"]
    assert {(row["owner"], row["dag_id"]) for row in rows} == {(airflow.user, "lead_sync")}


def test_a_wrong_password_opens_nothing(airflow: LocalAirflow) -> None:
    stranger = AirflowRest(airflow.url, airflow.user, "guess")
    try:
        with pytest.raises(RestFailed) as refused:
            stranger.token()
        assert refused.value.status == 401
    finally:
        stranger.close()


def test_secrets_are_made_once_and_are_for_their_owner_only(tmp_path: Path) -> None:
    first = Secrets.of(tmp_path)
    assert Secrets.of(tmp_path) == first
    assert (tmp_path / "secrets.json").stat().st_mode & 0o077 == 0
    other = tmp_path / "other"
    other.mkdir()
    assert Secrets.of(other).admin_password != first.admin_password


def test_a_developers_own_airflow_settings_do_not_reach_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", "x")
    monkeypatch.setenv("AIRFLOW_HOME", "/nowhere")
    monkeypatch.setenv("AIRFLOW_CONN_DYNAMICS_DEFAULT", "{}")
    made = environment(tmp_path, 1234, given={"LEADSYNC_SCHEDULE": "none"}, leadsync_home=tmp_path)
    assert made["AIRFLOW__CORE__EXECUTOR"] == "LocalExecutor"
    assert made["AIRFLOW__CORE__FERNET_KEY"] != "x"
    assert made["AIRFLOW_HOME"] == str(tmp_path)
    assert made["AIRFLOW_CONN_DYNAMICS_DEFAULT"] == "{}"
    assert made["LEADSYNC_SCHEDULE"] == "none"


def test_settings_that_cannot_be_loaded_stop_the_start_with_their_mistake(tmp_path: Path) -> None:
    broken = tmp_path / "airflow_settings.yaml"
    broken.write_text("airflow:\n  pools: [5]\n")
    airflow = LocalAirflow(tmp_path / "home", settings=broken)
    with pytest.raises(StartFailed, match=r"pools\[0\]"):
        airflow.start()
    assert processes_of(airflow.airflow_home) == []
