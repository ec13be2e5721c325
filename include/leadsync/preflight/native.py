"""Marketo's own Dynamics or Salesforce sync: two syncs on one instance fight (R163, D21)."""

from __future__ import annotations

from datetime import timedelta

from include.leadsync.context import Engine, RunRequest
from include.leadsync.errors import FixConfiguration
from include.leadsync.model import System
from include.leadsync.state import Metadata

_KEPT = "native_sync"
_ON, _OFF, _UNTOLD = "on", "off", "untold"
REMEDY = (
    "Marketo's own CRM sync is on for this instance, and two syncs would write over each other. Switch it off"
    " (Admin → Integration → Microsoft Dynamics), or point the connection at another instance"
)


def native_sync(engine: Engine) -> str:
    """`on`, `off`, or `untold` where the API user may not ask; kept for `metadata_minutes`, but never an `on`."""
    kept = Metadata(engine.store)
    oldest = engine.now() - timedelta(minutes=engine.settings.metadata_minutes)
    known = kept.get(System.MARKETO, _KEPT, not_before=oldest)
    if known is not None and known != _ON:
        return known
    found = {True: _ON, False: _OFF, None: _UNTOLD}[engine.marketo.native_sync()]
    kept.put(System.MARKETO, _KEPT, found)
    return found


def require_no_native_sync(engine: Engine, run: RunRequest) -> None:
    """Raises `FixConfiguration` while the native sync is on; dry runs may look on where that is configured."""
    if run.dry_run and engine.settings.policies.beside_native_sync == "dry_run":
        return
    if native_sync(engine) == _ON:
        raise FixConfiguration(
            f"{REMEDY}. Nothing was read or written. To look on without a write set policies.beside_native_sync to"
            " dry_run and use `plan`"
        )


def look_for_native_sync(engine: Engine) -> str:
    """For `check`. Raises `FixConfiguration`."""
    Metadata(engine.store).put(System.MARKETO, _KEPT, _ON)  # ask, whatever is remembered
    match native_sync(engine):
        case "on":
            raise FixConfiguration(REMEDY)
        case "off":
            return "off"
        case _:
            return "could not be looked at: the API user lacks Read-Write Company; make sure that it is off"
