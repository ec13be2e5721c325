"""What each vendor's error code means: look-up, defaults for unknown codes, and the error that a refused call becomes.

The tables are data: `marketo_codes.MARKETO`, `dynamics_codes.DYNAMICS` and `IDENTITY`.
"""

from __future__ import annotations

from typing import Final

from include.leadsync.clients.code_table import Action, Owner, VendorCode
from include.leadsync.clients.dynamics_codes import DYNAMICS, IDENTITY
from include.leadsync.clients.marketo_codes import MARKETO
from include.leadsync.errors import (
    AccessRefused,
    FixConfiguration,
    LeadSyncError,
    NameUnknown,
    RetryLater,
    RowFailed,
    ServiceUnavailable,
    Throttled,
)

__all__ = ["DYNAMICS", "IDENTITY", "MARKETO", "WRONG_NAMES", "Action", "Owner", "VendorCode"]


class NotNow(ServiceUnavailable):
    """Refused for the moment, and nothing was done."""


_UNKNOWN: Final = MARKETO["1001"].page
ANSWERED_ONCE: Final = frozenset({"0x80040216", "0x80040224"})
"""`RETRY` codes of Dataverse that pass only with a 5xx; with 400 the same call would fail again (O10)."""

WRONG_NAMES: Final = frozenset({"1006", "1011", "0x80060888", "0x80041103"})
"""`CONFIGURATION` codes that no right would mend: the map names what is not there."""


_PASSING: Final[dict[Action, type[RetryLater]]] = {
    Action.RETRY: ServiceUnavailable,
    Action.WAIT: NotNow,
    Action.THROTTLE: Throttled,
}


def marketo(code: str) -> VendorCode:
    """The meaning of a Marketo code; an unknown one refuses its record or call and says so. It is never repeated."""
    return MARKETO.get(code) or VendorCode(code, Action.ROW, Owner.DATA, "A code this version does not know", _UNKNOWN)


def dynamics(code: str | None) -> VendorCode | None:
    """The meaning of a Dataverse code in any case, None if unknown: then the HTTP status decides.

    5xx may pass and is tried again; 403 is a matter of rights; 404 and 412 are about the row; anything else of a
    whole call stops the run as a mistake of ours, and of one write in a batch refuses that write alone.
    """
    return DYNAMICS.get((code or "").lower())


def refusal(system: str, meaning: VendorCode, message: str, *, after: float | None = None) -> LeadSyncError:
    """The error for a refused call; `CONFLICT`, `GONE`, `EXISTS` and `ROW` become `RowFailed`.

    `CONFIGURATION` is `AccessRefused`, or plain `FixConfiguration` where a name of the field map does not exist.

    `RENEW_TOKEN` and `RESYNC` need context and are dealt with by the caller; here they are `AccessRefused`
    and `FixConfiguration`.
    """
    wait = after if after is not None else meaning.wait
    text = f"{system} answered {meaning.code} ({message}): {meaning.text}"
    if (passing := _PASSING.get(meaning.action)) is not None:
        return passing(text, after=wait)
    match meaning.action:
        case Action.CONFIGURATION if meaning.code in WRONG_NAMES:
            return NameUnknown(text)
        case Action.CONFIGURATION | Action.RENEW_TOKEN:
            return AccessRefused(system, meaning.code, message, meaning.text)
        case Action.BUG | Action.RESYNC:
            return FixConfiguration(f"{text}. Nothing was done; please report this with the log of the run")
        case _:
            return RowFailed(meaning.code, message or meaning.text)
