"""What else a run depends on: API calls that are left, and clocks that agree (P7, D63)."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

from include.leadsync.clients.transport import HttpRequest
from include.leadsync.context import Engine
from include.leadsync.errors import LeadSyncError
from include.leadsync.model import System

_LEAST_SHARE = 0.05
_MOST_SKEW = 60.0
"""Seconds. Tokens and windows allow for minutes; more than one hides which of two edits came first."""


def quota(engine: Engine, system: System) -> str:
    """Calls left today. Raises `LeadSyncError` when hardly any are."""
    daily = engine.settings.limits.of(system).daily
    used = engine.marketo.usage() if system is System.MARKETO else engine.budget(system).usage().today
    left = max(daily - used, 0)
    told = f"{left} of {daily} calls left today"
    if left < daily * _LEAST_SHARE:
        when = "midnight US Central time" if system is System.MARKETO else "24 hours are over"
        raise LeadSyncError(
            f"{told}; find out who else calls, raise limits.{system.value}.daily if it is higher, or wait until {when}"
        )
    return told


def clock(engine: Engine, system: System) -> str:
    """How far our clock is from the service's, by the Date header of any answer. Raises `LeadSyncError`."""
    host = engine.connections[system].host
    answer = engine.transport.send(HttpRequest("GET", f"{host}/", {"Accept": "*/*"}, timeout=30.0))
    text = answer.headers.get("date")
    if not text:
        return "the service tells no time"
    try:
        theirs = parsedate_to_datetime(text)
    except ValueError:
        return "the service tells no time that can be read"
    skew = (engine.now() - theirs).total_seconds()
    if abs(skew) > _MOST_SKEW:
        raise LeadSyncError(f"our clock is {skew:+.0f} s off; set this machine's clock by NTP")
    return f"{skew:+.0f} s"
