"""What an error code means to us: the action, who must act, and the vendor page that says so."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Action(StrEnum):
    """What happens next."""

    RETRY = "retry"  # the same call later; it may have happened
    WAIT = "wait"  # the same call later; it was refused before anything happened
    RENEW_TOKEN = "renew_token"  # noqa: S105 - a new token, then the same call once
    THROTTLE = "throttle"  # the same call after a wait that everybody keeps
    ROW = "row"  # this record is refused; its data must change
    CONFIGURATION = "configuration"  # a human must change rights, settings or the field map
    CONFLICT = "conflict"  # somebody else wrote first; read and merge again
    GONE = "gone"  # the record is not there (any more)
    EXISTS = "exists"  # the record is there already
    RESYNC = "resync"  # the cursor is dead; read in full
    BUG = "bug"  # we asked wrongly


class Owner(StrEnum):
    """Who must act."""

    NOBODY = "nobody"  # it passes, or the engine deals with it
    ADMIN = "admin"  # who administers the service or this installation
    DATA = "data"  # who owns the record
    DEVELOPER = "developer"  # us


@dataclass(frozen=True, slots=True)
class VendorCode:
    """One code. `text` tells a human what to do; `page` is the vendor page that lists it; `wait` is in seconds."""

    code: str
    action: Action
    owner: Owner
    text: str
    page: str
    wait: float | None = None


_OWNER: Final = {
    Action.ROW: Owner.DATA,
    Action.CONFIGURATION: Owner.ADMIN,
    Action.BUG: Owner.DEVELOPER,
}


def table(page: str, *rows: tuple[str, Action, str] | tuple[str, Action, str, float]) -> dict[str, VendorCode]:
    """Rows of one vendor page by code: code, action, text and, where a wait is known, seconds."""
    codes = (
        VendorCode(row[0], row[1], _OWNER.get(row[1], Owner.NOBODY), row[2], page, row[3] if len(row) > 3 else None)
        for row in rows
    )
    return {code.code: code for code in codes}
