"""Who sees the pages, and that nobody else can make a browser change anything."""

from __future__ import annotations

import pytest

from include.sandbox.pages import Pages, session
from include.sandbox.server import SandboxServer
from include.sandbox.service import Request
from tests.sandbox.pages.conftest import Browser

PLACES = ["/_sandbox/", "/_sandbox/pages/calls", "/_sandbox/pages/new", "/_sandbox/pages/nothing"]


@pytest.mark.parametrize("service", ["marketo", "dynamics"])
@pytest.mark.parametrize("place", PLACES)
def test_nobody_sees_a_page_before_giving_the_token(sandbox: SandboxServer, service: str, place: str) -> None:
    browser = Browser(sandbox, service).open(place)
    assert browser.status == 401
    assert [action for action, _ in browser.page.forms] == ["/_sandbox/pages/login"]
    assert "@" not in browser.page.seen


def test_the_token_opens_the_pages_and_a_wrong_one_does_not(sandbox: SandboxServer) -> None:
    browser = Browser(sandbox, "marketo").open("/_sandbox/")
    assert browser.submit("login", token="wrong").status == 403
    assert browser.cookie == ""
    assert browser.submit("login", token="sandbox").status == 200
    assert browser.address == "/_sandbox/"


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(sandbox: SandboxServer) -> None:
    form = b"token=sandbox"
    kind = {"content-type": "application/x-www-form-urlencoded"}
    request = Request("POST", "/_sandbox/pages/login", "", kind, form, "https://sandbox.example")
    cookie = dict(sandbox.answer_control("marketo", request).headers)["Set-Cookie"]
    assert {"HttpOnly", "SameSite=Strict", "Secure", "Path=/_sandbox/"} <= {part.strip() for part in cookie.split(";")}


@pytest.mark.parametrize("forged", ["{}0", "{}x", "9{}", "x", "", "..", "9999999999.a.", "9999999999.a.b", "é.é.é"])
def test_a_forged_cookie_opens_nothing(sandbox: SandboxServer, forged: str) -> None:
    browser = Browser(sandbox, "marketo").log_in()
    browser.cookie = "sandbox_session=" + forged.format(browser.cookie.partition("=")[2])
    assert browser.open("/_sandbox/").status == 401


def test_a_cookie_ends_after_its_lifetime(sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "LIFETIME", -1)
    assert Browser(sandbox, "marketo").log_in().status == 401


def test_another_token_ends_every_session(marketer: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEADSYNC_SANDBOX_TOKEN", "another")
    assert marketer.open("/_sandbox/").status == 401


def test_logging_out_takes_the_cookie_away(marketer: Browser) -> None:
    assert marketer.submit("logout").status == 401
    assert marketer.cookie == "sandbox_session="


@pytest.mark.parametrize(
    ("headers", "mark"),
    [
        ({}, None),
        ({}, "0" * 64),
        ({"origin": "https://evil.example"}, "right"),
        ({"origin": "null"}, "right"),
        ({"sec_fetch_site": "cross-site"}, "right"),
        ({"sec_fetch_site": "same-site"}, "right"),
    ],
)
def test_a_form_that_was_not_made_for_the_session_changes_nothing(
    marketer: Browser, headers: dict[str, str], mark: str | None
) -> None:
    before = marketer.sandbox.control("people_count")
    _, values = next(form for form in marketer.open("/_sandbox/pages/person?id=1001").page.forms if "delete" in form[0])
    if mark != "right":
        values = {"id": values["id"]} | ({} if mark is None else {"mark": mark})
    assert marketer.post("/_sandbox/pages/delete", values, **headers).status == 403
    assert marketer.sandbox.control("people_count") == before


def test_an_empty_form_without_mark_is_refused_too(marketer: Browser) -> None:
    assert marketer.post("/_sandbox/pages/lists-new", {}).status == 403


def test_the_mark_of_one_session_does_not_serve_another(sandbox: SandboxServer, marketer: Browser) -> None:
    other = Browser(sandbox, "marketo").log_in()
    _, values = next(form for form in other.page.forms if "logout" in form[0])
    assert marketer.post("/_sandbox/pages/lists-new", values | {"name": "x"}).status == 403


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "multipart/form-data; boundary=x", ""])
def test_only_plain_forms_are_taken(marketer: Browser, kind: str) -> None:
    assert marketer.post("/_sandbox/pages/delete", {"id": "1001"}, content_type=kind).status == 415


@pytest.mark.parametrize("name", ["next", "url", "return", "goto"])
def test_whatever_an_address_asks_for_nobody_is_sent_elsewhere(sandbox: SandboxServer, name: str) -> None:
    browser = Browser(sandbox, "marketo")
    browser.post("/_sandbox/pages/login", {"token": "sandbox", name: "//evil.example/"})
    assert browser.address == "/_sandbox/"
    assert "evil.example" not in browser.open(f"/_sandbox/?q=&{name}=//evil.example").text


def test_pages_allow_no_script_no_frame_and_nothing_from_elsewhere(marketer: Browser) -> None:
    headers = dict(marketer.response.headers)
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["Cache-Control"] == "no-store"
    assert {"script", "img", "link", "iframe"} & set(marketer.page.tags) == set()
    assert "@import" not in marketer.text


@pytest.mark.parametrize(
    ("target", "headers", "page"),
    [
        ("/_sandbox/", {}, True),
        ("/_sandbox", {}, True),
        ("/_sandbox/pages/person", {}, True),
        ("/_sandbox/", {"x-sandbox-token": "sandbox"}, False),
        ("/_sandbox/faults/list", {}, False),
        ("/_sandbox/pages", {}, False),
        ("/_sandbox/people.add", {}, False),
    ],
)
def test_pages_and_commands_share_their_place_without_a_collision(
    target: str, headers: dict[str, str], page: bool
) -> None:
    assert Pages.wants(Request("GET", target, "", headers)) is page


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
def test_other_methods_are_refused(sandbox: SandboxServer, method: str) -> None:
    response = sandbox.answer_control("marketo", Request(method, "/_sandbox/", "", {}, b"", "http://x"))
    assert (response.status, dict(response.headers)["Allow"]) == (405, "GET, HEAD, POST")


@pytest.mark.parametrize("address", ["/_sandbox/pages/nothing", "/_sandbox/pages/../x", "/_sandbox/pages/%2e%2e"])
def test_an_unknown_page_is_404(marketer: Browser, address: str) -> None:
    assert marketer.open(address).status == 404


def test_a_page_for_forms_is_not_read(marketer: Browser) -> None:
    assert marketer.open("/_sandbox/pages/delete").status == 405
