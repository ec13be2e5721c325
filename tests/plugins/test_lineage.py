"""OpenLineage: what each step reads and writes, as the provider sends it; nothing where nobody listens."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from airflow.providers.openlineage import conf as openlineage
from airflow.providers.openlineage.extractors.manager import ExtractorManager
from airflow.providers.openlineage.plugins.adapter import OpenLineageAdapter
from airflow.utils.state import TaskInstanceState
from openlineage.client import OpenLineageClient
from openlineage.client.transport.file import FileConfig, FileTransport

from include.leadsync.model import Connection, System
from leadsync_hooks import airflow_names, engine, operators
from leadsync_hooks.lineage import datasets
from leadsync_hooks.operators import StepOperator

CONNECTIONS = {
    System.MARKETO: Connection("https://123-abc-456.mktorest.com", "client", "marketo-secret"),
    System.DYNAMICS: Connection("https://org.crm4.dynamics.com", "client", "dynamics-secret", tenant_id="t"),
}
STATE, STAGING = "postgresql+psycopg://sync:db-secret@db.example:5433/leads", "s3://key:s3-secret@bucket/lead/sync"
PERSONS = {"namespace": "marketo://123-abc-456.mktorest.com", "name": "leads"}
LEADS = {"namespace": "dataverse://org.crm4.dynamics.com", "name": "lead"}
CONTACTS = {**LEADS, "name": "contact"}
CHANGES = {"namespace": "s3://bucket", "name": "lead/sync/changes"}
PLAN = {**CHANGES, "name": "lead/sync/plan"}
OUTBOX = {"namespace": "postgres://db.example:5433", "name": "leads.public.operation"}


@pytest.fixture
def listened(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody configured a transport."""
    monkeypatch.setattr(operators, "lineage_is_wanted", lambda: True)
    monkeypatch.setattr(engine, "connections", lambda: CONNECTIONS)
    monkeypatch.setenv("LEADSYNC_STATE_URL", STATE)
    monkeypatch.setenv("LEADSYNC_STAGING", STAGING)


def emitted(file: Path, task: StepOperator, result: Mapping[str, Any]) -> dict[str, Any]:
    """What a file transport gets when a task has ended: by the provider's own way from the operator to the event."""
    task.trace(task.step, task.stream, "20260301T100500Z-1a2b3c", result)
    manager = ExtractorManager()  # type: ignore[no-untyped-call]
    told = manager.extract_metadata(
        SimpleNamespace(run_id="r"), task, task_instance_state=TaskInstanceState.SUCCESS, task_instance=None
    )
    client = OpenLineageClient(transport=FileTransport(FileConfig(log_file_path=str(file), append=True)))
    nothing: dict[str, Any] = dict.fromkeys(
        ("nominal_start_time", "nominal_end_time", "owners", "tags", "job_description")
    )
    OpenLineageAdapter(client=client).complete_task(
        run_id=str(uuid4()), job_name="lead_sync.task", end_time="2026-03-01T10:05:00Z", task=told, **nothing
    )
    event: dict[str, Any] = json.loads(file.read_text())
    return event


@pytest.mark.parametrize(
    ("step", "stream", "read", "written"),
    [
        ("extract", "person", [PERSONS], [CHANGES]),
        ("extract", "contact", [CONTACTS], [CHANGES]),
        ("compare", None, [PERSONS, LEADS, CONTACTS], [CHANGES]),
        ("plan", None, [CHANGES], [PLAN]),
        ("enqueue", None, [PLAN], [OUTBOX]),
        ("load", None, [OUTBOX], [PERSONS, LEADS, CONTACTS]),
        ("merge", None, [], []),
    ],
)
def test_each_step_tells_what_it_read_and_wrote_and_no_secret(
    listened: None,
    tmp_path: Path,
    step: str,
    stream: str | None,
    read: list[dict[str, str]],
    written: list[dict[str, str]],
) -> None:
    event = emitted(tmp_path / "events", StepOperator(task_id="t", step=step, kind="cycle", stream=stream), {})

    def places(side: str) -> list[dict[str, str]]:
        return [{"namespace": one["namespace"], "name": one["name"]} for one in event[side]]

    assert event["eventType"] == "COMPLETE"
    assert (places("inputs"), places("outputs")) == (read, written)
    assert event["run"]["facets"]["externalQuery"]["externalQueryId"] == "20260301T100500Z-1a2b3c"
    assert "secret" not in json.dumps(event)


def test_rows_are_counted_where_they_are_known(listened: None, tmp_path: Path) -> None:
    load = StepOperator(task_id="t", step="load", kind="cycle")
    event = emitted(tmp_path / "events", load, {"inbound_done": 7, "outbound_done": 2})
    counts = {one["name"]: one["outputFacets"].get("outputStatistics", {}).get("rowCount") for one in event["outputs"]}
    assert counts == {"leads": 7, "lead": None, "contact": None}


def test_nothing_is_told_and_no_connection_is_read_where_no_transport_is_configured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert openlineage.is_disabled()
    assert airflow_names.lineage_is_wanted() is False
    monkeypatch.setattr(engine, "connections", lambda: pytest.fail("nobody listens"))
    task = StepOperator(task_id="t", step="load", kind="cycle")
    task.trace("load", None, "r", {})
    assert task.get_openlineage_facets_on_complete(None) is None


def test_a_local_sandbox_is_named_by_its_files(tmp_path: Path) -> None:
    places = datasets(CONNECTIONS, str(tmp_path / "staging"), f"sqlite:///{tmp_path}/state.db")
    assert places["changes"] == ("file", f"{tmp_path}/staging/changes")
    assert places["outbox"] == ("file", f"{tmp_path}/state.db")
