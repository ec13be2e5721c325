"""Switches of the emulator: limits and misbehaviour, changeable while it runs (M72)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import isfinite

from include.sandbox.service import Json

_EITHER_WAY = frozenset({"created_skew"})


@dataclass(slots=True)
class Options:
    """Every switch with its default; a plain run shows the service without faults.

    Options live in memory only: a restart goes back to the defaults and what the constructor got,
    so no fault outlives the process that switched it on.
    """

    # Limits (M18-M20).
    limits: bool = True
    rate_limit: int = 100
    rate_window: int = 20
    concurrency_limit: int = 10
    daily_quota: int = 50_000

    # Identity (M2, M7).
    token_lifetime: int = 3600
    query_token: str = "auto"
    """access_token as a parameter: "auto" = accepted until 31 August 2026 by the clock, or "on", "off"."""

    # Activity feeds (M55, M57, M63).
    activity_ids: bool = True
    feed_block: int = 0
    """Activities the service looks at for one page; 0 = as many as the page needs."""
    late_every: int = 0
    """Every n-th activity becomes visible late; 0 = none."""
    late_seconds: int = 60
    late_reordered: bool = False
    """A late row comes after newer ones at the token of a reader who is further on, instead of being missed by it."""

    # Persons (M43, M47, facts section 15).
    created_skew: int = 0
    """Seconds by which updatedAt differs from createdAt right after a create; recordings show -1, 0 and 1."""
    upsert_race_seconds: float = 0.0
    """Wait between look-up and write of a sync call; above 0, parallel upserts can both create."""
    truncate_strings: bool = False
    updated_at_custom: bool = False
    """Whether a change of a custom field moves the visible updatedAt. The documentation says it does not."""
    durable_unsubscribe: bool = False
    """R146-R149. Real behaviour; off here because a first cut should show one change per edit (assumption)."""
    native_sync: bool = False
    """The instance has a native CRM sync: company writes answer 1018, default fields are crmManaged (M52)."""

    # Bulk extract (M66-M68).
    extract_status_interval: int = 60
    extract_seconds: int = 0
    """How long a job stays in Processing."""
    extract_running: int = 2
    extract_queued: int = 10
    extract_daily_bytes: int = 500 * 1024 * 1024
    extract_updated_at: bool = True
    """False: the subscription lacks the feature; the filters updatedAt and smart list answer 1035."""
    extract_fails: bool = False
    """Jobs end as Failed with an errorMsg (facts section 13, trap 14)."""
    extract_file_missing: bool = False
    """The file of a completed job answers 404 (trap 8)."""

    # Bulk import (M71).
    import_seconds: int = 2
    """How long an import takes; 0 = it is complete at the first look."""
    import_running: int = 2
    import_queued: int = 10

    def change(self, values: Mapping[str, Json]) -> dict[str, Json]:
        """Set some options; returns all of them.

        Raises:
            KeyError: an option does not exist; nothing was changed.
            TypeError: a value has the wrong type; nothing was changed.
            ValueError: a number that is none, or below zero; nothing was changed.
        """
        checked = {name: _fitting(name, getattr(self, name, None), value) for name, value in values.items()}
        for name, value in checked.items():
            setattr(self, name, value)
        return self.all()

    def all(self) -> dict[str, Json]:
        """Every option with its present value."""
        return {option.name: getattr(self, option.name) for option in fields(self)}


def _fitting(name: str, present: Json, value: Json) -> Json:
    if present is None:
        raise KeyError(name)
    if isinstance(present, float) and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not type(present):
        raise TypeError(f"option {name} needs {type(present).__name__}, got {value!r}")
    if isinstance(value, int | float) and not (isfinite(value) and (value >= 0 or name in _EITHER_WAY)):
        raise ValueError(f"option {name} is a number from 0 on, not {value!r}")
    return value
