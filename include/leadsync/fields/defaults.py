"""Defaults for required columns on create (D31): a text that may name other fields in braces."""

from __future__ import annotations

import re

_PART = re.compile(r"\{([A-Za-z][A-Za-z0-9_]*)\}")


class TemplateInvalid(ValueError):
    """The braces of a default cannot be read."""

    def __init__(self) -> None:
        super().__init__("field names in pairs of braces, as in '{firstName} {lastName}'")


def names_in(template: str) -> tuple[str, ...]:
    """The fields that a default names. Raises `TemplateInvalid` for braces that hold no name."""
    if set(_PART.sub("", template)) & {"{", "}"}:
        raise TemplateInvalid
    return tuple(dict.fromkeys(_PART.findall(template)))
