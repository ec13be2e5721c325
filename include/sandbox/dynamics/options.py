"""Settings of the emulator that a test or an operator may change while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from math import isfinite

from include.sandbox.service import Json

_AT_LEAST_ONE = frozenset({"page_size", "limit_window"})
_FRACTIONS = frozenset({"retention_days", "limit_seconds"})  # their defaults are whole


@dataclass(frozen=True, slots=True)
class Options:
    """Real values by default; names are those of the control command `set_options`.

    Attributes:
        page_size: Largest page of a collection (section 3.5).
        aggregate_limit: Source rows of one `$apply` (V22).
        count_limit: Where `$count` stops (V20).
        token_lifetime: Seconds a token lives (V3).
        org_urls: Further addresses of the org, separated by blanks; tokens are given for them too.
        retention_days: Age after which a delta token expires (V29).
        expired_token_status: Status of an expired delta token: 400 or 410 (O1).
        limits: Whether service protection limits are enforced (V58).
        limit_requests: Requests per window and user.
        limit_seconds: Combined execution time per window and user, in seconds.
        limit_window: Window in seconds.
        limit_concurrency: Requests of one user at the same time.
        batch_limit: Requests in one `$batch` (V55).
        strict_batch_lines: Refuse `$batch` bodies with bare line feeds (section 9.1).
        body_limit: Bytes of one request's body (section 8).
        bulk_limit: Rows in one bulk action (O14).
        count_mark: A byte order mark before `/$count` (O8).
    """

    page_size: int = 5000
    aggregate_limit: int = 50_000
    count_limit: int = 5000
    token_lifetime: int = 3599
    org_urls: str = ""
    retention_days: float = 7
    expired_token_status: int = 400
    limits: bool = True
    limit_requests: int = 6000
    limit_seconds: float = 1200
    limit_window: int = 300
    limit_concurrency: int = 52
    batch_limit: int = 1000
    strict_batch_lines: bool = False
    body_limit: int = 122_526_105
    bulk_limit: int = 1000
    count_mark: bool = False

    def changed(self, changes: Mapping[str, Json]) -> Options:
        """A copy with some settings replaced.

        Raises:
            ValueError: an unknown name, a wrong type, a number below 0, or below 1 where 0 would end nowhere.
        """
        known = {entry.name: type(entry.default) for entry in fields(self)}
        for name, value in changes.items():
            if name not in known:
                message = f"unknown option {name!r}; known: {', '.join(known)}"
                raise ValueError(message)
            takes = (int, float) if name in _FRACTIONS else (known[name],)
            if type(value) not in takes:
                message = f"option {name!r} wants {known[name].__name__}"
                raise ValueError(message)
            least = int(name in _AT_LEAST_ONE)
            if isinstance(value, int | float) and not (isfinite(value) and value >= least):
                message = f"option {name!r} is a number from {least} on, not {value!r}"
                raise ValueError(message)
        return replace(self, **changes)

    def as_json(self) -> dict[str, Json]:
        """All settings by name."""
        return asdict(self)
