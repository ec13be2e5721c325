"""Text as the database compares it: without case, accents and trailing blanks (section 3.4)."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache


def fold(text: str | None) -> str | None:
    """The form in which two equal texts are equal; null stays null."""
    if text is None or not isinstance(text, str):
        return text
    if text.isascii():
        return text.lower().rstrip(" ")
    parts = unicodedata.normalize("NFKD", text.casefold())
    return unicodedata.normalize("NFC", "".join(c for c in parts if not unicodedata.combining(c))).rstrip(" ")


def matches(value: str | float | None, pattern: str) -> bool | None:
    """SQL Server's LIKE on folded text, or on the text of a number: `%`, `_`, `[a-c]`, `[^a]`."""
    if value is None:
        return None
    return _compiled(pattern).fullmatch(fold(str(value)) or "") is not None


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    pieces: list[str] = []
    position = 0
    while position < len(pattern):
        char = pattern[position]
        end = pattern.find("]", position + 1) if char == "[" else -1
        if end > 0:
            pieces.append(_character_class(pattern[position + 1 : end]))
            position = end
        else:
            pieces.append({"%": ".*", "_": "."}.get(char) or re.escape(char))
        position += 1
    return re.compile("".join(pieces), re.DOTALL)


def _character_class(content: str) -> str:
    negated = content.startswith("^")
    letters = content[1:] if negated else content
    safe = letters.replace("\\", "\\\\").replace("[", "\\[").replace("^", "\\^")
    if not safe:
        return "(?!)"
    return f"[{'^' if negated else ''}{safe}]"
