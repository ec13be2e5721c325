"""What a page may ask for: filters and page tokens from outside, checked; stretches of a table by key."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from include.leadsync.errors import LeadSyncError
from include.leadsync.state import Transaction

PAGE = 50
"""Rows of a page."""

STRETCH = 20_000
"""Rows that one page looks through for a filter without an index; about 30 ms."""

LARGEST = 2**63 - 1
LONGEST_TEXT = 200
_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class QuestionInvalid(LeadSyncError):
    """A filter or page token that cannot be meant: `name` of the parameter, and what it may be."""

    def __init__(self, name: str, expected: str) -> None:
        self.name, self.expected = name, expected
        super().__init__(f"{name}: expected {expected}")


@dataclass(frozen=True, slots=True)
class Slice:
    """Rows of one page.

    `next`: the token of the page that follows; `looked`: how many rows were looked through when the stretch ended
    before the page was full, else None.
    """

    rows: list[dict[str, Any]]
    next: str | None
    looked: int | None = None


def number_of(name: str, text: str | None) -> int | None:
    """A positive whole number that fits the store; None for an empty text. Raises `QuestionInvalid`."""
    if not (text := (text or "").strip()):
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 19 and 0 < int(text) <= LARGEST):
        raise QuestionInvalid(name, "a whole number")
    return int(text)


def guid_of(name: str, text: str | None) -> str | None:
    """A GUID, lower case, braces taken off; None for an empty text. Raises `QuestionInvalid`."""
    if not (text := (text or "").strip().strip("{}").lower()):
        return None
    if not _GUID.fullmatch(text):
        raise QuestionInvalid(name, "a GUID")
    return text


def is_guid(text: str) -> bool:
    """Whether a text is a GUID, in any case, with or without braces."""
    return bool(_GUID.fullmatch(text.strip().strip("{}").lower()))


def choice_of(name: str, text: str | None, known: Collection[str]) -> str | None:
    """One of the known words; None for an empty text. Raises `QuestionInvalid`."""
    if not text:
        return None
    if text not in known:
        raise QuestionInvalid(name, ", ".join(sorted(known)))
    return text


def text_of(name: str, text: str | None) -> str | None:
    """A short printable text; None for an empty one. Raises `QuestionInvalid`."""
    if not (text := (text or "").strip()):
        return None
    if len(text) > LONGEST_TEXT or not text.isprintable():
        raise QuestionInvalid(name, f"at most {LONGEST_TEXT} printable characters")
    return text


def stretch_end(
    tx: Transaction, key: sa.Column[int], narrowed: sa.ColumnElement[bool], before: int, length: int = STRETCH
) -> int:
    """The key at which a look downwards from `before` ends: `length` rows further, or 0 at the end of the table."""
    statement = sa.select(key).where(narrowed, key < before).order_by(key.desc()).offset(length - 1).limit(1)
    return int(tx.execute(statement).scalar() or 0)


def sliced(rows: list[dict[str, Any]], key: str, end: int, length: int = STRETCH) -> Slice:
    """A page out of up to `PAGE` + 1 rows, ordered downwards by `key`, of a stretch that ended at `end`."""
    if len(rows) > PAGE:
        return Slice(rows[:PAGE], str(rows[PAGE - 1][key]))
    return Slice(rows, str(end), length) if end else Slice(rows, None)


def containing(column: sa.ColumnElement[Any], text: str) -> sa.ColumnElement[bool]:
    """Whether a column holds a text, whatever its case; the text's own % and _ mean themselves."""
    return sa.func.lower(column).contains(text.lower(), autoescape=True)
