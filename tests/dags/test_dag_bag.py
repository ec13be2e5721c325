"""What holds for every DAG of the project."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

CYCLES = {"lead_sync", "lead_sync_backfill", "lead_sync_reconcile", "lead_sync_undo"}
EXPECTED = {*CYCLES, "sync_person_to_microsoft", "lead_sync_approval", "lead_sync_watch"}
STEPS = ["recover", "link", "merge", "plan", "validate", "enqueue", "load", "activity", "finish"]


def test_the_folder_holds_exactly_the_expected_dags(bag: Any) -> None:
    assert set(bag.dags) == EXPECTED


def test_every_file_can_be_imported(bag: Any) -> None:
    assert set(bag.dags) == EXPECTED
    assert bag.import_errors == {}


@pytest.mark.parametrize("dag_id", sorted(EXPECTED))
def test_a_dag_explains_itself_in_the_ui(dags: Mapping[str, Any], dag_id: str) -> None:
    dag = dags[dag_id]
    assert dag.description
    assert len(dag.doc_md) > 200
    assert {"lead-sync", "marketo", "dynamics"} <= set(dag.tags)


@pytest.mark.parametrize("dag_id", sorted(EXPECTED))
def test_every_task_has_an_owner_an_end_and_a_bounded_number_of_retries(dags: Mapping[str, Any], dag_id: str) -> None:
    for task in dags[dag_id].tasks:
        assert task.owner == "lead-sync", task.task_id
        assert 1 <= task.retries <= 2, task.task_id
        assert timedelta(minutes=1) <= task.execution_timeout <= timedelta(hours=6), task.task_id
        assert task.on_failure_callback, task.task_id


@pytest.mark.parametrize("dag_id", sorted(EXPECTED))
def test_missed_intervals_are_not_made_up_for(dags: Mapping[str, Any], dag_id: str) -> None:
    assert dags[dag_id].catchup is False


def test_the_background_sync_runs_one_at_a_time(dags: Mapping[str, Any]) -> None:
    assert dags["lead_sync"].max_active_runs == 1


def test_the_full_compare_runs_at_night_and_compares_before_it_reads(dags: Mapping[str, Any]) -> None:
    dag = dags["lead_sync_reconcile"]
    assert (dag.timetable.expression, dag.max_active_runs) == ("17 1 * * *", 1)
    task = dag.task_dict["compare"]
    assert (task.step, task.kind, task.upstream_task_ids) == ("compare", "reconcile", {"recover"})
    assert task.downstream_task_ids == {"extract_persons", "extract_records"}
    assert list(dag.params) == ["dry_run"]


def test_the_background_sync_has_real_data_intervals_of_five_minutes(dags: Mapping[str, Any]) -> None:
    timetable = dags["lead_sync"].timetable
    assert type(timetable).__name__ == "CronDataIntervalTimetable"
    assert timetable.expression == "*/5 * * * *"


def test_only_the_background_sync_the_full_compare_and_the_watch_start_by_themselves(dags: Mapping[str, Any]) -> None:
    scheduled = {dag_id for dag_id, dag in dags.items() if type(dag.timetable).__name__ != "NullTimetable"}
    assert scheduled == {"lead_sync", "lead_sync_reconcile", "lead_sync_watch"}


@pytest.mark.parametrize("dag_id", sorted(CYCLES))
def test_the_steps_of_a_cycle_come_in_their_order(dags: Mapping[str, Any], dag_id: str) -> None:
    dag = dags[dag_id]
    order = [task.task_id for task in dag.topological_sort() if task.task_id in STEPS]
    assert order == STEPS
    assert dag.task_dict["link"].upstream_task_ids == {"extract_persons", "extract_records"}
    assert dag.task_dict["load"].upstream_task_ids == {"enqueue"}


@pytest.mark.parametrize("dag_id", sorted(CYCLES))
def test_dynamics_records_are_extracted_table_by_table(dags: Mapping[str, Any], dag_id: str) -> None:
    task = dags[dag_id].task_dict["extract_records"]
    assert task.is_mapped
    assert task.expand_input.value == {"stream": ["lead", "contact"]}


@pytest.mark.parametrize("dag_id", sorted(CYCLES))
def test_tasks_that_call_an_api_count_in_its_pool(dags: Mapping[str, Any], dag_id: str) -> None:
    tasks = dags[dag_id].task_dict
    pools = {task_id: task.pool for task_id, task in tasks.items() if task.pool != "default_pool"}
    assert pools.pop("compare", "marketo_api") == "marketo_api"
    assert pools == {
        "recover": "marketo_api",
        "extract_persons": "marketo_api",
        "extract_records": "dynamics_api",
        "link": "marketo_api",
        "load": "marketo_api",
        "activity": "marketo_api",
    }


@pytest.mark.parametrize("dag_id", sorted(CYCLES))
def test_plan_and_report_are_one_click_away(dags: Mapping[str, Any], dag_id: str) -> None:
    links = {task.task_id: [link.name for link in task.operator_extra_links] for task in dags[dag_id].tasks}
    assert {task_id: names for task_id, names in links.items() if names} == {
        "plan": ["Plan"],
        "validate": ["Validation report"],
        "finish": ["Validation report"],
        "ask_approval": ["Triggered DAG"],
    }


@pytest.mark.parametrize("dag_id", sorted(CYCLES))
def test_a_held_plan_is_asked_about_in_a_run_of_its_own_beside_the_loader(dags: Mapping[str, Any], dag_id: str) -> None:
    tasks = dags[dag_id].task_dict
    assert tasks["held_plans"].upstream_task_ids == {"enqueue"}
    assert tasks["finish"].upstream_task_ids == {"activity"}
    asking = tasks["ask_approval"]
    assert asking.is_mapped
    assert asking.upstream_task_ids == {"held_plans"}
    assert asking.partial_kwargs["trigger_dag_id"] == "lead_sync_approval"
    assert asking.partial_kwargs["skip_when_already_exists"] is True


def test_a_hundred_plans_may_wait_at_once_each_for_a_week(dags: Mapping[str, Any]) -> None:
    dag = dags["lead_sync_approval"]
    assert dag.max_active_runs == 100
    ask, decide = dag.task_dict["ask"], dag.task_dict["decide"]
    assert (ask.waits, ask.options, ask.defaults) == (timedelta(days=7), ["Approve", "Reject"], ["Reject"])
    assert ask.response_timeout == timedelta(minutes=15)
    assert decide.upstream_task_ids == {"ask"}


@pytest.mark.parametrize("dag_id", sorted(CYCLES))
def test_lineage_leads_from_both_systems_over_staging_plan_and_outbox_to_both(
    dags: Mapping[str, Any], dag_id: str
) -> None:
    tasks = dags[dag_id].task_dict
    flows = {}
    for name, task in tasks.items():
        into, out = (task.partial_kwargs[k] if task.is_mapped else getattr(task, k) for k in ("inlets", "outlets"))
        if into or out:
            flows[name] = ([asset.name for asset in into], [asset.name for asset in out])
    both = ["marketo_persons", "dynamics_leads", "dynamics_contacts"]
    assert flows == {
        "extract_persons": (["marketo_persons"], ["leadsync_staging"]),
        "extract_records": (["dynamics_leads", "dynamics_contacts"], ["leadsync_staging"]),
        "plan": (["leadsync_staging"], ["leadsync_plan"]),
        "enqueue": (["leadsync_plan"], ["leadsync_outbox"]),
        "load": (["leadsync_outbox"], both),
    }


def test_requests_are_stored_and_served_in_one_task_because_somebody_waits(dags: Mapping[str, Any]) -> None:
    (task,) = dags["sync_person_to_microsoft"].tasks
    assert task.pool == "marketo_api"
    assert [link.name for link in task.operator_extra_links] == ["Plan", "Validation report"]


def test_dag_files_stay_short_and_hold_no_functions(project_root: Path) -> None:
    files = sorted((project_root / "dags").glob("*.py"))
    assert len(files) == len(EXPECTED)
    for file in files:
        text = file.read_text()
        assert len(text.splitlines()) < 80, file.name
        assert not re.search(r"^\s*(async )?def |^class ", text, re.MULTILINE), file.name
