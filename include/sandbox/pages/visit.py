"""One visit of a page: what was asked, and what a page may do about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import urlencode

from include.sandbox.call_log import CallLog
from include.sandbox.pages.markup import Child, Markup, element
from include.sandbox.service import Json

PREFIX = "/_sandbox/pages/"
HOME = "/_sandbox/"
REFUSALS = (ValueError, TypeError, LookupError)
"""What a command raises for arguments that it does not accept."""


@dataclass(frozen=True, slots=True)
class Visit:
    """A visit of somebody who has given the token.

    `run` carries out a command of the service whose port was asked; `mark` goes into every form.
    """

    service: str
    query: Mapping[str, str]
    form: Mapping[str, str]
    mark: str
    run: Callable[[str, Mapping[str, Json]], Json]
    calls: CallLog


@dataclass(frozen=True, slots=True)
class View:
    """A page to show."""

    title: str
    content: Markup
    status: int = 200


@dataclass(frozen=True, slots=True)
class Goto:
    """Another page to go to after something was done."""

    page: str
    query: Mapping[str, str | int]


Answer: TypeAlias = "View | Goto"
Page: TypeAlias = Callable[[Visit], Answer]


class NotThere(LookupError):
    """What the page is about does not exist."""


def link_to(page: str, **query: str | int | None) -> str:
    """The address of a page."""
    kept = {name: value for name, value in query.items() if value is not None}
    return f"{PREFIX}{page}?{urlencode(kept)}" if kept else f"{PREFIX}{page}"


def post_form(visit: Visit, page: str, *children: Child, class_: str | None = None, **hidden: str | int) -> Markup:
    """A form that changes something."""
    marks = [element("input", type="hidden", name=name, value=value) for name, value in hidden.items()]
    mark = element("input", type="hidden", name="mark", value=visit.mark)
    return element("form", mark, *marks, *children, method="post", action=f"{PREFIX}{page}", class_=class_)


def search_form(text: str, *before: Child, action: str = HOME) -> Markup:
    """A form that looks for a text, behind other controls."""
    control = element("input", name="q", value=text, type="search")
    wide = entry("E-mail address, id or part of a name", control, class_="wide")
    return element(
        "form", *before, wide, element("button", "Find"), method="get", action=action, class_="row", role="search"
    )


def entry(label: str, control: Markup, *, class_: str | None = None) -> Markup:
    """A control inside its label."""
    return element("label", label, control, class_=class_)


def refusal_text(error: Exception) -> str:
    """What a command said when it refused."""
    return f"Missing or unknown: {error}" if isinstance(error, KeyError) else str(error)
