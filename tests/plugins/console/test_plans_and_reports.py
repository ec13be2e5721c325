"""What a run staged: the plan as a readable diff, the validation report as the engine wrote it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from starlette.testclient import TestClient

from leadsync_console import dag_runs
from leadsync_console.views import runs
from leadsync_hooks.runs import engine_run_id
from tests.console.stored import RUNS, SCRIPT
from tests.plugins.console.conftest import RUN

OUTSIDE = "not for your eyes"


@pytest.fixture
def staging(home: Path) -> Path:
    (home / "report.html").write_text(OUTSIDE)
    return home / "staging"


def test_the_report_of_a_run_is_shown_as_the_engine_wrote_it(staging: Path, vic: TestClient) -> None:
    (staging / RUN / "report.html").write_text("<p>två fel, 二つ</p>")
    answer = vic.get(f"/reports/{RUN}")
    assert answer.status_code == 200
    assert answer.text == "<p>två fel, 二つ</p>"
    assert "script-src" not in answer.headers["content-security-policy"]
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_a_run_without_a_report_says_so(staging: Path, vic: TestClient) -> None:
    answer = vic.get("/reports/20260301T120000Z-000000")
    assert answer.status_code == 404
    assert "no validation report" in answer.text


@pytest.mark.parametrize(
    "run_id", ["..", "%2e%2e", "..%2f..", "%2e%2e%2freport.html", ".", "a/../..", "x%00", "x" * 81, "-", "a.b"]
)
def test_no_path_leads_out_of_the_staging_folder(staging: Path, vic: TestClient, run_id: str) -> None:
    for page in ("reports", "plans", "runs"):
        answer = vic.get(f"/{page}/{run_id}", follow_redirects=True)
        if answer.status_code == 200:  # the address itself was another page of the console, without its tail
            assert answer.url.path in {"/", "/runs"}
        else:
            assert answer.status_code in {400, 404}
        assert OUTSIDE not in answer.text


def test_a_plan_is_a_diff_whose_values_are_text_and_nothing_else(staging: Path, vic: TestClient) -> None:
    plan = pa.table(
        {
            "op_id": ["o1", "o2"],
            "person_id": [1001, 1002],
            "field": ["title", "city"],
            "before": [SCRIPT, None],
            "after": ["Chief of 茶", ""],
            "rule": ["R40", "R41"],
        }
    )
    pq.write_table(plan, staging / RUN / "plan.parquet")
    (staging / RUN / "plan_summary.json").write_text(json.dumps({"operations": 2, "held": 0, "held_ops": ["o1"]}))
    pq.write_table(pa.table({"op_id": ["o2"]}), staging / RUN / "refused.parquet")
    text = vic.get(f"/plans/{RUN}").text
    assert text.count("Refused, waits for a change") == 1
    assert "2 field writes" in text
    assert "2 operations" in text
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert "<ins><bdi>Chief of 茶</bdi></ins>" in text
    assert '<del><span class="empty">empty</span></del>' in text
    assert 'href="/persons/1001"' in text
    assert "on a lead Marketo wins" in text


def test_a_long_plan_comes_in_pages_and_can_be_narrowed(staging: Path, vic: TestClient) -> None:
    names = {"op_id": [f"o{n}" for n in range(500)], "person_id": list(range(500)), "field": ["title"] * 500}
    pq.write_table(pa.table({**names, "before": ["a"] * 500, "after": ["b"] * 500}), staging / RUN / "plan.parquet")
    first = vic.get(f"/plans/{RUN}").text
    assert "500 field writes" in first
    assert "1 to 200 shown" in first
    last = vic.get(f"/plans/{RUN}?offset=400").text
    assert "401 to 500 shown" in last
    assert 'rel="next"' not in last
    assert last.count('class="record"') == 100
    assert vic.get(f"/plans/{RUN}?person=77").text.count('class="record"') == 1
    assert vic.get(f"/plans/{RUN}?offset=many").status_code == 400


def test_a_run_leads_to_the_dag_run_that_it_was_and_to_no_other(
    vic: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.utils import session as sessions

    run_after = datetime(2026, 3, 1, 12, tzinfo=UTC)
    rows = [("lead_sync", "manual__else", run_after, 0), ("lead_sync", "scheduled__a b+c", run_after, 2)]

    @contextmanager
    def create_session() -> Iterator[Any]:
        yield SimpleNamespace(execute=lambda _: rows)

    monkeypatch.setattr(sessions, "create_session", create_session)
    run_id = engine_run_id(*rows[1])
    for cleared in (0, 1, 2):
        before = engine_run_id("lead_sync", "scheduled__a b+c", run_after, cleared)
        assert dag_runs.dag_run_path(before) == "/dags/lead_sync/runs/scheduled__a%20b%2Bc"
    assert dag_runs.dag_run_path(run_id[:-1] + "x") is None
    assert dag_runs.dag_run_path("by-hand") is None
    rows.clear()
    assert dag_runs.dag_run_path(run_id) is None
    monkeypatch.setattr(runs, "dag_run_path", lambda _: "/dags/lead_sync/runs/a")
    assert 'href="/dags/lead_sync/runs/a"' in vic.get(f"/runs/{RUNS[1]}").text
    framed = vic.get(f"/runs/{RUNS[1]}", headers={"sec-fetch-dest": "iframe"}).text
    assert 'href="/dags' not in framed  # Airflow inside Airflow
    assert "/dags/lead_sync/runs/a" in framed


def test_a_run_is_shown_when_airflows_database_does_not_answer(
    vic: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.utils import session as sessions
    from sqlalchemy.exc import OperationalError

    def create_session() -> Any:
        raise OperationalError("SELECT", {}, Exception("away"))

    monkeypatch.setattr(sessions, "create_session", create_session)
    monkeypatch.setattr(runs, "dag_run_path", dag_runs.dag_run_path)
    assert vic.get(f"/runs/{RUNS[1]}").status_code == 200


def test_the_dags_whose_runs_are_looked_for_exist(project_root: Path) -> None:
    written = "".join(file.read_text("utf-8") for file in (project_root / "dags").glob("*.py"))
    assert [name for name in dag_runs.DAG_IDS if f'dag_id="{name}"' not in written] == []


def test_a_run_shows_what_it_did_and_no_path_of_the_machine(staging: Path, vic: TestClient) -> None:
    done = vic.get(f"/runs/{RUNS[2]}").text
    assert "inbound done" in done
    assert "2 to Marketo, 1 to Dynamics" in done
    assert "has written nothing" in done
    wrote = vic.get(f"/runs/{RUNS[0]}").text
    assert wrote.count('class="record"') == 6
    assert f"undo {RUNS[0]} --dry-run" in wrote
    failed = vic.get(f"/runs/{RUNS[3]}").text
    assert "/srv/app" not in failed
    assert "is away" in failed
    assert vic.get("/runs/20260301T120000Z-000000").status_code == 404
