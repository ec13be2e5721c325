"""What a channel has been told, so that a trouble is told once when it begins and once when it is over."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from include.leadsync.alerts.troubles import Trouble
from include.leadsync.clock import iso, parse_iso
from include.leadsync.state import Metadata, StateStore

_TOLD = "alerts"


@dataclass(frozen=True, slots=True)
class News:
    """For one channel: what has begun, and what is over, since it was told last."""

    begun: tuple[Trouble, ...]
    over: tuple[Trouble, ...]

    def __bool__(self) -> bool:
        return bool(self.begun or self.over)


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent: plain text, a subject of one line."""

    subject: str
    text: str


def news(store: StateStore, channel: str, now: Sequence[Trouble]) -> News:
    """What this channel does not know yet."""
    known, keys = _known(store, channel), {trouble.key for trouble in now}
    begun = tuple(trouble for trouble in now if trouble.key not in known)
    return News(begun, tuple(trouble for key, trouble in known.items() if key not in keys))


def told(store: StateStore, channel: str, told_now: News) -> None:
    """This channel has got the news; call it after they were sent, so that a failed sending is repeated."""
    known = _known(store, channel)
    for trouble in told_now.over:
        known.pop(trouble.key, None)
    known |= {trouble.key: trouble for trouble in told_now.begun}
    Metadata(store).put(_TOLD, channel, json.dumps([_plain(trouble) for trouble in known.values()], ensure_ascii=False))


def message(about: News, console: str) -> Message:
    """The news in words. `console`: address of the console, below which the pages are."""
    lines = [f"{_named(trouble)}, since {trouble.since:%Y-%m-%d %H:%M} UTC: {trouble.text}" for trouble in about.begun]
    lines += [f"Over: {_named(trouble)} (since {trouble.since:%Y-%m-%d %H:%M} UTC)" for trouble in about.over]
    if len(lines) == 1:
        (only,) = (*about.begun, *about.over)
        subject = f"Lead Sync: {_named(only)}" + (" is over" if about.over else "")
    else:
        subject = f"Lead Sync: {len(about.begun)} begun, {len(about.over)} over"
    return Message(subject, "\n".join([*lines, "", f"Status: {console}/", "What to do: docs/operations.md, Alerts"]))


def _named(trouble: Trouble) -> str:
    return trouble.kind.replace("_", " ")


def _known(store: StateStore, channel: str) -> dict[str, Trouble]:
    rows: list[dict[str, Any]] = json.loads(Metadata(store).get(_TOLD, channel) or "[]")
    troubles = (Trouble(row["key"], row["kind"], row["text"], _moment(row["since"])) for row in rows)
    return {trouble.key: trouble for trouble in troubles}


def _plain(trouble: Trouble) -> dict[str, str]:
    return {"key": trouble.key, "kind": trouble.kind, "text": trouble.text, "since": iso(trouble.since)}


def _moment(text: str) -> datetime:
    return parse_iso(text)
