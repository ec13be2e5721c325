"""Reports and plans are shown to those who may see the DAG, and to nobody else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from starlette.requests import Request
from starlette.testclient import TestClient

from leadsync_console import pages

RUN = "20260301T120000Z-abc123"
OUTSIDE = "not for your eyes"


@pytest.fixture
def staging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    staging = tmp_path / "staging"
    (staging / RUN).mkdir(parents=True)
    (tmp_path / "report.html").write_text(OUTSIDE)
    monkeypatch.setenv("LEADSYNC_STAGING", str(staging))
    return staging


class _Manager:
    """Stands for Airflow's auth manager: `ada` may read, others may not."""

    def is_authorized_dag(self, *, method: str, access_entity: Any, details: Any, user: Any) -> bool:
        assert (method, details.id) == ("GET", "lead_sync")
        return bool(user.name == "ada")


@pytest.fixture
def client(staging: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """The app, with `?as=NAME` in place of Airflow's login."""
    from airflow.api_fastapi.core_api.security import get_user

    monkeypatch.setattr(pages, "get_auth_manager", _Manager)
    app = pages.build()

    def user(request: Request) -> Any:
        return SimpleNamespace(name=request.query_params.get("as"))

    app.dependency_overrides[get_user] = user
    with TestClient(app) as client:
        yield client


def test_without_a_login_there_is_nothing_to_see(staging: Path) -> None:
    (staging / RUN / "report.html").write_text("<p>private</p>")
    with TestClient(pages.build()) as stranger:
        for page in ("reports", "plans"):
            answer = stranger.get(f"/{page}/{RUN}")
            assert answer.status_code == 401
            assert "private" not in answer.text


def test_every_route_is_guarded() -> None:
    routes = [route for route in pages.build().routes if hasattr(route, "dependant")]
    assert len(routes) == 2
    for route in routes:
        calls = [dependency.call for dependency in route.dependant.dependencies]
        assert pages.may_read in calls, route


def test_a_user_without_the_right_to_the_dag_is_sent_away(client: TestClient, staging: Path) -> None:
    (staging / RUN / "report.html").write_text("<p>private</p>")
    answer = client.get(f"/reports/{RUN}?as=eve")
    assert answer.status_code == 403
    assert "private" not in answer.text


def test_the_report_of_a_run_is_shown_as_the_engine_wrote_it(client: TestClient, staging: Path) -> None:
    (staging / RUN / "report.html").write_text("<p>två fel, 二つ</p>")
    answer = client.get(f"/reports/{RUN}?as=ada")
    assert answer.status_code == 200
    assert answer.text == "<p>två fel, 二つ</p>"


def test_a_page_may_load_nothing_and_run_no_script(client: TestClient, staging: Path) -> None:
    (staging / RUN / "report.html").write_text("x")
    headers = client.get(f"/reports/{RUN}?as=ada").headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "script-src" not in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"


def test_a_run_without_a_report_says_so(client: TestClient) -> None:
    answer = client.get("/reports/20260301T120000Z-000000?as=ada")
    assert answer.status_code == 404
    assert "no validation report" in answer.text


@pytest.mark.parametrize(
    "run_id", ["..", "%2e%2e", "..%2f..", "%2e%2e%2freport.html", ".", "a/../..", "x%00", "x" * 81, "-", "a.b"]
)
def test_no_path_leads_out_of_the_staging_folder(client: TestClient, run_id: str) -> None:
    for page in ("reports", "plans"):
        answer = client.get(f"/{page}/{run_id}?as=ada")
        assert answer.status_code in {404, 422}
        assert OUTSIDE not in answer.text


def test_a_plan_is_a_table_whose_values_are_text_and_nothing_else(client: TestClient, staging: Path) -> None:
    plan = pa.table(
        {
            "op_id": ["o1", "o2"],
            "person_id": [1001, 1002],
            "field": ["title", "city"],
            "before": ["<script>alert(1)</script>", None],
            "after": ["Chief of 茶", ""],
            "rule": ["R40", "R41"],
        }
    )
    pq.write_table(plan, staging / RUN / "plan.parquet")
    (staging / RUN / "plan_summary.json").write_text(json.dumps({"operations": 2, "held": 0, "held_ops": ["o1"]}))
    text = client.get(f"/plans/{RUN}?as=ada").text
    assert "2 field writes" in text
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "Chief of 茶" in text
    assert '<span class="null">empty</span>' in text
    assert "<dt>operations</dt><dd>2</dd>" in text
    assert "o1" not in text


def test_a_long_plan_is_cut_and_says_how_long_it_is(client: TestClient, staging: Path) -> None:
    pq.write_table(pa.table({"field": ["title"] * 2_500}), staging / RUN / "plan.parquet")
    text = client.get(f"/plans/{RUN}?as=ada").text
    assert "2500 field writes, the first 2000 shown" in text
    assert text.count("<tr>") == 2_001


def test_the_plugin_is_cheap_to_load_and_the_app_is_built_on_the_first_request() -> None:
    from leadsync_console.console_plugin import LeadSyncConsole
    from leadsync_webhook.webhook_plugin import LeadSyncWebhook

    for plugin, prefix in ((LeadSyncConsole, "/leadsync"), (LeadSyncWebhook, "/leadsync-webhook")):
        (app,) = plugin.fastapi_apps
        assert app["url_prefix"] == prefix
        assert "_app" not in vars(app["app"])
        assert callable(app["app"]._app)
        del app["app"]._app
