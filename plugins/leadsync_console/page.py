"""One request's page: its language, its user's rights, and the template that shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from leadsync_console import formats
from leadsync_console.access import CanWrite
from leadsync_console.language import COOKIE, NAMES, Words, chosen, words

_HERE = Path(__file__).parent
STYLE = (_HERE / "style.css").read_text("utf-8")
STYLE_VERSION = sha256(STYLE.encode()).hexdigest()[:12]
_YEAR = 365 * 24 * 3600

HEADERS = {
    # No script, nothing from elsewhere; same-origin, because with no-referrer a browser would not name its origin.
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none';"
        " frame-ancestors 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}

_templates = Environment(
    loader=FileSystemLoader(_HERE / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.filters |= {"number": formats.number, "utc": formats.utc, "lasted": formats.lasted, "short": formats.short}


@dataclass
class Page:
    """What a view needs to answer: `say` for words, `show` for a page, `back_to` after a change."""

    request: Request
    can_write: bool

    @property
    def root(self) -> str:
        """Where the console is mounted, without a slash at the end."""
        return str(self.request.scope.get("root_path", "")).rstrip("/")

    @cached_property
    def language(self) -> str:
        """The language of this request."""
        asked = self.request
        return chosen(asked.query_params.get("lang"), asked.cookies.get(COOKIE), asked.headers.get("accept-language"))

    @cached_property
    def say(self) -> Words:
        """Words in that language."""
        return words(self.language)

    @cached_property
    def now(self) -> datetime:
        """The time that ages are counted from."""
        return datetime.now(UTC)

    def show(self, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
        """The page, escaped wherever a value stands."""
        text = _templates.get_template(template).render(**self._common(), **values)
        answer = HTMLResponse(text, status, HEADERS)
        if self.request.query_params.get("lang") in NAMES:
            answer.set_cookie(
                COOKIE, self.language, max_age=_YEAR, path=self.root or "/", samesite="lax", httponly=True
            )
        return answer

    def back_to(self, path: str, done: str | None = None, **counts: object) -> RedirectResponse:
        """Send the browser to a page with GET; `done` names the sentence that it shows there, with its numbers."""
        query = urlencode({"done": done, **counts}) if done else ""
        mark = "&" if "?" in path else "?"
        return RedirectResponse(f"{self.root}{path}{mark if query else ''}{query}", 303, HEADERS)

    def address(self, path: str = "", **changes: object) -> str:
        """This page, or `path`, with parameters changed; those that are None are left out."""
        kept = {name: value for name, value in self.request.query_params.items() if name not in {"done", "n", "m"}}
        query = {name: value for name, value in {**kept, **changes}.items() if value not in (None, "")}
        return f"{path}?{urlencode(query)}"

    def _common(self) -> Mapping[str, Any]:
        asked = self.request
        path = str(asked.scope["path"]).removeprefix(self.root) or "/"
        return {
            "t": self.say,
            "root": self.root,
            "airflow": self.root.removesuffix("/leadsync"),
            "path": path,
            "lang": self.language,
            "languages": NAMES,
            "now": self.now,
            "ago": lambda moment: formats.ago(moment, self.now, self.say),
            "can_write": self.can_write,
            "framed": asked.headers.get("sec-fetch-dest") == "iframe",
            "address": self.address,
            "notice": self._notice(),
            "style": STYLE_VERSION,
        }

    def _notice(self) -> str | None:
        """What the change before this page did: a sentence of ours with whole numbers, never text from the address."""
        params = self.request.query_params
        done = params.get("done")
        if done not in DONE:
            return None
        counts = {name: int(text) if (text := params.get(name, "")).isdigit() else 0 for name in ("n", "m")}
        return self.say(f"done.{done}", **counts)


DONE = frozenset({"retried", "approved", "rejected", "requested", "known", "map_saved", "undo_looking", "undo_begun"})
"""What a notice may say."""


def page_of(request: Request, can_write: CanWrite) -> Page:
    """The page of a request, for `Depends`."""
    return Page(request, can_write)


PageDep = Annotated[Page, Depends(page_of)]
