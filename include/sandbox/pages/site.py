"""The site: who may come in, which page was asked for, what goes back."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from urllib.parse import parse_qsl, urlencode

from include.sandbox.call_log import CallLog
from include.sandbox.pages import dynamics_pages, marketo_pages
from include.sandbox.pages.call_pages import show_calls
from include.sandbox.pages.layout import NAMES, framed, moved, note
from include.sandbox.pages.markup import Markup, element, joined
from include.sandbox.pages.session import comes_from_here, ended, form_mark, is_form_mark, issued, session_of
from include.sandbox.pages.visit import HOME, PREFIX, Goto, NotThere, Page, Visit, entry, link_to
from include.sandbox.service import Json, Request, Response

_DESKS = {"marketo": marketo_pages, "dynamics": dynamics_pages}
_SHOWN: Mapping[str, Mapping[str, Page]] = {name: {**desk.SHOWN, "calls": show_calls} for name, desk in _DESKS.items()}
_SENT: Mapping[str, Mapping[str, Page]] = {name: desk.SENT for name, desk in _DESKS.items()}
_BIGGEST_FORM = 1 << 20
_MOST_FIELDS = 4_000
_FORM = "application/x-www-form-urlencoded"

Run = Callable[[str, str, Mapping[str, Json]], Json]


class Pages:
    """Answers requests to `/_sandbox/` and below `/_sandbox/pages/`.

    `run` carries out a control command of a service, `token` is what a person has to give, `urls` are the
    addresses of the services; `hint` is shown where the token is asked for.
    """

    def __init__(self, run: Run, calls: CallLog, urls: Callable[[], Mapping[str, str]]) -> None:
        self._run = run
        self._calls = calls
        self._urls = urls

    @staticmethod
    def wants(request: Request) -> bool:
        """Whether a request is for a page and not for a control command."""
        if request.header("x-sandbox-token"):
            return False
        return request.target in (HOME, HOME.rstrip("/")) or request.target.startswith(PREFIX)

    def answer(self, service: str, request: Request, token: str, hint: str = "") -> Response:
        """The page, the next address, or a form that asks for the token."""
        if request.target == HOME.rstrip("/"):
            return moved(HOME)
        name = request.target.removeprefix(PREFIX) if request.target.startswith(PREFIX) else ""
        if request.method not in ("GET", "HEAD", "POST"):
            text = "Pages are read with GET and changed with POST."
            return _plain(service, 405, text, [("Allow", "GET, HEAD, POST")])
        if request.method == "POST":
            return _why_no_form(service, request) or self._sent(service, request, name, token, hint)
        session = session_of(request, token)
        if session is None:
            return _ask(service, 401, hint)
        return self._visited(self._visit(service, _pairs(request.query), {}, form_mark(token, session)), _SHOWN, name)

    def _sent(self, service: str, request: Request, name: str, token: str, hint: str) -> Response:
        form = _pairs(request.body.decode("utf-8", "replace"))
        if name == "login":
            return _logged_in(service, request, form, token, hint)
        session = session_of(request, token)
        if session is None:
            return _ask(service, 401, hint)
        if not is_form_mark(form.pop("mark", ""), token, session):
            return _plain(service, 403, "This form is not of your session. Load the page again.")
        if name == "logout":
            return moved(HOME, ended(secure=_is_secure(request)))
        return self._visited(self._visit(service, {}, form, form_mark(token, session)), _SENT, name)

    def _visit(self, service: str, query: Mapping[str, str], form: Mapping[str, str], mark: str) -> Visit:
        def run(command: str, arguments: Mapping[str, Json]) -> Json:
            return self._run(service, command, arguments)

        return Visit(service, query, form, mark, run, self._calls)

    def _visited(self, visit: Visit, pages: Mapping[str, Mapping[str, Page]], name: str) -> Response:
        page = pages[visit.service].get(name)
        navigation = self._navigation(visit)
        if page is None:
            known = name in _SENT[visit.service] or name in _SHOWN[visit.service]
            text = "This address wants a form." if known else "There is no such page."
            return _plain(visit.service, 405 if known else 404, text, navigation=navigation)
        try:
            answer = page(visit)
        except NotThere as error:
            return _plain(visit.service, 404, str(error.args[0]), navigation=navigation)
        if isinstance(answer, Goto):
            address = f"{PREFIX}{answer.page}" if answer.page else HOME
            return moved(f"{address}?{urlencode(answer.query)}" if answer.query else address)
        return framed(visit.service, answer.title, answer.content, status=answer.status, navigation=navigation)

    def _navigation(self, visit: Visit) -> Markup:
        links = [*_DESKS[visit.service].NAVIGATION, ("Calls", link_to("calls"))]
        other = next(name for name in NAMES if name != visit.service)
        links.append((f"{NAMES[other]} sandbox", f"{self._urls().get(other, '')}{HOME}"))
        leave = element(
            "form", element("input", type="hidden", name="mark", value=visit.mark),
            element("button", "Log out", class_="quiet"), method="post", action=f"{PREFIX}logout",
        )  # fmt: skip
        return joined(*(element("a", label, href=address) for label, address in links), leave)


def _logged_in(service: str, request: Request, form: Mapping[str, str], token: str, hint: str) -> Response:
    if not hmac.compare_digest(form.get("token", "").encode(), token.encode()):
        return _ask(service, 403, hint, "That is not the control token.")
    return moved(HOME, issued(token, secure=_is_secure(request)))


def _ask(service: str, status: int, hint: str, problem: str | None = None) -> Response:
    control = element(
        "input", name="token", type="password", required=True, autofocus=True, autocomplete="current-password"
    )
    form = element(
        "form", entry("Control token", control, class_="wide"), element("button", "Log in"),
        method="post", action=f"{PREFIX}login", class_="row",
    )  # fmt: skip
    content = joined(note(problem, bad=True) if problem else None, form, element("p", hint, class_="soft"))
    return framed(service, "Log in", content, status=status)


def _why_no_form(service: str, request: Request) -> Response | None:
    if not comes_from_here(request):
        return _plain(service, 403, "This form was sent from another site.")
    if request.header("content-type").partition(";")[0].strip().lower() != _FORM:
        return _plain(service, 415, f"Forms are sent as {_FORM}.")
    if len(request.body) > _BIGGEST_FORM:
        return _plain(service, 413, "The form is too large.")
    return None


def _plain(
    service: str, status: int, text: str, headers: list[tuple[str, str]] | None = None, navigation: Markup | None = None
) -> Response:
    home = element("p", element("a", "To the start", href=HOME))
    content = joined(note(text, bad=True), home)
    answer = framed(service, "That did not work", content, status=status, navigation=navigation)
    answer.headers += headers or []
    return answer


def _pairs(text: str) -> dict[str, str]:
    try:
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS))
    except ValueError:
        return {}


def _is_secure(request: Request) -> bool:
    return request.base_url.startswith("https:")
