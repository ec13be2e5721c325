"""Forms over many fields: only what the person at the desk has changed is sent on.

Every field comes twice, as it was when the page was made (`was.NAME`) and as it is now (`now.NAME`). So an
edit never takes back what somebody else, the sync for instance, has changed in the meantime.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from include.sandbox.pages.markup import Markup, element, joined
from include.sandbox.pages.visit import entry

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_LONG = 120
YES_NO = (("true", "yes"), ("false", "no"))


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a form. `kind`: text, long, whole, number, date; with `options` a choice of (value, label)."""

    name: str
    label: str
    value: str = ""
    kind: str = "text"
    length: int | None = None
    options: Sequence[tuple[str, str]] = ()


def inputs(fields: Sequence[Field], kept: Mapping[str, str] | None = None) -> Markup:
    """The controls, filled ones first, empty ones folded away; `kept` is a form that was refused."""
    kept = kept or {}
    filled = [field for field in fields if field.value or f"now.{field.name}" in kept]
    empty = [field for field in fields if field not in filled]
    more = element("details", element("summary", f"Empty fields ({len(empty)})"), _grid(empty, kept)) if empty else None
    return joined(_grid(filled, kept) if filled else None, more)


def _grid(fields: Sequence[Field], kept: Mapping[str, str]) -> Markup:
    return element("div", *(_entry(field, kept) for field in fields), class_="fields")


def _entry(field: Field, kept: Mapping[str, str]) -> Markup:
    was = kept.get(f"was.{field.name}", field.value)
    now = kept.get(f"now.{field.name}", field.value)
    hidden = element("input", type="hidden", name=f"was.{field.name}", value=was) if was else None
    return joined(hidden, entry(field.label, _control(field, now)))


def _control(field: Field, value: str) -> Markup:
    name = f"now.{field.name}"
    if field.options:
        known = {one: label for one, label in field.options if one}
        return select(name, [("", ""), *({value: value, **known} if value else known).items()], value)
    if field.kind == "long" or "\n" in value or "\r" in value or len(value) > _LONG:
        # A browser drops the first line end of a text area.
        return element("textarea", Markup("\n"), value, name=name, maxlength=field.length, dir="auto")
    # Only types whose values a browser hands back as they were.
    kind = "date" if field.kind == "date" and _DATE.fullmatch(value or "2000-01-01") else "text"
    mode = {"whole": "numeric", "number": "decimal"}.get(field.kind)
    return element("input", type=kind, name=name, value=value, inputmode=mode, dir="auto", autocomplete="off")


def select(name: str, choices: Sequence[tuple[str, str]], chosen: str) -> Markup:
    """A list to choose from: pairs of value and label."""
    options = [element("option", label, value=value, selected=value == chosen) for value, label in choices]
    return element("select", *options, name=name)


def changed(form: Mapping[str, str]) -> dict[str, str]:
    """The fields whose values are no longer what they were."""
    values = {name.removeprefix("now."): value for name, value in form.items() if name.startswith("now.")}
    return {name: value.replace("\r\n", "\n") for name, value in values.items() if value != form.get(f"was.{name}", "")}
