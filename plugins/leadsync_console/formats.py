"""Values as the pages show them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from leadsync_console.language import Words

_THIN = "\u202f"
_STEPS = (
    (timedelta(minutes=1), timedelta(seconds=1), "seconds"),
    (timedelta(hours=1), timedelta(minutes=1), "minutes"),
    (timedelta(days=2), timedelta(hours=1), "hours"),
    (timedelta.max, timedelta(days=1), "days"),
)
LONGEST = 300
"""Characters of a value in a table; the whole of it is in the title."""


def number(value: float | None) -> str:
    """Digits in groups of three, whatever the language."""
    return "–" if value is None else f"{value:,}".replace(",", _THIN)


def utc(moment: datetime | None, *, seconds: bool = True) -> str:
    """Date and time, UTC."""
    if moment is None:
        return "–"
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S" if seconds else "%Y-%m-%d %H:%M")


def ago(moment: datetime, now: datetime, say: Words) -> str:
    """How long ago, or in how long."""
    distance = abs(now - moment)
    unit, name = next((unit, name) for below, unit, name in _STEPS if distance < below)
    way = "ago" if moment <= now else "in"
    return say(f"{way}.{name}", n=distance // unit)


def lasted(seconds: float | None) -> str:
    """A duration: 4 s, 3 min 20 s, 2 h 5 min."""
    if seconds is None:
        return "–"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s" if whole or not seconds else "< 1 s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def short(text: str, most: int = LONGEST) -> str:
    """The beginning of a long text."""
    return text if len(text) <= most else f"{text[:most]}…"
