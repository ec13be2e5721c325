"""The console and a trigger form in a real browser, as somebody at a desk, on a phone, or without a mouse uses them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from scripts import setup_browser
from scripts.local_airflow import LocalAirflow
from scripts.local_airflow.rest import DagRun
from scripts.sandbox_process import SandboxProcess
from tests.local_airflow.browser import DESKTOP, FAINT, FOCUSED, PATIENCE, PHONE, UNLABELLED, Noticed, running, shoot
from tests.local_airflow.story import NO_ADDRESS, Story, play

EXECUTABLE = setup_browser.find()
pytestmark = pytest.mark.skipif(EXECUTABLE is None, reason=setup_browser.MISSING)

NAVIGATION = ["Status", "Errors", "Collisions", "Person", "Runs", "Requests", "Fields"]
PAGES = [
    "/", "/errors", "/errors/causes", "/collisions", "/persons", "/persons/{person}", "/persons?q=nobody", "/runs",
    "/runs/{run}", "/plans/{run}", "/reports/{run}", "/held/{held}", "/requests", "/fields",
    "/fields/new?entity=lead", "/fields/entry?entity=lead&field=title", "/no/such/page",
]  # fmt: skip


Visit = Callable[[str], Page]
Contexts = Callable[..., BrowserContext]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    assert EXECUTABLE
    expect.set_options(timeout=PATIENCE)
    with running(EXECUTABLE, tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest.fixture(scope="module")
def story(
    airflow: LocalAirflow, sandbox: SandboxProcess, cycle: object, tmp_path_factory: pytest.TempPathFactory
) -> Story:
    return play(airflow, sandbox, tmp_path_factory.mktemp("story"))


@pytest.fixture(scope="module")
def noticed(airflow: LocalAirflow) -> Noticed:
    return Noticed(airflow.url)


@pytest.fixture(scope="module")
def contexts(browser: Browser, noticed: Noticed) -> Iterator[Contexts]:
    made: list[BrowserContext] = []

    def make(**options: object) -> BrowserContext:
        made.append(browser.new_context(viewport=DESKTOP, **{"locale": "en-GB", **options}))  # type: ignore[arg-type]
        made[-1].set_default_timeout(PATIENCE)
        noticed.watch(made[-1])
        return made[-1]

    yield make
    for context in made:
        context.close()


@pytest.fixture(scope="module")
def admin(contexts: Contexts, airflow: LocalAirflow, story: Story) -> Page:
    """Somebody who logged in by the form, as people do."""
    page = contexts().new_page()
    page.goto(f"{airflow.url}/leadsync/")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.get_by_role("link", name="Log in").click()
    page.get_by_label("Username").fill(airflow.user)
    page.get_by_label("Password").fill(airflow.password)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Status")).to_be_visible()
    return page


@pytest.fixture
def visit(admin: Page, airflow: LocalAirflow, story: Story, noticed: Noticed) -> Iterator[Visit]:
    """Open a page of the console at a desk, in the light. Afterwards: no host but ours, nothing refused or broken."""
    noticed.hosts.clear()
    noticed.faults.clear()

    def to(path: str) -> Page:
        at_a_desk(admin)
        admin.goto(f"{airflow.url}/leadsync{path.format(**asdict(story))}")
        return admin

    yield to
    assert noticed.faults == []
    assert noticed.hosts == {urlsplit(airflow.url).netloc}


def at_a_desk(page: Page) -> None:
    page.set_viewport_size(DESKTOP)  # type: ignore[arg-type]
    page.emulate_media(color_scheme="light")


def heading(page: Page) -> Locator:
    return page.get_by_role("heading", level=1)


def test_the_console_is_a_click_away_in_airflows_navigation(admin: Page, airflow: LocalAirflow) -> None:
    at_a_desk(admin)
    admin.goto(f"{airflow.url}/")
    admin.get_by_role("link", name="Lead Sync").click()
    inside = admin.frame_locator("iframe")
    expect(inside.get_by_role("heading", name="Status", exact=True)).to_be_visible()
    inside.get_by_role("link", name="Errors", exact=True).click()
    expect(inside.get_by_role("heading", name="Errors", exact=True)).to_be_visible()


def test_every_page_is_reached_through_the_navigation_and_names_itself(visit: Visit) -> None:
    page = visit("/")
    for name in NAVIGATION:
        page.get_by_role("navigation", name="Pages").get_by_role("link", name=name, exact=True).click()
        expect(heading(page)).to_have_text(name)
        expect(page).to_have_title(f"{name} · Lead Sync")
        expect(page.locator("nav [aria-current=page]")).to_have_text(name)


@pytest.mark.parametrize("path", PAGES)
def test_a_page_fits_a_phone_can_be_read_in_the_light_and_in_the_dark_and_names_its_controls(
    visit: Visit, path: str
) -> None:
    page = visit(path)
    expect(heading(page)).to_be_visible()
    assert page.evaluate(UNLABELLED) == []
    grounds = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert page.evaluate(FAINT) == [], scheme
        grounds.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert len(set(grounds)) == 2
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


@pytest.mark.parametrize(
    ("path", "actions"),
    [
        ("/", ["Airflow", "By lane", "Svenska"]),
        ("/errors", ["Text", "Filter", "By cause", "Export as CSV", "Try again"]),
        ("/persons", ["Marketo id, Dynamics id, e-mail or name", "Search"]),
        ("/held/{held}", ["Approve", "Reject"]),
        ("/requests", ["Marketo ids", "As", "Owner", "Reason", "Request", "Filter"]),
    ],
)
def test_without_a_mouse_every_control_is_reached_in_order_and_the_focus_can_be_seen(
    visit: Visit, path: str, actions: list[str]
) -> None:
    page = visit(path)
    reached = []
    page.keyboard.press("Tab")
    while focused := page.evaluate(FOCUSED):
        reached.append(focused)
        page.keyboard.press("Tab")
    assert reached[0]["name"] == "Skip to the content"
    names = [one["name"] for one in reached]
    assert names[1 : 2 + len(NAVIGATION)] == ["Lead Sync", *NAVIGATION]
    assert [name for name in actions if name not in names] == []
    assert [one["name"] for one in reached if not (one["ring"] and one["inside"])] == []


def test_the_first_key_leads_past_the_navigation(visit: Visit) -> None:
    page = visit("/errors")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()


def test_a_person_is_found_by_number_and_shows_both_values_and_who_won(visit: Visit, story: Story) -> None:
    page = visit("/persons")
    page.get_by_role("searchbox").fill(str(story.person))
    page.keyboard.press("Enter")
    expect(heading(page)).to_have_text(f"Person {story.person}")
    timeline = page.locator("table.timeline")
    expect(timeline).to_contain_text(story.in_marketo)
    expect(timeline).to_contain_text(story.in_dynamics)
    timeline.get_by_role("link", name="title").first.click()
    expect(timeline.get_by_role("link", name="title")).to_have_count(2)
    shoot(page.locator("main"), "console-person")


def test_an_address_is_looked_up_in_both_systems_after_a_click(visit: Visit, story: Story) -> None:
    page = visit("/persons")
    page.get_by_role("searchbox").fill(story.email)
    page.get_by_role("button", name="Search").click()
    page.get_by_role("button", name="Look up in both systems").click()
    rows = page.get_by_role("row").filter(has_text=story.email)
    expect(rows).to_have_count(2)


def test_a_failed_row_says_why_and_is_tried_again_by_a_click(visit: Visit, airflow: LocalAirflow) -> None:
    page = visit("/errors")
    page.get_by_label("Text").fill(NO_ADDRESS)
    page.keyboard.press("Enter")
    row = page.locator("tbody").get_by_role("row")
    expect(row).to_have_count(1)
    expect(row).to_contain_text("is not an e-mail address")
    shoot(page.locator("main"), "console-errors")
    row.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("status")).to_contain_text("1 records will be read and merged again")
    page.get_by_role("link", name="By cause").click()
    expect(page.get_by_role("row").filter(has_text="1003")).to_contain_text("is not an e-mail address")
    assert airflow.rest.call("GET", "/eventLogs?event=leadsync_retry")["total_entries"] >= 1


def test_failures_are_saved_as_a_file(visit: Visit) -> None:
    page = visit("/errors")
    with page.expect_download() as saved:
        page.get_by_role("link", name="Export as CSV").click()
    lines = saved.value.path().read_text("utf-8-sig").splitlines()
    assert any(NO_ADDRESS in line for line in lines[1:])


def test_a_request_is_made_on_the_page_and_nonsense_is_refused(visit: Visit, story: Story) -> None:
    page = visit("/requests")
    page.get_by_label("Marketo ids").fill("nobody")
    page.get_by_role("button", name="Request", exact=True).click()
    expect(page.locator(".problem")).to_contain_text("400")
    page = visit("/requests")
    page.get_by_label("Marketo ids").fill(str(story.unlinked))
    page.get_by_label("Reason").fill("asked in a browser")
    page.get_by_role("button", name="Request", exact=True).click()
    expect(page.get_by_role("status")).to_contain_text("Asked for 1 persons")
    expect(page.get_by_role("row").filter(has_text="asked in a browser")).to_contain_text(str(story.unlinked))


def test_a_held_plan_shows_every_value_and_is_approved_by_a_click_once(visit: Visit, story: Story) -> None:
    page = visit("/runs")
    page.get_by_role("link", name=story.to_decide).click()
    expect(page.locator("ins").first).to_contain_text("Strand")
    shoot(page, "console-held-plan")
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_role("status")).to_contain_text("Approved. The next run merges")
    expect(visit("/held/{to_decide}").locator(".problem")).to_contain_text("not held any more")


def test_the_language_is_changed_at_the_foot_and_stays(
    contexts: Contexts, airflow: LocalAirflow, admin: Page, noticed: Noticed
) -> None:
    context = contexts(locale="ko-KR")
    context.add_cookies([{"name": "_token", "value": airflow.rest.token(), "url": airflow.url}])
    page = context.new_page()
    page.goto(f"{airflow.url}/leadsync/")
    expect(page.locator("html")).to_have_attribute("lang", "ko")
    page.get_by_role("link", name="Svenska").click()
    page.get_by_role("link", name="Fel", exact=True).click()
    expect(page.locator("html")).to_have_attribute("lang", "sv")
    expect(heading(page)).to_have_text("Fel")


def test_a_viewer_sees_the_pages_and_nothing_to_press(
    contexts: Contexts, airflow: LocalAirflow, story: Story, noticed: Noticed
) -> None:
    viewer = airflow.viewer()
    context = contexts()
    context.add_cookies([{"name": "_token", "value": viewer.token(), "url": airflow.url}])
    viewer.close()
    page = context.new_page()
    for path in ("errors", "requests", f"held/{story.held}"):
        page.goto(f"{airflow.url}/leadsync/{path}")
        expect(heading(page)).to_be_visible()
        expect(page.locator("form[method=post]")).to_have_count(0)
        expect(page.get_by_role("contentinfo")).to_contain_text("you may look, not change")


def test_the_form_of_a_backfill_explains_each_field_and_refuses_nonsense_before_anything_runs(
    admin: Page, airflow: LocalAirflow
) -> None:
    dag_id = "lead_sync_backfill"
    airflow.rest.pause(dag_id)  # what is started here stays queued
    params = airflow.rest.call("GET", f"/dags/{dag_id}/details")["params"]
    at_a_desk(admin)
    admin.goto(f"{airflow.url}/dags/{dag_id}")
    admin.get_by_role("button", name="Trigger").first.click()
    form = admin.get_by_role("dialog")
    for param in params.values():
        expect(form.get_by_role("group").filter(has_text=param["schema"]["title"]).first).to_be_visible()
        expect(form.get_by_text(param["description"] or param["schema"]["description"])).to_be_visible()
    shoot(admin, "backfill-form")
    form.locator("label").filter(has_text="Unpause").click()
    start = form.get_by_role("button", name="Trigger", exact=True)
    approve = form.get_by_role("group").filter(has_text="Approve plan").get_by_role("textbox")
    approve.fill("everything")
    start.press("Enter")
    expect(form).to_contain_text("Invalid input for param approve")
    assert _runs(airflow, dag_id) == []
    approve.fill("")
    form.get_by_role("checkbox", name="Dry run").press("Space")
    start.press("Enter")
    expect(form).to_be_hidden()
    (run,) = _runs(airflow, dag_id)
    assert run["conf"]["dry_run"] is True
    assert airflow.rest.state(DagRun(dag_id, run["dag_run_id"])) == "queued"


def _runs(airflow: LocalAirflow, dag_id: str) -> list[dict[str, Any]]:
    return list(airflow.rest.call("GET", f"/dags/{dag_id}/dagRuns")["dag_runs"])
