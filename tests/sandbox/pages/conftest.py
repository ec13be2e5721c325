"""A browser without a screen: it follows what the pages say, form by form, through the host's endpoint."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest

from include.sandbox.control import DEFAULT_TOKEN
from include.sandbox.server import SandboxServer
from include.sandbox.service import Request, Response

BASE = "http://127.0.0.1:8801"


class Forms(HTMLParser):
    """The forms of a page: by action, what a browser would send; and everything a reader sees."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.forms: list[tuple[str, dict[str, str]]] = []
        self.tags: list[str] = []
        self.seen = ""
        self._area: str | None = None
        self._select: str | None = None
        self._silent = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        self._silent = tag in ("style", "title")
        if tag == "form":
            self.forms.append((given["action"], {}))
        if tag == "input" and "name" in given and (given.get("type") != "checkbox" or "checked" in given):
            self.forms[-1][1][given["name"]] = given.get("value", "on" if given.get("type") == "checkbox" else "")
        if tag == "select":
            self._select = given["name"]
        if tag == "option" and self._select and (self._select not in self.forms[-1][1] or "selected" in given):
            self.forms[-1][1][self._select] = given["value"]
        if tag == "textarea":
            self._area = given["name"]
            self.forms[-1][1][self._area] = ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea" and self._area is not None:
            self.forms[-1][1][self._area] = self.forms[-1][1][self._area].removeprefix("\n")
            self._area = None
        if tag == "select":
            self._select = None

    def handle_data(self, data: str) -> None:
        if self._area is not None:
            self.forms[-1][1][self._area] += data
        if not self._silent:
            self.seen += f"{data} "


class Browser:
    """Visits the pages of one service; keeps the cookie, follows redirects."""

    def __init__(self, sandbox: SandboxServer, service: str) -> None:
        self.sandbox = sandbox
        self.service = service
        self.cookie = ""
        self.response = Response()
        self.address = ""
        self.page = Forms("")

    def open(self, address: str, **headers: str) -> Browser:
        parts = urlsplit(address)
        return self._ask(Request("GET", parts.path, parts.query, self._headers(headers), b"", BASE))

    def post(self, path: str, values: dict[str, str], **headers: str) -> Browser:
        kind = {"content-type": "application/x-www-form-urlencoded"}
        # A browser sends every line end as CR LF.
        lines = {name: value.replace("\r\n", "\n").replace("\n", "\r\n") for name, value in values.items()}
        body = urlencode(lines).encode()
        return self._ask(Request("POST", path, "", kind | self._headers(headers), body, BASE))

    def submit(self, action: str, **changes: str | None) -> Browser:
        """Fill in and send the first form of the page whose action ends so; null takes a check mark away."""
        address, values = next(form for form in self.page.forms if form[0].endswith(action))
        given = {name.replace("__", "."): value for name, value in changes.items()}
        unknown = [name for name, value in given.items() if value not in ("on", None) and name not in values]
        assert unknown == []
        filled = {name: value for name, value in (values | given).items() if value is not None}
        return self.post(address, filled)

    def log_in(self) -> Browser:
        return self.open("/_sandbox/").post("/_sandbox/pages/login", {"token": DEFAULT_TOKEN})

    @property
    def status(self) -> int:
        return self.response.status

    @property
    def text(self) -> str:
        return self.response.body.decode()

    def _headers(self, given: dict[str, str]) -> dict[str, str]:
        headers = {name.replace("_", "-"): value for name, value in given.items()}
        return headers | ({"cookie": self.cookie} if self.cookie else {})

    def _ask(self, request: Request) -> Browser:
        self.response = self.sandbox.answer_control(self.service, request)
        headers = dict(self.response.headers)
        self.address = f"{request.target}?{request.query}" if request.query else request.target
        if "Set-Cookie" in headers:
            self.cookie = headers["Set-Cookie"].partition(";")[0]
        if self.status == 303:
            assert headers["Location"].startswith("/_sandbox/")
            return self.open(headers["Location"])
        self.page = Forms(self.text)
        return self


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxServer]:
    folder: Path = tmp_path_factory.mktemp("pages")
    with SandboxServer(folder / "data", people=70, seed=3) as server:
        yield server


@pytest.fixture
def marketer(sandbox: SandboxServer) -> Browser:
    return Browser(sandbox, "marketo").log_in()


@pytest.fixture
def seller(sandbox: SandboxServer) -> Browser:
    return Browser(sandbox, "dynamics").log_in()
