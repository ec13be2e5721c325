"""Defaults for required columns on create (D31): a text that may name other fields in braces."""

from __future__ import annotations

import re
from collections.abc import Mapping

from include.leadsync.model import Canonical

_PART = re.compile(r"\{([A-Za-z][A-Za-z0-9_]*)\}")
_BLANKS = re.compile(r"\s+")


class TemplateInvalid(ValueError):
    """The braces of a default cannot be read."""

    def __init__(self) -> None:
        super().__init__("field names in pairs of braces, as in '{firstName} {lastName}'")


def names_in(template: str) -> tuple[str, ...]:
    """The fields that a default names. Raises `TemplateInvalid` for braces that hold no name."""
    if set(_PART.sub("", template)) & {"{", "}"}:
        raise TemplateInvalid
    return tuple(dict.fromkeys(_PART.findall(template)))


def default_on_create(template: str, values: Mapping[str, Canonical]) -> Canonical:
    """The default with the record's own values in place of the braces.

    Fields without a value leave nothing behind, blanks are closed up; a default that names fields of
    which none has a value is null, so that "required" still fails (R110).
    """
    names = names_in(template)
    if names and not any(values.get(name) for name in names):
        return None
    text = _PART.sub(lambda found: values.get(found[1]) or "", template)
    return _BLANKS.sub(" ", text).strip() or None
