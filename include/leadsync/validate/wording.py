"""How values are shown to people: cut in messages, masked in reports (P10)."""

from __future__ import annotations

import re

SHOWN_CHARACTERS = 24

_QUOTED = re.compile("“([^”]*)”")


def excerpt(text: str) -> str:
    """The value in typographic quotes, at most 24 characters, one line, nothing invisible.

    No message uses these quotes for anything else, which lets `mask_message` find values again.
    """
    head = text[:SHOWN_CHARACTERS]
    visible = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in head)
    visible = visible.replace("“", '"').replace("”", '"')
    return f"“{visible}…”" if len(text) > SHOWN_CHARACTERS else f"“{visible}”"


def mask(value: str | None) -> str:
    """What a report shows of a value: its first character and its length."""
    if value is None:
        return "(empty)"
    first = value[:1] if value[:1].isprintable() else "?"
    return f"{first}*** ({len(value)} characters)"


def mask_message(message: str) -> str:
    """The message with every quoted value reduced to its first character."""
    return _QUOTED.sub(lambda found: f"“{found[1][:1]}***”", message)
