"""Who sees the console, who changes something, and that nobody else's page can do it for them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from leadsync_console.access import from_here, may_read, may_write
from tests.console.stored import HELD, RUNS
from tests.plugins.console.conftest import HERE, built, signed_in

PAGES = [
    "/", "/errors", "/errors/causes", "/errors.csv", "/collisions", "/persons", "/persons/1", "/runs", "/requests",
    "/fields", f"/held/{HELD}",
]  # fmt: skip
WRITERS = [
    "/fields/new", "/fields/entry?entity=lead&field=title",
    "/fields/proposal?action=remove&entity=lead&field=fax", "/fields/leadsync.yaml?action=remove&entity=lead&field=fax",
]  # fmt: skip
CHANGES = ["/errors/retry", f"/held/{HELD}/approve", f"/held/{HELD}/reject", "/requests", "/fields",
           f"/runs/{RUNS[1]}/undo"]  # fmt: skip


def _routes() -> list[Any]:
    return [route for route in built().routes if hasattr(route, "dependant")]


def test_every_route_asks_for_the_right_to_read_and_every_change_for_the_right_to_write() -> None:
    routes = [route for route in _routes() if route.path != "/style.css"]  # shows nothing of anybody
    assert len(routes) > 15
    for route in routes:
        calls = [dependency.call for dependency in route.dependant.dependencies]
        assert {may_read, from_here} <= set(calls), route.path
        assert (may_write in calls) == (route.methods != {"GET"}), route.path


def test_without_a_login_there_is_nothing_to_see(home: Path) -> None:
    stranger = TestClient(built())
    for path in PAGES + WRITERS:
        answer = stranger.get(path)
        assert answer.status_code == 401
        assert "example.com" not in answer.text


def test_a_user_without_the_right_to_the_dag_is_sent_away(home: Path) -> None:
    with signed_in("eve") as eve:
        for path in PAGES + WRITERS:
            answer = eve.get(path)
            assert answer.status_code == 403
            assert "may not see" in answer.text


def test_a_viewer_sees_every_page_and_no_button_that_changes_something(vic: TestClient) -> None:
    for path in PAGES:
        answer = vic.get(path)
        assert answer.status_code == 200, path
        assert 'method="post"' not in answer.text


def test_forms_that_prepare_a_change_are_for_those_who_may_make_it(vic: TestClient) -> None:
    for path in WRITERS:
        answer = vic.get(path)
        assert answer.status_code == 403, path
        assert "the right to trigger lead_sync" in answer.text
    assert "/fields/new" not in vic.get("/fields").text


def test_a_viewer_changes_nothing(vic: TestClient, audit_log: list[Any]) -> None:
    for path in CHANGES:
        answer = vic.post(path, data={"activity": "1", "persons": "1"}, headers=HERE)
        assert answer.status_code == 403, path
    assert audit_log == []


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "null"},
        {"origin": "https://evil.example"},
        {"origin": "http://testserver.evil.example"},
        {"origin": "http://testserver:81"},
        {**HERE, "sec-fetch-site": "cross-site"},
        {**HERE, "sec-fetch-site": "same-site"},
    ],
)
def test_a_change_that_another_sites_page_sends_is_refused(
    ada: TestClient, headers: Mapping[str, str], audit_log: list[Any]
) -> None:
    for path in CHANGES:
        answer = ada.post(path, data={"activity": "1", "persons": "1"}, headers=dict(headers))
        assert answer.status_code == 403, path
    assert audit_log == []


def test_the_configured_address_of_airflow_is_a_page_of_ours_too(
    ada: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example/team")
    answer = ada.post("/errors/retry", data={"activity": "1"}, headers={"origin": "https://airflow.example"})
    assert answer.status_code == 303


def test_a_bearer_token_needs_no_origin_because_no_browser_adds_it(ada: TestClient) -> None:
    answer = ada.post("/errors/retry", data={"activity": "1"}, headers={"authorization": "Bearer x"})
    assert answer.status_code == 303


def test_a_page_may_load_nothing_from_elsewhere_and_run_no_script(ada: TestClient) -> None:
    for path in {*PAGES, *WRITERS[:3]} - {"/errors.csv"}:
        answer = ada.get(path)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src" not in policy
        assert "frame-ancestors 'self'" in policy
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"  # no-referrer would hide the origin of our own forms
        assert "<script" not in answer.text
        assert " style=" not in answer.text
        assert "//" not in "".join(part.split('"')[0] for part in answer.text.split('src="')[1:])


def test_the_plugin_is_cheap_to_load_and_the_app_is_built_on_the_first_request() -> None:
    from leadsync_console.console_plugin import LeadSyncConsole
    from leadsync_webhook.webhook_plugin import LeadSyncWebhook

    for plugin, prefix in ((LeadSyncConsole, "/leadsync"), (LeadSyncWebhook, "/leadsync-webhook")):
        (app,) = plugin.fastapi_apps
        assert app["url_prefix"] == prefix
        assert "_app" not in vars(app["app"])
        assert callable(app["app"]._app)
        del app["app"]._app


def test_the_navigation_leads_to_the_console() -> None:
    from leadsync_console.console_plugin import LeadSyncConsole

    (view,) = LeadSyncConsole.external_views
    assert view["href"].startswith(LeadSyncConsole.fastapi_apps[0]["url_prefix"])
